"""Attack class 15: our server behind nginx, HAProxy and Caddy of Debian, as our page sets them up.

A request that two parsers end at different places is how one client's bytes become another's
request. So after each probe the server behind has counted no request more than the client got
answers, and others on the same proxy get the answers to what they asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from livekit.protocol import rtc

from tests.ports import free_port
from tests.rows.house import House, Visit, closed, visiting
from tests.rows.rightful import people
from tests.signaling.http.proxies import KINDS, Raw, connection, in_front

# aiohttp leaves closing a TLS connection to its loop, which ends with the test.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <(socket|asyncio|_SSL|function _)"
    ":pytest.PytestUnraisableExceptionWarning"
)
FORGED = "203.0.113.99"
HELLO = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sotto.1\r\n"
)


class Fronted(House):
    """A house whose address is its proxy's."""

    port = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


@dataclass
class Behind:
    """`through` goes over the proxy, `house.operator` past it."""

    through: Visit
    house: House
    port: int

    async def counted(self) -> int:
        """Requests that the server was asked on its public listeners."""
        text = (await self.through.send("GET", self.house.operator + "/metrics")).text
        found = re.findall(r"^sotto_http_requests_total\{.*\} (\d+)", text, re.M)
        return sum(map(int, found))

    async def probe(self, request: bytes) -> Raw:
        """What came back. Fails when the server was asked more than the client was answered."""
        before = await self.counted()
        async with connection(self.house, self.port) as raw:
            raw.writer.write(request)
            for _ in range(15):
                going_on = await raw.read()
                asked = await self.counted() - before
                if asked <= len(raw.answers) or not going_on:
                    break
        assert asked <= len(raw.answers), (asked, raw.got[:2000])
        return raw

    async def others(self) -> None:
        """Everybody else gets what they asked for, on whatever connection the proxy has kept."""
        for _ in range(8):
            answer = await self.through.send("GET", "/.well-known/sotto")
            assert answer.status == 200 and answer.body["socket"], answer.text


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Fronted]]:
    """One server for each proxy: what is typed into a browser is part of its configuration."""
    with contextlib.ExitStack() as stack:
        made = {}
        for kind in KINDS:
            port = free_port()
            folder = tmp_path_factory.mktemp(kind)
            settings = {
                "http.public_url": f"https://localhost:{port}", "http.trusted_proxies": "127.0.0.1",
            }  # fmt: skip
            house = Fronted(folder, settings)
            house.start()
            made[kind] = house
            house.port = port
            stack.callback(house.stop)
        yield made


@pytest.fixture(params=sorted(KINDS))
async def behind(
    request: pytest.FixtureRequest, houses: dict[str, Fronted], tmp_path: Path
) -> AsyncIterator[Behind]:
    house = houses[request.param]
    async with in_front(request.param, tmp_path, house.port, house):
        if not house.token:
            await asyncio.to_thread(house.setup)
        async with visiting(house) as there:
            yield Behind(there, house, house.port)


async def call_token(visit: Visit, token: str) -> str:
    made = await visit.ask("POST", "/calls/tokens", {"room": "lobby"}, token)
    assert made.status == 201, made.text
    return str(made.body["token"])


async def test_what_people_do_goes_through(behind: Behind) -> None:
    """HTTP with every method, both sockets, a long request line, a file of more than a megabyte in
    one request; nobody brings an address.
    """
    there = behind.through
    token, _ = await there.joined()
    auditor, _ = await there.joined("auditor")
    headers = {"X-Forwarded-For": FORGED, "X-Real-IP": FORGED, "Forwarded": f"for={FORGED}"}
    name = f"N{secrets.token_hex(4)}"
    answer = await there.ask(
        "PATCH", "/account", {"name": name}, token, headers={"If-Match": "*", **headers}
    )
    assert answer.status == 200, answer.text
    [record, *_] = await there.recorded(auditor, "changeAccount", "allowed")
    assert record["address"] in ("127.0.0.0/24", "::/48"), record
    async with there.socket(token) as socket:
        await socket.send_json({"type": "ping", "id": 7})
        assert (await socket.receive_json(timeout=30))["type"] == "pong"
        assert (await there.ask("DELETE", "/session", token=token)).status == 204
        assert await closed(socket) == 4401
    ann, bob = await people(there, 2)
    info = await ann.uploaded(await ann.room(bob), secrets.token_bytes(3_000_000), "large.bin")
    assert info["size"] == 3_000_000
    token, _ = await there.joined()
    query = f"access_token={await call_token(there, token)}&protocol=15&x={'x' * 60_000}"
    async with there.client.ws_connect(f"{behind.house.url}/rtc?{query}") as socket:
        joined = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
        assert joined.WhichOneof("message") == "join"


