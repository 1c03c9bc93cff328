"""Reads a TLS ClientHello as far as a listener needs it: the protocols (ALPN) and the server name.

Bytes in, facts out; nothing is trusted and nothing is decided (RFC 8446 section 4.1.2, RFC 7301,
RFC 6066 section 3). Pure; driven by `tls_accept`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# Larger than what any client sends (post-quantum key shares included); a record has 16 KiB.
MAX_HELLO = 32 * 1024
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_ALPN = 16
# First bytes of HTTP requests, which never begin a TLS record.
_METHODS = (b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT")


class Not(Enum):
    """What came instead of a hello."""

    TLS = "this is no TLS"
    HTTP = "this is plain HTTP"


@dataclass(frozen=True, slots=True)
class More:
    """Nothing can be said before `size` bytes are there."""

    size: int


@dataclass(frozen=True, slots=True)
class Hello:
    protocols: tuple[bytes, ...] = ()
    server_name: str = ""


class _Malformed(Exception):  # noqa: N818 - names what happened
    """There is less than a length promised."""


class _Reader:
    """Takes from the front; raises when there is too little."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise _Malformed
        self._at += size
        return part

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def read_hello(data: bytes) -> Hello | More | Not:
    """Of the first bytes of a connection. A hello may be spread over records."""
    message = b""
    at = 0
    while True:
        head = data[at : at + 5]
        if not head:
            return More(at + 5)
        if head[0] != _HANDSHAKE:
            return Not.HTTP if at == 0 and _is_http(data) else Not.TLS
        if len(head) >= 2 and head[1] != 3:
            return Not.TLS
        if len(head) < 5:
            return More(at + 5)
        size = int.from_bytes(head[3:5], "big")
        if size == 0 or size > 16384:
            return Not.TLS
        message += data[at + 5 : at + 5 + size]
        if message[:1] != bytes([_CLIENT_HELLO]) and message:
            return Not.TLS
        if len(message) >= 4:
            wanted = 4 + int.from_bytes(message[1:4], "big")
            if wanted > MAX_HELLO:
                return Not.TLS
            if len(message) >= wanted:
                return _parse(message[4:wanted])
        at += 5 + size
        if len(data) < at:
            return More(at)


def _is_http(data: bytes) -> bool:
    return any(data.startswith(method) for method in _METHODS)


def _parse(body: bytes) -> Hello | Not:
    try:
        reader = _Reader(body)
        reader.take(2 + 32)  # legacy version, random
        reader.vector(1)  # legacy session id
        reader.vector(2)  # cipher suites
        reader.vector(1)  # compression methods
        if not reader.left:
            return Hello()
        return _extensions(reader.vector(2))
    except _Malformed:
        return Not.TLS


def _extensions(data: bytes) -> Hello:
    reader = _Reader(data)
    protocols: tuple[bytes, ...] = ()
    name = ""
    while reader.left:
        kind, value = reader.number(2), reader.vector(2)
        if kind == _ALPN:
            protocols = _protocols(_Reader(value).vector(2))
        elif kind == _SERVER_NAME and value:
            name = _name(_Reader(value).vector(2))
    return Hello(protocols, name)


def _protocols(data: bytes) -> tuple[bytes, ...]:
    reader = _Reader(data)
    found = []
    while reader.left:
        found.append(reader.vector(1))
    return tuple(found)


def _name(data: bytes) -> str:
    reader = _Reader(data)
    kind, name = reader.number(1), reader.vector(2)
    return name.decode("ascii", "replace").lower() if kind == 0 else ""
