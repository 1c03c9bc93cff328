"""ClientHellos by hand, and what a DTLS server says to them (RFC 6347, RFC 5246, RFC 5764).

They offer what no stack of today can be brought to offer: old versions, NULL and CBC suites.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

DTLS_1_0, DTLS_1_2 = 0xFEFF, 0xFEFD
HANDSHAKE, ALERT = 22, 21
FATAL = 2

SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
    "ECDHE-ECDSA-AES128-SHA": 0xC009,
    "ECDHE-ECDSA-AES256-SHA": 0xC00A,
    "ECDHE-ECDSA-AES128-SHA256": 0xC023,
    "ECDHE-ECDSA-AES256-SHA384": 0xC024,
    "ECDHE-RSA-AES128-SHA": 0xC013,
    "ECDHE-ECDSA-3DES-SHA": 0xC008,
    "ECDHE-ECDSA-NULL-SHA": 0xC006,
    "AES128-SHA": 0x002F,
    "AES128-GCM-SHA256": 0x009C,
    "NULL-SHA256": 0x003B,
    "ADH-AES128-GCM-SHA256": 0x00A6,
    "ECDHE-ECDSA-AES128-CCM-8": 0xC0AE,
}
STRONG = tuple(SUITES)[:3]
AES128_CM_SHA1_80, AES128_CM_SHA1_32 = 0x0001, 0x0002
NULL_SHA1_80, NULL_SHA1_32 = 0x0005, 0x0006


@dataclass(frozen=True)
class Said:
    """What came back: a ServerHello's choices, or a fatal alert, or neither."""

    version: int = 0
    suite: int = 0
    srtp: int = 0
    """The SRTP profile, 0 without one."""
    alert: int = 0


def record(
    body: bytes, kind: int = HANDSHAKE, version: int = DTLS_1_2, epoch: int = 0, sequence: int = 0
) -> bytes:
    head = struct.pack("!BHH", kind, version, epoch) + sequence.to_bytes(6, "big")
    return head + struct.pack("!H", len(body)) + body


def message(kind: int, body: bytes, sequence: int = 0) -> bytes:
    """One handshake message in one fragment."""
    size = len(body).to_bytes(3, "big")
    return bytes([kind]) + size + struct.pack("!H", sequence) + b"\0\0\0" + size + body


def _extension(number: int, body: bytes) -> bytes:
    return struct.pack("!HH", number, len(body)) + body


def _numbers(values: Sequence[int], size: int = 2) -> bytes:
    body = b"".join(struct.pack("!H", value) for value in values)
    return len(body).to_bytes(size, "big") + body


def client_hello(
    suites: Sequence[str] = STRONG,
    version: int = DTLS_1_2,
    profiles: Sequence[int] = (AES128_CM_SHA1_80,),
    sequence: int = 0,
) -> bytes:
    """One datagram. Groups X25519 and P-256; ECDSA and RSA with SHA-256 and SHA-1."""
    extensions = (
        _extension(10, _numbers([0x001D, 0x0017]))
        + _extension(11, b"\x01\x00")
        + _extension(13, _numbers([0x0403, 0x0401, 0x0804, 0x0203, 0x0201]))
        + _extension(14, _numbers(profiles) + b"\0")
        + _extension(23, b"")
    )
    body = struct.pack("!H", version) + os.urandom(32) + b"\0\0"
    body += _numbers([SUITES[name] for name in suites]) + b"\x01\0"
    body += struct.pack("!H", len(extensions)) + extensions
    return record(message(1, body), version=version, sequence=sequence)


def read(datagrams: Sequence[bytes]) -> Said:
    """The first ServerHello or fatal alert in clear records."""
    for data in datagrams:
        at = 0
        while at + 13 <= len(data):
            size = int.from_bytes(data[at + 11 : at + 13], "big")
            body = data[at + 13 : at + 13 + size]
            if data[at] == ALERT and body[:1] == bytes([FATAL]):
                return Said(alert=body[1])
            if data[at] == HANDSHAKE and body[:1] == b"\x02":
                return _server_hello(body[12:])
            at += 13 + size
    return Said()


def _server_hello(body: bytes) -> Said:
    (version,) = struct.unpack_from("!H", body)
    at = 35 + body[34]
    (suite,) = struct.unpack_from("!H", body, at)
    at += 5  # the suite, the compression method, the length of the extensions
    srtp = 0
    while at + 4 <= len(body):
        number, size = struct.unpack_from("!HH", body, at)
        if number == 14:
            (srtp,) = struct.unpack_from("!H", body, at + 6)
        at += 4 + size
    return Said(version, suite, srtp)