INNER = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER)
POST = b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n"
ENDED = b"0\r\n\r\n" + INNER
LENGTH = b"Content-Length: %d\r\n"
TWO_ENDS = {
    "CL.TE": LENGTH % len(ENDED) + b"Transfer-Encoding: chunked\r\n\r\n" + ENDED,
    "TE.CL": b"Transfer-Encoding: chunked\r\n" + LENGTH % 4 + b"\r\n" + CHUNK,
    "TE.TE": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"
    + LENGTH % 4 + b"\r\n" + CHUNK,
    "TE with a tab": LENGTH % len(ENDED) + b"Transfer-Encoding:\tchunked\r\n\r\n" + ENDED,
    "TE with a control": LENGTH % len(ENDED) + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + ENDED,
    "TE before its colon": LENGTH % len(ENDED) + b"Transfer-Encoding : chunked\r\n\r\n" + ENDED,
    "TE folded": LENGTH % len(ENDED) + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + ENDED,
    "TE behind a bare LF": LENGTH % len(ENDED) + b"X: y\nTransfer-Encoding: chunked\r\n\r\n"
    + ENDED,
    "two lengths": LENGTH % 0 + LENGTH % len(INNER) + b"\r\n" + INNER,
    "a signed length": b"Content-Length: +%d\r\n\r\n" % len(INNER) + INNER,
    "a chunk with a bare LF": b"Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n" + ENDED,
    "a chunk too long": b"Transfer-Encoding: chunked\r\n\r\n1\r\nxxxx" + ENDED,
    "a body that nobody reads": LENGTH % len(INNER) + b"\r\n" + INNER,
}  # fmt: skip


async def test_no_request_has_two_ends(behind: Behind) -> None:
    """CL.TE, TE.CL and their disguises."""
    for name, rest in TWO_ENDS.items():
        raw = await behind.probe(POST + rest)
        assert not [code for code in raw.answers if code < 400], (name, raw.got)
        await behind.others()


UPGRADES = {
    "with a body": HELLO + LENGTH % len(INNER) + b"\r\n" + INNER,
    "with chunks": HELLO + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "with both": HELLO + LENGTH % len(ENDED) + b"Transfer-Encoding: chunked\r\n\r\n" + ENDED,
    "of a version that is none": HELLO.replace(b": 13", b": 777") + b"\r\n" + INNER,
    "to h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n" + INNER,
    "to h2c beside websocket": HELLO.replace(b": websocket", b": h2c, websocket")
    + b"\r\n" + INNER,
}  # fmt: skip


async def test_an_upgrade_that_is_refused_opens_no_way_past_the_proxy(behind: Behind) -> None:
    """Nobody is signed in, so it is refused; what follows is another request, or nothing."""
    for name, rest in UPGRADES.items():
        raw = await behind.probe(b"GET /sync HTTP/1.1\r\nHost: localhost\r\n" + rest)
        assert 101 not in raw.answers and 200 not in raw.answers, (name, raw.got)
        await behind.others()


async def test_what_follows_a_granted_upgrade_is_frames_and_never_a_request(
    behind: Behind,
) -> None:
    """CVE-2026-69243's shape: upgrade and body in one. After 101 the bytes are broken frames; who
    drops the upgrade gets 426, who refuses it 400.
    """
    token, _ = await behind.through.joined()
    head = b"GET /sync HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n" % token.encode()
    for name in ("with a body", "with chunks", "with both"):
        async with connection(behind.house, behind.port) as raw:
            raw.writer.write(head + UPGRADES[name])
            async with asyncio.timeout(60):
                while await raw.read(3.0) and not raw.answers:
                    pass
        assert len(raw.answers) == 1, (name, raw.got)
        assert raw.answers[0] in (101, 400, 426), (name, raw.got)
        await behind.others()
    async with behind.through.socket(token) as socket:
        await socket.send_json({"type": "ping", "id": 1})
        assert (await socket.receive_json(timeout=30))["type"] == "pong"
