"""A production server (`sotto serve`) started apart for many tests, and a visitor who talks to it.

`House` is the process, its files and its owner; `Visit` speaks HTTP with TLS checked. With `clock`
the process lives under libfaketime: `move_on` moves what it takes for the time of day.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from signaling.access.keysets import KeySet, SecretKey
from signaling.clock import SystemClock
from tests.command import sotto
from tests.peers.redis_server import Authority
from tests.signaling.access.rig import Signer

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "four words that nobody guesses"
API_SECRET = "an-api-secret-of-the-rows-that-is-long-enough"
KINDS = ("/json", "+json")
T = TypeVar("T")

# Rows about rates and bounds start houses of their own; here nobody waits.
QUICK = {
    "api.rate_factor": "1000",
    "api.reauth_seconds": "86400",
    "accounts.hash_memory_kib": "19456",
    "accounts.hash_passes": "1",
    "accounts.tries_per_address": "100000",
    "audit.head_seconds": "1",
    "process.drain_seconds": "0",
    "limits.requests_per_second": "100000",
}


def faketime() -> str:
    """Debian's library, wherever this architecture has it."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "libfaketime is missing: apt-get install faketime"
    return str(found[0])


def moved_by(file: Path) -> dict[str, str]:
    """The environment of a process that takes for the time of day what `file` says it is off by,
    at each look; its other clocks go on as they are."""
    return {
        "LD_PRELOAD": faketime(),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def move(file: Path, seconds: int) -> None:
    """Such a process is so much ahead from here on, all at once; a negative number: behind."""
    partial = file.with_suffix(".partial")
    partial.write_text(f"{seconds:+d}")
    partial.replace(file)


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Runs it on a loop of its own, for fixtures that outlive a test's."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(work)))
    thread.start()
    thread.join()
    return found[0]


@dataclass
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]
    text: str

    @property
    def code(self) -> str:
        return str(self.body["code"])

    @property
    def lines(self) -> list[Any]:
        """Of an answer that is a line of JSON for each thing."""
        return [json.loads(line) for line in self.text.splitlines() if line]


