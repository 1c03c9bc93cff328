"""Receivers that the audit is forwarded to: a real rsyslog with TLS, and one over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from signaling.compliance.audit.forward.syslog import SyslogTarget, client_context
from tests.ports import free_port
from tests.signaling.compliance import certificates

CONF = """
global(
  workDirectory="{home}" maxMessageSize="64k"
  defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{authority}"
  defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}"
)
module(
  load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="{mode}"
)
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="raw" type="string" string="%msg%\\n")
template(name="head" type="string"
  string="%rawmsg%\\n")
action(type="omfile" file="{home}/audit.ndjson" template="raw")
action(type="omfile" file="{home}/heads" template="head")
"""


class Rsyslog:
    """Debian's rsyslogd on a port that stays through restarts. `mutual`: wants our certificate."""

    def __init__(self, home: Path, *, mutual: bool = False) -> None:
        assert shutil.which("rsyslogd"), (
            "rsyslogd is missing: apt-get install rsyslog rsyslog-gnutls"
        )
        home.mkdir(parents=True)
        self.home = home
        self.files = certificates.make(home / "tls")
        self.port = free_port()
        self.conf = home / "rsyslog.conf"
        self.conf.write_text(
            CONF.format(
                home=home, port=self.port, mode="x509/certvalid" if mutual else "anon",
                authority=self.files.authority, certificate=self.files.certificate,
                key=self.files.key,
            )
        )  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self._offset = 0
        self._parsed: list[dict[str, Any]] = []

    @property
    def target(self) -> SyslogTarget:
        return SyslogTarget("127.0.0.1", self.port, self.context(), host_name="host.example")

    def context(self, *, certificate: bool = False) -> ssl.SSLContext:
        if certificate:
            return client_context(
                str(self.files.authority), str(self.files.certificate), str(self.files.key)
            )
        return client_context(str(self.files.authority), "", "")

    async def start(self) -> None:
        words = ["rsyslogd", "-n", "-f", str(self.conf), "-i", str(self.home / "pid")]
        (self.home / "pid").unlink(missing_ok=True)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)  # noqa: ASYNC220
        try:
            async with asyncio.timeout(120):
                await self._listens()
        except BaseException:
            self.stop()
            raise

    async def _listens(self) -> None:
        assert self.process is not None
        while True:
            assert self.process.poll() is None, (self.home / "log").read_text()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.05)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def received(self) -> list[dict[str, Any]]:
        """What is in the file so far; each line is parsed once."""
        path = self.home / "audit.ndjson"
        if not path.exists():
            return self._parsed
        with path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            # A killed rsyslog may leave half a line; the overlap sends the record again.
            with contextlib.suppress(ValueError):
                self._parsed.append(json.loads(line))
        return self._parsed


@dataclass
class HttpReceiver:
    """Keeps what it was sent; `status` is what it answers."""

    status: int = 200
    answer: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.status == 200:
            self.requests.append(({k.lower(): v for k, v in request.headers.items()}, body))
        return web.json_response(self.answer, status=self.status)


def first_of_each(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the duplicates, as a receiver makes it by id."""
    return list({record["id"]: record for record in reversed(records)}.values())[::-1]
