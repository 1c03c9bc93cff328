"""Class 10: malformed SCTP in a real DTLS association, and hostile but well-formed use of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.interop.servers import Server
from tests.interop.signal_driver import SignalDriver


def chunk(kind: int, flags: int, body: bytes, length: int | None = None) -> bytes:
    """RFC 9260 section 3.2; `length` may lie."""
    size = 4 + len(body) if length is None else length
    return struct.pack("!BBH", kind, flags, size & 0xFFFF) + body + b"\0" * (-len(body) % 4)


def malformed(dice: random.Random) -> list[bytes]:
    zero_parameter = struct.pack("!HH", 0, 0)
    init = struct.pack("!LLHHL", 1, 65536, 10, 10, 1)
    return [
        chunk(0, 3, b"", 0),
        chunk(0, 3, b"", 3),
        chunk(0, 3, b"\0" * 12, 0xFFFF),
        chunk(1, 0, init + zero_parameter * 20),
        chunk(1, 0, init + struct.pack("!HH", 0x8008, 0xFFFF)),
        chunk(1, 0, b"\0" * 3),
        chunk(3, 0, struct.pack("!LLHH", 1, 0, 0xFFFF, 0xFFFF)),
        chunk(4, 0, zero_parameter),
        chunk(9, 0, zero_parameter),
        chunk(130, 0, struct.pack("!HHL", 13, 0, 1)),
        chunk(130, 0, struct.pack("!HHLLL", 13, 3, 1, 1, 1)),
        chunk(192, 0, struct.pack("!L", 0xFFFFFFFF)),
        chunk(192, 0, struct.pack("!LHH", 0x7FFFFFFF, 1, 1) * 3),
        chunk(0, 3, struct.pack("!LHHL", 0xFFFFFFFF, 65535, 0, 50)),
        chunk(255, 255, dice.randbytes(200)),
        dice.randbytes(dice.randrange(1, 400)),
    ]


@contextlib.asynccontextmanager
async def with_data(server: Server, room: str) -> AsyncIterator[Attacker]:
    async with (
        SignalDriver(server, room, "mallory") as driver,
        Attacker(server, room, "mallory") as attacker,
    ):
        await attacker.join(driver)
        yield attacker


async def test_malformed_chunks(server: Server, room: str, bystanders: Bystanders) -> None:
    dice = random.Random(10)
    async with bystanders.unharmed(5), with_data(server, room) as attacker:
        for _ in range(40):
            for chunks in malformed(dice):
                await attacker.sctp(chunks)
                await attacker.sctp(chunks, tag=dice.getrandbits(32))
            await asyncio.sleep(0.02)


async def test_hostile_messages(server: Server, room: str, bystanders: Bystanders) -> None:
    """Streams by the thousand, huge labels, messages beyond the limit, storms without order."""
    async with bystanders.unharmed(6), with_data(server, room) as attacker:
        association = attacker.association
        for number in range(200):
            label = "x" * 64_000 if number % 50 == 0 else f"channel-{number}"
            attacker.pc.createDataChannel(label, ordered=False, maxRetransmits=0)
            if number % 20 == 0:
                await asyncio.sleep(0.05)
        for size in (300_000, 1_000_000):
            await association._send(0, 53, b"z" * size, ordered=False)
            await asyncio.sleep(0.5)
        # Data far beyond the window that was advertised, unordered, no acknowledgement awaited.
        for number in range(2000):
            head = struct.pack("!LHHL", (association._local_tsn + number) % 2**32, 0, 0, 53)
            await attacker.sctp(chunk(0, 7, head + b"y" * 1000))
            if number % 50 == 0:
                await asyncio.sleep(0.005)
