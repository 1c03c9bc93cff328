"""Cases of RFC 6455 for a server's socket: what a client sends, and how that must end.

The sections are those of the Autobahn test suite, whose fuzzing client wants Python 2 and a server
that echoes; these need neither. A case is made for a socket's own kind of message.
"""

from __future__ import annotations

import base64
import os
import struct
import urllib.parse
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from livekit.protocol import rtc

from tests.interop.servers import Server

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
PROTOCOL, NOT_TEXT, TOO_LARGE = 1002, 1007, 1009
NORMAL, GOING, UNSUPPORTED = 1000, 1001, 1003
ALIVE = 0
"""The socket goes on and answers."""
DEFLATED_ZEROS = 10_000_000


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """RFC 6455 section 5.2; `length` may lie, `width` (0, 2 or 8 bytes) be more than it needs."""
    size = len(payload) if length is None else length
    wide = (0 if size < 126 else 2 if size < 65536 else 8) if width is None else width
    short = {0: size, 2: 126, 8: 127}[wide]
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if masked else 0) | short])
    head += {0: b"", 2: struct.pack("!H", size & 0xFFFF), 8: struct.pack("!Q", size)}[wide]
    if not masked:
        return head + payload
    mask = os.urandom(4)
    pattern = mask * (len(payload) // 4 + 1)
    turned = int.from_bytes(payload, "big") ^ int.from_bytes(pattern[: len(payload)], "big")
    return head + mask + turned.to_bytes(len(payload), "big")


@dataclass(frozen=True)
class Case:
    name: str
    sent: bytes
    ends: frozenset[int]
    """Close codes that are right, or ALIVE."""
    pong: bytes | None = None
    """What a pong must hold."""
    said: bool = False
    """The kind's good message is in it, and must be answered."""
    piecewise: bool = False
    """Byte by byte."""


def case(name: str, sent: bytes, *ends: int, pong: bytes | None = None, said: bool = False) -> Case:
    return Case(name, sent, frozenset(ends), pong, said)


@dataclass(frozen=True)
class Kind:
    """A socket's own messages: the opcode of a good one, and how one of any size is made."""

    opcode: int
    good: bytes
    probe: bytes
    """Another good message, whose answer is told apart."""
    answer: bytes
    """In what answers the good one."""
    probed: bytes
    limit: int

    def sized(self, size: int) -> bytes:
        """A message of about this size that changes nothing."""
        if self.opcode == TEXT:
            return self.good[:-1] + b" " * max(0, size - len(self.good)) + b"}"
        filler = max(0, size - len(self.good) - 6)
        head, value = b"\xf2\x07", filler  # field 126, which nobody knows, as bytes
        coded = bytearray()
        while value > 127:
            coded.append(value & 127 | 128)
            value >>= 7
        coded.append(value)
        return self.good + head + bytes(coded) + b"x" * filler


def lengths(kind: Kind) -> Iterator[Case]:
    for size in (125, 126, 127, 128, 65534, 65535, 65536, kind.limit - 4096):
        if size < kind.limit:
            sent = frame(kind.opcode, kind.sized(size))
            yield case(f"a message of {size}", sent, ALIVE, said=True)
    for width in (2, 8):
        sent = frame(kind.opcode, kind.good, width=width)
        yield case(f"a short length in {width} bytes", sent, ALIVE, PROTOCOL)
    for size in (kind.limit + 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        sent = frame(kind.opcode, b"x" * 100, length=size, width=8)
        yield case(f"a length of {size} that lies", sent, TOO_LARGE, PROTOCOL)
    yield case("too large a message", frame(kind.opcode, kind.sized(kind.limit + 1)), TOO_LARGE)


def controls(_: Kind) -> Iterator[Case]:
    for payload in (b"", b"hello", bytes(range(0x80, 0xFD))[:125]):
        yield case(f"a ping of {len(payload)}", frame(PING, payload), ALIVE, pong=payload)
    yield case("an unasked pong", frame(PONG, b"who"), ALIVE)
    for opcode in (PING, PONG, CLOSE):
        yield case(f"control {opcode} of 126", frame(opcode, b"\x03\xe8" + b"x" * 124), PROTOCOL)
        yield case(f"control {opcode} in parts", frame(opcode, b"", fin=False), PROTOCOL)
    yield case("ten pings", b"".join(frame(PING, b"%d" % n) for n in range(10)), ALIVE, pong=b"9")


def reserved(kind: Kind) -> Iterator[Case]:
    for rsv in range(1, 8):
        for opcode in (TEXT, BINARY, PING, CLOSE):
            payload = {TEXT: kind.good, BINARY: kind.good, CLOSE: b"\x03\xe8"}.get(opcode, b"")
            sent = frame(opcode, payload, rsv=rsv)
            yield case(f"reserved bits {rsv:03b} of {opcode}", sent, PROTOCOL)
    for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF):
        for payload in (b"", b"x" * 20):
            yield case(f"opcode {opcode} with {len(payload)}", frame(opcode, payload), PROTOCOL)


def fragments(kind: Kind) -> Iterator[Case]:
    good, opcode = kind.good, kind.opcode
    head, tail = good[:3], good[3:]
    begun = frame(opcode, head, fin=False)
    yield case("two parts", begun + frame(CONTINUED, tail), ALIVE, said=True)
    parts = b"".join(frame(CONTINUED, bytes([b]), fin=False) for b in good[1:])
    single = frame(opcode, good[:1], fin=False) + parts + frame(CONTINUED)
    yield case("a part for each byte", single, ALIVE, said=True)
    empty = frame(CONTINUED, fin=False) * 50
    yield case("empty parts", begun + empty + frame(CONTINUED, tail), ALIVE, said=True)
    between = begun + frame(PING, b"between") + frame(CONTINUED, tail)
    yield case("a ping between parts", between, ALIVE, pong=b"between", said=True)
    yield Case("every byte alone", between, frozenset({ALIVE}), b"between", True, piecewise=True)
    for fin in (True, False):
        yield case(f"continues nothing, fin {fin}", frame(CONTINUED, good, fin=fin), PROTOCOL)
        again = begun + frame(opcode, good, fin=fin)
        yield case(f"a message inside a message, fin {fin}", again, PROTOCOL)
    ended = begun + frame(CONTINUED, tail) + frame(CONTINUED, b"more")
    yield case("continues what has ended", ended, PROTOCOL)
    endless = frame(opcode, b"x", fin=False) + frame(CONTINUED, b"x" * 60_000, fin=False) * (
        kind.limit // 60_000 + 1
    )
    yield case("parts without an end", endless, TOO_LARGE)


# Broken UTF-8 (RFC 3629): lone, missing and wrong continuations, overlong, surrogates, beyond.
BROKEN = {
    "a continuation alone": b"\x80",
    "cut short": b"\xce\xba\xe1",
    "wrong continuation": b"\xc3\x28",
    "overlong": b"\xc0\xaf",
    "overlong in four": b"\xf0\x80\x80\xaf",
    "surrogate": b"\xed\xa0\x80",
    "surrogates in a pair": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "never a byte": b"\xfe\xff",
}


def texts(_: Kind) -> Iterator[Case]:
    for name, broken in BROKEN.items():
        text = b'{"type":"' + broken + b'"}'
        yield case(f"text: {name}", frame(TEXT, text), NOT_TEXT)
        for at in range(10, 9 + len(broken)):
            sent = frame(TEXT, text[:at], fin=False) + frame(CONTINUED, text[at:])
            yield case(f"text: {name}, split at {at}", sent, NOT_TEXT)


def closes(_: Kind) -> Iterator[Case]:
    yield case("close without a code", frame(CLOSE), NORMAL, 1005)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield case(f"close {code}", frame(CLOSE, struct.pack("!H", code)), code, NORMAL)
    # No peer may say 1006; aiohttp takes it for a close without a reason.
    yield case("close 1006", frame(CLOSE, struct.pack("!H", 1006)), PROTOCOL, NORMAL)
    for code in (0, 1, 999, 1004, 1005, 1016, 1100, 2000, 2999):
        yield case(f"close {code}", frame(CLOSE, struct.pack("!H", code)), PROTOCOL)
    yield case("close of one byte", frame(CLOSE, b"\x03"), PROTOCOL)
    yield case("close with the longest reason", frame(CLOSE, b"\x03\xe8" + b"r" * 123), NORMAL)
    yield case("close with a broken reason", frame(CLOSE, b"\x03\xe8\xce\xba\xe1"), NOT_TEXT)
    yield case("words after a close", frame(CLOSE, b"\x03\xe8") + frame(PING, b"late"), NORMAL)


def bombs(kind: Kind) -> Iterator[Case]:
    """Compression that was not agreed upon: its bit is a reserved one, nothing is inflated."""
    maker = zlib.compressobj(9, wbits=-15)
    small = maker.compress(bytes(DEFLATED_ZEROS)) + maker.flush(zlib.Z_SYNC_FLUSH)
    yield case("a compressed message", frame(kind.opcode, small[:-4], rsv=4), PROTOCOL)
    parts = frame(kind.opcode, small[:100], fin=False, rsv=4) + frame(CONTINUED, small[100:])
    yield case("a compressed message in parts", parts, PROTOCOL)


def masks(kind: Kind) -> Iterator[Case]:
    """Section 5.1: what a client did not mask is not read, and ends the socket."""
    bare = frame(kind.opcode, kind.good, masked=False)
    yield case("a message without a mask", bare, PROTOCOL)
    yield Case("a message without a mask, by bytes", bare, frozenset({PROTOCOL}), piecewise=True)
    yield case("a ping without a mask", frame(PING, b"bare", masked=False), PROTOCOL)
    closing = frame(CLOSE, b"\x03\xe8", masked=False)
    yield case("a close without a mask", closing, PROTOCOL)
    last = frame(CONTINUED, kind.good[3:], masked=False)
    mixed = frame(kind.opcode, kind.good[:3], fin=False) + last
    yield case("a part without a mask", mixed, PROTOCOL)
    yield case("no mask after a good message", frame(kind.opcode, kind.good) + bare, PROTOCOL)


def cases(kind: Kind) -> list[Case]:
    makers = (lengths, controls, reserved, fragments, texts, closes, bombs, masks)
    return [made for maker in makers for made in maker(kind)]


def call_path(server: Server, room: str, identity: str) -> str:
    """Where a LiveKit client opens its socket."""
    joining = rtc.JoinRequest(connection_settings=rtc.ConnectionSettings(auto_subscribe=False))
    inner = joining.SerializeToString()
    wrapped = rtc.WrappedJoinRequest(join_request=inner).SerializeToString()
    coded = base64.urlsafe_b64encode(wrapped).decode()
    token = server.token(room, identity)
    query = urllib.parse.urlencode({"access_token": token, "join_request": coded})
    return f"/rtc/v1?{query}"
