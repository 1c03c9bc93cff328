"""The header of a data track packet: 12 bytes, of which the server reads the handle and rewrites
it.

Layout (LiveKit data tracks, version 0): flags, reserved, handle, sequence number, frame number
(16 bits each after the first two bytes), timestamp (32 bits), then extensions when X is set.
Pure.
"""

from __future__ import annotations

import struct

HEADER_BYTES = 12
_HANDLE = slice(2, 4)
_EXTENSIONS = 0x04
_START = 0x10
_VERSION_SHIFT = 5


def handle_of(packet: bytes) -> int | None:
    """None when the packet is not a well formed version 0 packet."""
    if len(packet) < HEADER_BYTES or packet[0] >> _VERSION_SHIFT != 0:
        return None
    if packet[0] & _EXTENSIONS and not _extensions_fit(packet):
        return None
    handle: int = struct.unpack_from("!H", packet, 2)[0]
    return handle or None


def with_handle(packet: bytes, handle: int) -> bytes:
    out = bytearray(packet)
    out[_HANDLE] = struct.pack("!H", handle)
    return bytes(out)


def starts_frame(packet: bytes) -> bool:
    return bool(packet[0] & _START)


def frame_number(packet: bytes) -> int:
    number: int = struct.unpack_from("!H", packet, 6)[0]
    return number


def _extensions_fit(packet: bytes) -> bool:
    """The size counts 32-bit words minus one and includes its own two bytes."""
    if len(packet) < HEADER_BYTES + 2:
        return False
    words: int = struct.unpack_from("!H", packet, HEADER_BYTES)[0] + 1
    end = HEADER_BYTES + words * 4
    if len(packet) < end:
        return False
    at = HEADER_BYTES + 2
    while at < end and packet[at] != 0:
        if at + 2 > end or at + 2 + packet[at + 1] > end:
            return False
        at += 2 + packet[at + 1]
    return True