@dataclass
class House:
    """States: new -> running -> stopped; `start` again on the same files."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    clock: bool = False
    words: tuple[str, ...] = ()
    toml: str = ""
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    login: str = "root.ana"
    offset: int = 0
    token: str = ""

    def __post_init__(self) -> None:
        self.state = self.folder / "state"
        self.log = self.folder / "log"
        self.ready = self.folder / "ready.json"
        self.authority = Authority(self.folder / "ca")
        certificate, key = self.authority.issue("server")
        (self.folder / "app.key").write_text(API_SECRET)
        (self.folder / "sotto.toml").write_text(
            f'[http]\nlisten = ["127.0.0.1:0"]\nplain = ["127.0.0.1:0"]\n'
            f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
            f'[operator]\nlisten = "127.0.0.1:0"\n[media]\nudp_port = 0\ntcp_port = 0\n'
            f'bind = ["127.0.0.1"]\nadvertise = ["10.9.8.7"]\n'
            f'[keys]\nrows = {{ file = "{self.folder / "app.key"}" }}\n{self.toml}'
        )
        self.trust = ssl.create_default_context(cafile=str(self.authority.file))

    @property
    def command(self) -> list[str]:
        given = {**QUICK, "process.state_dir": str(self.state), **self.settings}
        return sotto(
            "serve", f"--config={self.folder / 'sotto.toml'}", f"--ready-file={self.ready}",
            *self.words, *(f"--set={name}={value}" for name, value in given.items()),
        )  # fmt: skip

    def launch(self) -> subprocess.Popen[bytes]:
        """Without waiting for it to serve."""
        self.ready.unlink(missing_ok=True)
        environment = {**os.environ, **self.environment}
        if self.clock:
            self.move_on(0)
            environment |= moved_by(self.folder / "offset")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *self.command], cwd=ROOT, stdout=log, stderr=log, env=environment
            )
        return self.process

    def start(self) -> House:
        process = self.launch()
        end = time.monotonic() + 180
        while not self.ready.exists():
            assert process.poll() is None and time.monotonic() < end, self.written()
            time.sleep(0.03)
        self.facts = json.loads(self.ready.read_text())
        return self

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def move_on(self, seconds: int) -> None:
        """So much later for the server than it is; a negative number: earlier."""
        self.offset += seconds
        move(self.folder / "offset", self.offset)

    def written(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.facts['https']}"

    @property
    def plain(self) -> str:
        return f"http://127.0.0.1:{self.facts['http']}"

    @property
    def operator(self) -> str:
        return f"http://127.0.0.1:{self.facts['operator']}"

    def setup(self) -> None:
        """The first administrator, with the link that the server printed."""
        apart(self._setup())

    async def _setup(self) -> None:
        async with asyncio.timeout(120):
            while not (found := re.findall(r"/setup#([A-Za-z0-9_-]{32})", self.written())):
                await asyncio.sleep(0.05)
        async with visiting(self) as there:
            body = {"login": self.login, "password": PASSWORD, "link": found[-1]}
            answer = await there.ask("POST", "/sign-up", body)
            assert answer.status == 200, answer.text
            self.token = str(answer.body["access_token"])


@dataclass
class Visit:
    """`ask` below /api/v1, `send` anywhere."""

    house: House
    client: aiohttp.ClientSession

    async def send(self, method: str, url: str, **more: Any) -> Answer:
        if url.startswith("/"):
            url = self.house.url + url
        more.setdefault("allow_redirects", False)
        async with self.client.request(method, url, **more) as answer:
            text = (await answer.read()).decode(errors="replace")
            body = json.loads(text) if text and answer.content_type.endswith(KINDS) else None
            return Answer(answer.status, body, answer.headers, text)

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "", **more: Any
    ) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= more.pop("headers", {})
        return await self.send(method, f"/api/v1{path}", json=body, headers=headers, **more)

    async def sign_in(self, login: str, password: str = PASSWORD) -> str:
        body = {"login": login, "password": password}
        answer = await self.ask("POST", "/sign-in/password", body)
        assert answer.status == 200, answer.text
        return str(answer.body["access_token"])

    async def owner(self) -> str:
        """The owner's token. Who signs in often is slowed down, so it is kept while it is good."""
        if (await self.ask("GET", "/session", token=self.house.token)).status != 200:
            self.house.token = await self.sign_in(self.house.login)
        return self.house.token

    async def joined(self, *roles: str, login: str = "", owner: str = "") -> tuple[str, str]:
        """A new account: its token and its login."""
        owner = owner or await self.owner()
        answer = await self.ask(
            "POST", "/invitations", {"roles": list(roles or ("member",))}, owner
        )
        assert answer.status == 201, answer.text
        login = login or f"some.{secrets.token_hex(6)}"
        body = {"login": login, "password": PASSWORD, "link": link_of(answer.body["url"])}
        answer = await self.ask("POST", "/sign-up", body)
        assert answer.status == 200, answer.text
        return str(answer.body["access_token"]), login

    async def guest(self, room: str = "lobby") -> str:
        answer = await self.ask("POST", "/guest-links", {"room": room}, await self.owner())
        assert answer.status == 201, answer.text
        answer = await self.ask("POST", "/guests", {"link": link_of(answer.body["url"])})
        assert answer.status == 200, answer.text
        return str(answer.body["access_token"])

    async def signer(self, name: str = "rows") -> Signer:
        """With a key set of its own."""
        answer = await self.ask("POST", "/access/key-sets", {"name": name}, await self.owner())
        assert answer.status == 201, answer.text
        return Signer(self.client, self.house.url, SystemClock(), key_set(answer.body))

    async def records(self, auditor: str, **filters: str) -> list[dict[str, Any]]:
        """The newest hundred of the audit."""
        answer = await self.ask("GET", "/audit", token=auditor, params={"limit": "100", **filters})
        assert answer.status == 200, answer.text
        return list(answer.body["items"])

    async def recorded(
        self, auditor: str, action: str, result: str, count: int = 1, **fields: str
    ) -> list[Any]:
        """Records of an action with a result (and fields), as soon as there are so many; notes take
        250 ms, and those of the sync socket two seconds.
        """
        wanted = {"result": result, **fields}.items()
        async with asyncio.timeout(90):
            while True:
                found = await self.records(auditor, action=action)
                found = [one for one in found if wanted <= one.items()]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def socket(self, token: str = "", **more: Any) -> AsyncIterator[Any]:
        """An open sync socket whose hello was read."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.ws_connect(
            self.house.url + "/sync", headers=headers, protocols=("sotto.1",), **more
        ) as opened:
            assert (await opened.receive_json(timeout=30))["type"] == "hello"
            yield opened


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """The code that the server closed with; what came before it is passed over. The frame says it:
    a reply that the server does not wait for leaves another in `close_code`.
    """
    while True:
        message = await socket.receive(timeout=30)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return int(message.data)
        if message.type in (
            aiohttp.WSMsgType.CLOSED,
            aiohttp.WSMsgType.CLOSING,
            aiohttp.WSMsgType.ERROR,
        ):
            return socket.close_code


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction of a connection that somebody passes on."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def link_of(url: str) -> str:
    return url.rpartition("#")[2]


def key_set(made: Mapping[str, Any]) -> KeySet:
    about = made["key_set"]
    return KeySet(
        id=about["id"],
        name=about["name"],
        subscribe_key=about["subscribe_key"],
        publish_key=about["publish_key"],
        secrets=(SecretKey(id="first", text=made["secret_key"], created=0.0),),
        created=0.0,
    )


@contextlib.asynccontextmanager
async def visiting(house: House) -> AsyncIterator[Visit]:
    connector = aiohttp.TCPConnector(ssl=house.trust)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as client:
        yield Visit(house, client)


@contextlib.contextmanager
def standing(house: House) -> Any:
    """Started, with its owner; stopped at the end."""
    try:
        house.start().setup()
        yield house
    finally:
        house.stop()
