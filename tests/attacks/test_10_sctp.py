"""Class 10: malformed SCTP in a real DTLS association, and hostile but well-formed use of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import struct
from collections.abc import AsyncIterator, Iterator

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.interop.servers import Server
from tests.interop.signal_driver import SignalDriver

HELD = 32 << 20
"""Bytes that one client's hostile association may cost the whole server."""
CHANNELS, MESSAGE = 16, 256 * 1024
"""`DataLimits` of the media server."""
ORDERED, UNORDERED = 2, 6
"""Flags of a message's first part (RFC 9260 section 3.3.1)."""
STREAMS = 1024
"""The engine's bound of stream ids."""


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


def open_message(label: int = 0, protocol: int = 0, body: bytes = b"") -> bytes:
    """DATA_CHANNEL_OPEN (RFC 8832 section 5.1); both lengths may lie."""
    return struct.pack("!BBHLHH", 3, 0, 0, 0, label, protocol) + body


class Sender:
    """DATA chunks on an association of aiortc's, by hand, and how far the server took them."""

    def __init__(self, attacker: Attacker) -> None:
        self.attacker = attacker
        self.number = self.first = int(attacker.association._local_tsn)

    def data(self, body: bytes, stream: int = 0, protocol: int = 53, flags: int = 7) -> bytes:
        """RFC 9260 section 3.3.1; flags 7: unordered, a whole message."""
        head = struct.pack("!LHHL", self.number, stream, 0, protocol)
        self.number = (self.number + 1) % 2**32
        return chunk(0, flags, head + body)

    async def packets(self, made: Iterator[bytes], together: int) -> None:
        """So many chunks a packet, 1,000 packets a second."""
        count = 0
        while chunks := b"".join(itertools.islice(made, together)):
            await self.attacker.sctp(chunks)
            count += 1
            if count % 10 == 0:
                await asyncio.sleep(0.01)

    async def taken(self) -> int:
        """How many of them, from the first on, the server has acknowledged by now."""
        await asyncio.sleep(1)
        return int((self.attacker.association._last_sacked_tsn - self.first + 1) % 2**32)


async def test_a_channel_on_every_stream(server: Server, room: str, bystanders: Bystanders) -> None:
    """65,535 of them: those of ids that a client may use are read, a few of them opened."""
    async with bystanders.unharmed(6), with_data(server, room) as attacker:
        before, sender, acknowledged = bystanders.memory(), Sender(attacker), []

        async def note(stream: int, protocol: int, data: bytes) -> None:
            if protocol == 50 and data[:1] == b"\x02":
                acknowledged.append(stream)

        attacker.association._data_channel_receive = note
        opens = (sender.data(open_message(), stream, 50) for stream in range(65_535))
        await sender.packets(opens, 40)
        assert STREAMS <= await sender.taken() < 65_535
        assert 0 < len(acknowledged) <= CHANNELS
        assert bystanders.memory() - before < HELD


async def test_messages_without_an_end(server: Server, room: str, bystanders: Bystanders) -> None:
    """On their way to 2^31 bytes: 4 MB of each, beyond limit and window, are kept nowhere."""

    async def endless(begin: int) -> int:
        async with with_data(server, f"{room}-{begin}") as attacker:
            sender = Sender(attacker)
            part, stream = b"z" * 1100, 600  # on which nothing came yet
            middle = (sender.data(part, stream, flags=begin - 2) for _ in range(3800))
            first = sender.data(part, stream, flags=begin)
            await sender.packets(itertools.chain([first], middle), 1)
            return await sender.taken()

    async with bystanders.unharmed():
        before = bystanders.memory()
        for taken in await asyncio.gather(endless(ORDERED), endless(UNORDERED)):
            assert 0 < taken <= MESSAGE // 1100 + 1
        assert bystanders.memory() - before < HELD


async def test_lengths_that_lie(server: Server, room: str, bystanders: Bystanders) -> None:
    """Chunks, labels and protocols that promise more than there is."""
    async with bystanders.unharmed(), with_data(server, room) as attacker:
        sender = Sender(attacker)
        for size in (0, 1, 0x7FFF, 0xFFFF):
            for lie in (
                open_message(size),
                open_message(0, size),
                open_message(size, size, b"short"),
            ):
                await attacker.sctp(sender.data(lie, 1, 50))
            for stated in (0, 1, 15, 17, 0x7FFF, 0xFFFF):
                head = struct.pack("!LHHL", sender.number, 1, 0, 53)
                await attacker.sctp(chunk(0, 7, head + b"x" * 20, stated))
        await asyncio.sleep(1)


async def test_hostile_messages(server: Server, room: str, bystanders: Bystanders) -> None:
    """Channels by the hundred, huge labels, messages beyond the limit, storms without order."""
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
