"""Section 5.B: what anybody could ask for without end is bounded, in memory and in number."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from signaling.http.api.rates import RATES
from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import people
from tests.websocket import close_codes, masked, spelled

BOMB = zlib.compress(b"0" * 50_000_000, 9)[2:-4]
ROUNDS = 8
# What a process may have grown by; one bomb that was unpacked would be more.
GROWN_KIB = 32 * 1024
TEXT, MORE, PING = 0x1, 0x0, 0x9


def fragments() -> Iterator[bytes]:
    """One text of 70,000 bytes, a byte in each frame, that is never ended."""
    for number in range(70_000):
        yield bytes((MORE if number else TEXT, 0x81)) + bytes(4) + b"x"


# One frame that says that it is compressed, which was not agreed.
KINDS = {
    "bomb": bytes((0xC1, 0xFF)) + struct.pack("!Q", len(BOMB)) + bytes(4) + BOMB,
    "fragments": b"".join(fragments()),
    "pings": masked(PING, b"p" * 125) * 4000,
}


async def test_s5b_bombs_fragments_and_floods_leave_memory_as_it_was(
    housed: Callable[..., House],
) -> None:
    house = housed()
    async with visiting(house) as there:
        token, _ = await there.joined()
        for kind, frames in KINDS.items():
            await told(house, token, frames)
            before = resident(house)
            codes = [code for _ in range(ROUNDS) for code in await told(house, token, frames)]
            grown = resident(house) - before
            print(f"{kind}: {grown} KiB, {sorted(set(codes))}")
            assert grown < GROWN_KIB, kind
            assert set(codes) <= {1002, 1008, 1009}, kind
        assert (await there.ask("GET", "/session", token=token)).status == 200


def resident(house: House) -> int:
    """KiB of the server's process."""
    assert house.process is not None
    status = Path(f"/proc/{house.process.pid}/status").read_text()
    return int(next(row for row in status.splitlines() if row.startswith("VmRSS")).split()[1])


async def told(house: House, token: str, frames: bytes) -> list[int]:
    """The codes that a new socket is closed with; who is still sending may miss it."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", house.facts["https"], ssl=house.trust, server_hostname="localhost"
    )
    said = b""
    try:
        writer.write(spelled(token))
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(frames)
        async with asyncio.timeout(60):
            while data := await reader.read(65536):
                said += data
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
    return close_codes(said)


async def test_s5b_invitations_and_rings_are_throttled(housed: Callable[..., House]) -> None:
    """API6, at the published rates: so many at once, then 429 that says when."""
    async with visiting(housed({"api.rate_factor": "1"})) as there:
        owner = await there.owner()
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        asks = {
            "default": (owner, "/invitations", {"roles": ["member"]}),
            "ring": (ann.token, f"/rooms/{room}/call/ring", {"accounts": [bob.id]}),
        }
        for rate, (token, path, body) in asks.items():
            await throttled(there, rate, token, path, body)


async def throttled(there: Visit, rate: str, token: str, path: str, body: object) -> None:
    for _ in range(2 * RATES[rate].burst):
        answer = await there.ask("POST", path, body, token)
        if answer.status == 429:
            break
        assert answer.status in (200, 201, 404, 409), answer.text
    assert (answer.status, answer.code) == (429, "rate_limited"), rate
    assert int(answer.headers["Retry-After"]) >= 1
