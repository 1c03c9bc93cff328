"""Builds and runs FerretDB; needs Go.

It shows sign-in and single calls only: its updates are not atomic, so it is no store to rely on.
"""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from signaling.config.store import Store as Settings
from signaling.secret import Secret
from tests.peers.redis_server import Authority
from tests.ports import free_port

USER, WORD = "sotto", "a-word-of-the-tests-that-is-long"


@dataclass
class FerretDb:
    """Listens with TLS only and knows one user."""

    process: subprocess.Popen[bytes]
    port: int
    authority: Authority

    @classmethod
    def start(cls, directory: Path) -> FerretDb:
        build = Path(__file__).with_name("build")
        built = subprocess.run([build], check=True, stdout=subprocess.PIPE, text=True, timeout=900)
        authority, port = Authority(directory / "ca"), free_port()
        certificate, key = authority.issue("server")
        data = directory / "data"
        data.mkdir()
        process = subprocess.Popen(
            [
                built.stdout.strip(),
                "--handler=sqlite",
                f"--sqlite-url=file:{data}/",
                f"--state-dir={data}",
                "--listen-addr=",
                f"--listen-tls=127.0.0.1:{port}",
                f"--listen-tls-cert-file={certificate}",
                f"--listen-tls-key-file={key}",
                "--debug-addr=-",
                "--telemetry=disable",
                "--log-level=ERROR",
                "--test-enable-new-auth",
                f"--setup-username={USER}",
                f"--setup-password={WORD}",
                "--setup-database=admin",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = cls(process, port, authority)
        server._wait()
        return server

    def _wait(self) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("FerretDB did not start")

    def settings(self, **changes: object) -> Settings:
        known: dict[str, object] = {
            "url": f"mongodb://localhost:{self.port}/?tls=true&authMechanism=SCRAM-SHA-256",
            "user": USER,
            "password": Secret(WORD),
            "ca": str(self.authority.file),
            "timeout_seconds": 5.0,
        }
        return Settings(**{**known, **changes})  # type: ignore[arg-type]  # a table of keys

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
