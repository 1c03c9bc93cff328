"""Class 3: malformed and unauthenticated STUN: never more bytes back than came, and no harm."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys

import pytest

from tests.attacks.bystanders import Bystanders
from tests.interop.servers import Server

COOKIE = 0x2112A442
# As many a second as it is told, by the kernel's segmentation (UDP_SEGMENT, udp(7)): 64 a call.
FLOOD = """
import socket, sys, time
port, rate, seconds = (int(word) for word in sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", port))
s.setsockopt(socket.IPPROTO_UDP, 103, 28)
plain = bytes.fromhex("000100082112a442") + b"x" * 12 + bytes.fromhex("8022000461626364")
named = bytes.fromhex("000100082112a442") + b"y" * 12 + bytes.fromhex("0006000461626364")
train, sent, began = (plain + named) * 32, 0, time.monotonic()
while (now := time.monotonic() - began) < seconds:
    if sent > now * rate:
        time.sleep(0.0005)
        continue
    try:
        s.send(train)
        sent += 64
    except OSError:
        pass
print(sent)
"""


def message(kind: int, attributes: bytes, length: int | None = None) -> bytes:
    """RFC 8489 section 5; `length` may lie."""
    size = len(attributes) if length is None else length
    return struct.pack("!HHI", kind, size & 0xFFFF, COOKIE) + os.urandom(12) + attributes


def attribute(kind: int, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    return struct.pack("!HH", kind, size & 0xFFFF) + value + b"\0" * (-len(value) % 4)


def malformed() -> list[bytes]:
    user = attribute(0x0006, b"aaaa:bbbb")
    mac, crc = attribute(0x0008, b"\0" * 20), attribute(0x8028, b"\0\0\0\0")
    unknown = b"".join(attribute(kind, b"1234") for kind in range(0x7F00, 0x7F20))
    return [
        message(0x0001, b""),
        message(0x0001, user),
        message(0x0001, user + mac),
        message(0x0001, user + mac + crc),
        message(0x0001, unknown),
        message(0x0001, attribute(0x0006, b"x", 0xFFFF)),
        message(0x0001, attribute(0x0006, b"", 3)),
        message(0x0001, b"\0" * 3, 3),
        message(0x0001, user, 0),
        message(0x0001, user, 0xFFFC),
        message(0x0101, user + mac),
        message(0x0111, attribute(0x0009, b"\0\0\4\1")),
        message(0x3FFF, b""),
        message(0x0001, attribute(0x0006, b"a" * 513)),
        message(0x0001, attribute(0x0006, bytes(range(256)))),
    ]


async def test_malformed_and_unauthenticated(server: Server, bystanders: Bystanders) -> None:
    async with bystanders.unharmed(1):
        for request in malformed():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.settimeout(0.15)
                probe.sendto(request, ("127.0.0.1", server.udp_port))
                returned = 0
                try:
                    while True:
                        returned += len(probe.recv(4096))
                except TimeoutError:
                    pass
                assert returned <= len(request), f"{returned} bytes for {len(request)}"


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [
        (20_000, 3),
        pytest.param(100_000, 20, marks=[pytest.mark.long, pytest.mark.part("attacks")]),
    ],
)
async def test_flood(server: Server, bystanders: Bystanders, rate: int, seconds: int) -> None:
    """From a process that shares the two cores with the server and everybody's clients."""
    async with bystanders.unharmed(seconds + 1):
        words = [sys.executable, "-c", FLOOD, *map(str, (server.udp_port, rate, seconds))]
        flood = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        output, _ = await flood.communicate()
        print(f"STUN flood: {int(output) / seconds:.0f} a second")
        assert int(output) >= 0.95 * rate * seconds
