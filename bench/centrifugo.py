"""Centrifugo, the peer of the chat sections: its channels are their rooms, with its history on.

Its history is in memory (its own default engine): nothing that it acknowledges is on a disk. It is
built through the Go proxy alone, version 5; `CENTRIFUGO` names a binary of it instead.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from servers import BenchError

from signaling.http.certificates import ensure

# Version 6 (6.9.1, 6.3.1) needs commits of its engine that not every proxy hands out.
MODULE, VERSION = "github.com/centrifugal/centrifugo/v5", "v5.4.9"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sotto" / "peers"
HISTORY = 100_000


def binary() -> Path:
    """`CENTRIFUGO`, or the pinned version, built once into the cache."""
    if wanted := os.environ.get("CENTRIFUGO"):
        return Path(wanted)
    found = CACHE / f"centrifugo-{VERSION}"
    if not found.exists():
        print(f"building {MODULE} {VERSION} (some minutes)", file=sys.stderr)
        _build(found)
    return found


def _build(target: Path) -> None:
    """As a dependency of an empty module: `go install` also asks which versions there are, which
    some proxies refuse to say."""
    around = target.with_suffix(".module")
    around.mkdir(parents=True, exist_ok=True)
    (around / "go.mod").write_text(f"module peer\n\ngo 1.24\n\nrequire {MODULE} {VERSION}\n")
    (around / "peer.go").write_text(f'package main\n\nimport _ "{MODULE}"\n\nfunc main() {{}}\n')
    command = ["go", "build", "-mod=mod", "-o", str(target.with_suffix(".new")), MODULE]
    try:
        subprocess.run(command, cwd=around, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(f"no Centrifugo: set CENTRIFUGO to its binary ({error})") from None
    target.with_suffix(".new").rename(target)
    shutil.rmtree(around)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Centrifugo:
    """One process, from `start` to `stop`."""

    home: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.port = _free_port()
        self.home.mkdir(parents=True, exist_ok=True)
        files = ensure(self.home / "tls", ["localhost", "127.0.0.1"], datetime.now(UTC))
        config = self.home / "config.json"
        config.write_text(
            json.dumps(
                {
                    "address": "127.0.0.1",
                    "port": str(self.port),
                    "tls": True,
                    "tls_cert": str(files.certificate),
                    "tls_key": str(files.key),
                    "client_insecure": True,
                    "history_size": HISTORY,
                    "history_ttl": "1h",
                    "force_recovery": True,
                    "client_recovery_max_publication_limit": HISTORY,
                    "allow_publish_for_client": True,
                    "allow_subscribe_for_client": True,
                    "log_level": "warn",
                }
            )
        )
        with (self.home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(binary()), "-c", str(config)], stdout=log, stderr=log, cwd=self.home
            )
        self._wait()

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    said = (self.home / "log").read_text()[-2000:]
                    raise BenchError(f"Centrifugo did not start: {said}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
