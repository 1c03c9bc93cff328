"""An authenticated TURN client that asks for what it should not get (RFC 8656, RFC 6062).

`turn.check` asks only what a client of ours asks. Every request here returns the server's error
code, 0 when it was granted; 487 stands for no answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import os
import struct
import zlib

from turn.check import Server, Wire

COOKIE = 0x2112A442
ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND, CONNECT = 0x003, 0x004, 0x008, 0x009, 0x00A
UDP, TCP = 17, 6
IPV4, IPV6 = 1, 2
SILENCE = 487
PATIENCE = 5.0

Attribute = tuple[int, bytes]


def peer_address(peer: tuple[str, int], transaction: bytes) -> Attribute:
    """XOR-PEER-ADDRESS, of either family as it is written: a mapped address stays IPv6."""
    address = ipaddress.ip_address(peer[0])
    pad = struct.pack("!I", COOKIE) + transaction
    turned = bytes(a ^ b for a, b in zip(address.packed, pad, strict=False))
    family = IPV4 if address.version == 4 else IPV6
    return 0x0012, struct.pack("!BBH", 0, family, peer[1] ^ (COOKIE >> 16)) + turned


def encode(kind: int, transaction: bytes, attributes: list[Attribute], key: bytes) -> bytes:
    """With MESSAGE-INTEGRITY when there is a key, and a FINGERPRINT."""
    body = b"".join(
        struct.pack("!HH", number, len(value)) + value + b"\0" * (-len(value) % 4)
        for number, value in attributes
    )

    def head(more: int) -> bytes:
        return struct.pack("!HHI", kind, len(body) + more, COOKIE) + transaction

    if key:
        mac = hmac.new(key, head(24) + body, "sha1").digest()
        body += struct.pack("!HH", 0x0008, 20) + mac
    crc = zlib.crc32(head(8) + body) ^ 0x5354554E
    return head(8) + body + struct.pack("!HHI", 0x8028, 4, crc)


def decode(data: bytes) -> tuple[bytes, dict[int, bytes]]:
    """Transaction and attributes."""
    found, at = {}, 20
    while at + 4 <= len(data):
        number, size = struct.unpack_from("!HH", data, at)
        found[number] = data[at + 4 : at + 4 + size]
        at += 4 + size + (-size % 4)
    return data[8:20], found


class Probe:
    """One client on one wire; at most one allocation."""

    def __init__(self, wire: Wire, server: Server) -> None:
        self._wire, self._server = wire, server
        self._key = self._realm = self._nonce = b""
        self._channel = 0x4000

    async def allocate(self, transport: int = UDP, family: int = 0) -> int:
        wanted: list[Attribute] = [(0x0019, struct.pack("!I", transport << 24))]
        if family:
            wanted.append((0x0017, struct.pack("!I", family << 24)))
        return await self.ask(ALLOCATE, wanted)

    async def release(self) -> int:
        return await self.ask(REFRESH, [(0x000D, struct.pack("!I", 0))])

    async def permit(self, peer: tuple[str, int]) -> int:
        return await self.ask(CREATE_PERMISSION, [], peer)

    async def bind(self, peer: tuple[str, int]) -> int:
        self._channel += 1
        return await self.ask(CHANNEL_BIND, [(0x000C, struct.pack("!HH", self._channel, 0))], peer)

    async def connect(self, peer: tuple[str, int]) -> int:
        return await self.ask(CONNECT, [], peer)

    async def ask(
        self, method: int, attributes: list[Attribute], peer: tuple[str, int] | None = None
    ) -> int:
        code, answer = await self._once(method, attributes, peer)
        if code in (401, 438) and 0x0015 in answer:
            self._nonce, self._realm = answer[0x0015], answer.get(0x0014, self._realm)
            words = (self._server.username.encode(), self._realm, self._server.password.encode())
            # MD5 is what RFC 8489 section 9.2.2 derives this key with.
            key = hashlib.md5(b":".join(words), usedforsecurity=False).digest()
            if code == 401 and key == self._key:
                return code
            self._key = key
            code, _ = await self._once(method, attributes, peer)
        return code

    async def _once(
        self, method: int, attributes: list[Attribute], peer: tuple[str, int] | None
    ) -> tuple[int, dict[int, bytes]]:
        transaction = os.urandom(12)
        sent = list(attributes)
        if peer is not None:
            sent.append(peer_address(peer, transaction))
        if self._key:
            sent.append((0x0006, self._server.username.encode()))
            sent += [(0x0014, self._realm), (0x0015, self._nonce)]
        self._wire.send(encode(method, transaction, sent, self._key))
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    data = await self._wire.receive()
                    answered, found = decode(data)
                    if answered == transaction:
                        error = found.get(0x0009)
                        return (0 if error is None else error[2] * 100 + error[3]), found
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            return SILENCE, {}
