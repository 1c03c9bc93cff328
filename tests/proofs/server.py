"""`sotto serve` as an installation of its own: a directory, a configuration, one process.

Everything that it could write lies below `home`: state, store, logs, temporary files, cores. It is
started, killed and started again on the same directory. Driven by the proofs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from signaling.http.certificates import ensure
from tests.command import INSTALLED, sotto
from tests.signaling.accounts.rig import PASSWORD, secret_of

ROOT = Path(__file__).resolve().parents[2]
API_KEY, API_SECRET = "proofs", "api-secret-of-the-proofs-0123456789abcdef"
# One address asks for everything here, passwords are hashed hundreds of times, and the owner signs
# in once.
QUICK = {
    "api.rate_factor": "1000",
    "api.reauth_seconds": "3600",
    "accounts.tries_per_address": "100000",
    "accounts.hash_memory_kib": "19456",
    "accounts.hash_passes": "1",
    "limits.requests_per_second": "100000",
    "limits.requests_burst": "100000",
    "process.drain_seconds": "0",
}


@dataclass
class Answered:
    """One answer; `body` is parsed where it is JSON."""

    status: int
    body: Any
    raw: bytes
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


@dataclass
class Installation:
    """States: stopped -> running -> stopped or killed -> running. `more` are settings."""

    home: Path
    more: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    toml: str = ""
    process: subprocess.Popen[bytes] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("state", "tmp", "cwd"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        self.log, self.said = self.home / "log", self.home / "said"
        self.config = self.home / "sotto.toml"
        self.tls = ensure(self.home / "tls", ["localhost", "127.0.0.1"], datetime.now(UTC))
        self.config.write_text(
            f'[http]\nlisten = ["127.0.0.1:0"]\n'
            f'[operator]\nlisten = "127.0.0.1:0"\n'
            f'[tls]\ncertificate = "{self.tls.certificate}"\nkey = "{self.tls.key}"\n'
            f'[process]\nstate_dir = "{self.home / "state"}"\n'
            f'[media]\nudp_port = 0\ntcp_port = 0\nbind = ["127.0.0.1"]\n'
            f'advertise = ["192.0.2.1"]\nworkers = 1\n'
            f'[keys]\n{API_KEY} = {{ env = "SOTTO_PROOF_KEY" }}\n{self.toml}'
        )

    @property
    def store(self) -> Path:
        return self.home / "state" / "store"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.facts['https']}"

    @property
    def operator(self) -> str:
        return f"http://127.0.0.1:{self.facts['operator']}"

    def start(self) -> None:
        """Does not wait. A core of any size may be written, if the server lets it."""
        ready = self.home / "ready.json"
        ready.unlink(missing_ok=True)
        settings = {**QUICK, **self.more}
        words = sotto(
            "serve", f"--config={self.config}", f"--ready-file={ready}",
            *(f"--set={key}={value}" for key, value in settings.items()),
        )  # fmt: skip
        with self.log.open("ab") as log, self.said.open("ab") as said:
            self.process = subprocess.Popen(
                words, cwd=self.home / "cwd", stdout=said, stderr=log,
                env=self.environ(),
            )  # fmt: skip
        # As generous as an administrator who wants cores; nothing of it was loaded yet.
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_CORE, (hard, hard))

    def environ(self) -> dict[str, str]:
        # Without an installed command the checkout is what runs, and it is not where we are.
        found = {} if INSTALLED.exists() else {"PYTHONPATH": str(ROOT)}
        return {
            **os.environ, **found, "TMPDIR": str(self.home / "tmp"),
            "HOME": str(self.home), "SOTTO_PROOF_KEY": API_SECRET, **self.environment,
        }  # fmt: skip

    async def ready(self) -> None:
        ready, end = self.home / "ready.json", time.monotonic() + 300
        while not ready.exists():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < end, "the server did not start"
            await asyncio.sleep(0.02)
        self.facts = json.loads(ready.read_text())

    async def stop(self, number: int = signal.SIGTERM) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    async def kill(self) -> None:
        await self.stop(signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Api]:
        self.start()
        try:
            await self.ready()
            async with client() as session:
                yield Api(self, session)
        finally:
            await self.stop()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`sotto` with this configuration, while the server is down or beside it."""
        line = sotto(*words, f"--config={self.config}")
        return subprocess.run(
            line, cwd=self.home / "cwd", env=self.environ(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def setup_secret(self) -> str:
        """The first administrator's link, which standard output alone has."""
        found = re.findall(r"/setup#([A-Za-z0-9_-]{32})", self.said.read_text())
        return str(found[-1]) if found else ""


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    connector = aiohttp.TCPConnector(ssl=trust, limit=0)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        yield session


@dataclass
class Api:
    """Speaks to one installation. `seen` is told of every answer, for whoever collects them."""

    installation: Installation
    session: aiohttp.ClientSession
    seen: Callable[[str, str, Answered], None] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "",
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """`path` is whole. A body goes as JSON unless `data` is given."""
        fields = {**self.headers, **(headers or {})}
        if token:
            fields["Authorization"] = f"Bearer {token}"
        if body is not None:
            data = json.dumps(body).encode()
            fields.setdefault("Content-Type", "application/json")
        async with self.session.request(
            method, self.installation.url + path, data=data, headers=fields, allow_redirects=False
        ) as answer:
            raw = await answer.read()
            parsed, kind = None, answer.content_type
            if raw and kind.endswith(("/json", "+json")):
                parsed = json.loads(raw)
            made = Answered(answer.status, parsed, raw, answer.headers)
        if self.seen is not None:
            self.seen(method, path, made)
        return made

    async def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Answered:
        """Below /api/v1."""
        return await self.send(method, f"/api/v1{path}", body, token)

    async def must(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        answer = await self.ask(method, path, body, token)
        assert answer.status < 300, (method, path, answer.status, answer.raw[:400])
        return answer.body

    async def owner(self, login: str = "root.ana", password: str = PASSWORD) -> str:
        async with asyncio.timeout(120):
            while not (link := self.installation.setup_secret()):
                await asyncio.sleep(0.02)
        body = {"login": login, "password": password, "link": link}
        return str((await self.must("POST", "/sign-up", body))["access_token"])

    async def invited(
        self, owner: str, login: str, *roles: str, password: str = PASSWORD, **more: str
    ) -> Any:
        made = await self.must("POST", "/invitations", {"roles": list(roles)}, owner)
        body = {"login": login, "password": password, "link": secret_of(made["url"]), **more}
        return await self.must("POST", "/sign-up", body)
