"""Whether this machine's name is known on its network by multicast DNS (RFC 6762).

Asks what a phone would ask, once, of the link alone; no resolver and no configuration is used, so
a name that only this machine's own tables know is not found. Driven by `sotto dev --lan`.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import time
from collections.abc import Iterator

GROUP = ("224.0.0.251", 5353)
# A responder on this machine answers at once; its answer to a shared question may wait 120 ms.
WAIT = 0.5
_A, _IN = 1, 1
_POINTER = 0xC0
_ANSWERS = 32


def published(name: str, address: str, group: tuple[str, int] = GROUP, wait: float = WAIT) -> bool:
    """Does somebody on `address`'s network say that `name` is at `address`?"""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        sock.bind((address, 0))
        number = secrets.randbelow(0x10000)
        sock.sendto(_question(number, name), group)
        deadline = time.monotonic() + wait
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            if address in answered(sock.recv(9000), number):
                return True
    return False


def _question(number: int, name: str) -> bytes:
    """From a port of our own, so it is answered to us alone (RFC 6762 section 6.7)."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", number, 0, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, _A, _IN)


def answered(message: bytes, number: int) -> list[str]:
    """The IPv4 addresses in an answer to our question; none in anything else."""
    try:
        return list(_addresses(message, number))
    except (struct.error, IndexError):
        return []


def _addresses(message: bytes, number: int) -> Iterator[str]:
    got, flags, questions, answers = struct.unpack_from("!4H", message)
    if got != number or not flags & 0x8000 or questions > 1:
        return
    at = 12
    for _ in range(questions):
        at = _behind_name(message, at) + 4
    for _ in range(min(answers, _ANSWERS)):
        at = _behind_name(message, at)
        kind, family, _, size = struct.unpack_from("!HHIH", message, at)
        at += 10
        # The highest bit of the class says that older answers are to be forgotten.
        if (kind, family & 0x7FFF, size) == (_A, _IN, 4) and at + 4 <= len(message):
            yield socket.inet_ntoa(message[at : at + 4])
        at += size


def _behind_name(message: bytes, at: int) -> int:
    """Ours was the only question, so whose address it is need not be read."""
    while message[at]:
        if message[at] >= _POINTER:
            return at + 2
        at += 1 + message[at]
    return at + 1
