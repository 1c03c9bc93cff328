"""ASVS 17.3.2: frames of RFC 6455, right and wrong, on both of the server's sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest
from livekit.protocol import rtc

from tests.attacks.bystanders import Bystanders
from tests.attacks.frames import ALIVE, BINARY, PONG, TEXT, Case, Kind, call_path, cases, frame
from tests.cli.test_quick_start import setup_code
from tests.interop.servers import Place, Server, serving
from tests.websocket import FIELDS, close_codes, frames_of

ENDS_WITHIN = 5.0
TOGETHER = 8


def ping(number: int) -> bytes:
    return rtc.SignalRequest(ping_req=rtc.Ping(timestamp=number)).SerializeToString()


def pong(number: int) -> bytes:
    """The field of the answer that names the ping's."""
    return rtc.Pong(last_ping_timestamp=number).SerializeToString()


GOOD, PROBE = 7_000_001, 7_000_002
RTC = Kind(BINARY, ping(GOOD), ping(PROBE), pong(GOOD), pong(PROBE), 1 << 20)
SYNC = Kind(
    TEXT, b'{"type":"ping","id":7}', b'{"type":"ping","id":8}', b'"id":7', b'"id":8', 1 << 16
)
Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It lets one account open sockets faster than others do."""
    place = Place(extra=("--set=api.rate_factor=1000",))
    with serving(tmp_path_factory.mktemp("server"), place) as running_server:
        yield running_server


class Socket:
    """One upgraded connection, by hand."""

    def __init__(self, kind: Kind, opened: Opened) -> None:
        self.kind = kind
        self.reader, self.writer = opened
        self.came = b""

    async def send(self, data: bytes, piecewise: bool) -> None:
        with contextlib.suppress(ConnectionError):
            for piece in [bytes([b]) for b in data] if piecewise else [data]:
                self.writer.write(piece)
                await asyncio.sleep(0)
            await self.writer.drain()

    def has(self, opcode: int, words: bytes) -> bool:
        return any(kind == opcode and words in said for kind, said in frames_of(self.came))

    async def until(self, met: Callable[[], bool]) -> bool:
        """False when the connection ended first."""
        async with asyncio.timeout(ENDS_WITHIN):
            while not met():
                try:
                    data = await self.reader.read(65536)
                except ConnectionError:
                    return False
                if not data:
                    return False
                self.came += data
        return True

    async def outcome(self, case: Case) -> str:
        """Nothing when it is as it should be."""
        kind = self.kind
        await self.send(case.sent, case.piecewise)
        if ALIVE in case.ends:
            await self.send(frame(kind.opcode, kind.probe), False)
            if await self.until(lambda: self.has(kind.opcode, kind.probed)):
                if case.said and not self.has(kind.opcode, kind.answer):
                    return "was not understood"
                no_pong = case.pong is not None and not self.has(PONG, case.pong)
                return "no pong" if no_pong else ""
        else:
            await self.until(lambda: False)
        codes = close_codes(self.came) or [1006]
        return "" if codes[0] in case.ends else f"closed with {codes}, not {set(case.ends)}"


@contextlib.asynccontextmanager
async def upgraded(server: Server, kind: Kind, path: str, token: str) -> AsyncIterator[Socket]:
    port = int(server.http.rpartition(":")[2])
    fields = {"Host": f"127.0.0.1:{port}", **FIELDS}
    fields["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits"
    if kind is RTC:
        del fields["Sec-WebSocket-Protocol"]
    if token:
        fields["Authorization"] = f"Bearer {token}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    opened = await asyncio.open_connection("127.0.0.1", port)
    try:
        opened[1].write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = await opened[0].readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer
        assert b"permessage-deflate" not in answer
        socket = Socket(kind, opened)
        assert await socket.until(lambda: socket.has(kind.opcode, b"")), "no greeting"
        yield socket
    finally:
        opened[1].transport.abort()


async def owner(server: Server) -> str:
    """The access token of this server's first account."""
    link = await asyncio.to_thread(setup_code, server.folder / "server.log")
    body = {"login": "root.ana", "password": "four words that nobody guesses", "link": link}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.http}/api/v1/sign-up", json=body) as answer,
    ):
        return str(json.loads(await answer.text())["access_token"])


@pytest.mark.parametrize("kind", [RTC, SYNC], ids=["rtc", "sync"])
async def test_frames_of_rfc_6455(
    server: Server, room: str, bystanders: Bystanders, kind: Kind
) -> None:
    token = await owner(server) if kind is SYNC else ""
    all_cases = cases(kind)
    turns = asyncio.Semaphore(TOGETHER)

    async def one(number: int, case: Case) -> str:
        path = call_path(server, room, f"fool-{number}") if kind is RTC else "/sync"
        async with turns, upgraded(server, kind, path, token) as socket:
            try:
                return await socket.outcome(case)
            except TimeoutError:
                return f"neither went on nor ended within {ENDS_WITHIN:.0f} s"

    async with bystanders.unharmed():
        began = time.monotonic()
        found = await asyncio.gather(*(one(n, case) for n, case in enumerate(all_cases)))
        print(f"{len(all_cases)} cases in {time.monotonic() - began:.1f} s")
    wrong = {c.name: what for c, what in zip(all_cases, found, strict=True) if what}
    assert wrong == {}
