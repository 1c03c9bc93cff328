"""Socket clients that speak STUN to a real engine, over UDP and framed TCP.

Written from RFC 8489 and RFC 4571 alone, so that a mistake of the engine's own codec cannot
hide itself. Blocking sockets with short time-outs; no ICE agent.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from mediaserver import _engine
from mediaserver.engine_types import EngineConfig, EngineLimits, Event, LocalIce

COOKIE = 0x2112A442
REQUEST, SUCCESS = 0x0001, 0x0101
USERNAME, INTEGRITY, FINGERPRINT = 0x0006, 0x0008, 0x8028
PRIORITY, USE_CANDIDATE, CONTROLLING, MAPPED = 0x0024, 0x0025, 0x802A, 0x0020
REMOTE_UFRAG, REMOTE_PWD = "cafe", "remotepasswordremotepwd"
PATIENCE = 20.0
SILENCE = 0.15


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(kind: int, transaction: bytes, body: bytes, password: str | None) -> bytes:
    """A STUN message with integrity (when there is a password) and fingerprint."""

    def head(length: int) -> bytes:
        return struct.pack("!HHI", kind, length, COOKIE) + transaction

    if password is not None:
        covered = head(len(body) + 24) + body
        tag = hmac.new(password.encode(), covered, hashlib.sha1).digest()
        body += attribute(INTEGRITY, tag)
    covered = head(len(body) + 8) + body
    crc = binascii.crc32(covered) ^ 0x5354554E
    return covered + attribute(FINGERPRINT, struct.pack("!I", crc))


def binding(
    ice: LocalIce, *, pwd: str | None = None, nominate: bool = True, transaction: bytes = b""
) -> bytes:
    """A connectivity check of a controlling agent (RFC 8445 section 7.2.2)."""
    body = attribute(USERNAME, f"{ice.ufrag}:{REMOTE_UFRAG}".encode())
    body += attribute(PRIORITY, struct.pack("!I", 0x6E7F1EFF))
    body += attribute(CONTROLLING, bytes(8))
    if nominate:
        body += attribute(USE_CANDIDATE, b"")
    transaction = transaction or secrets.token_bytes(12)
    return message(REQUEST, transaction, body, ice.pwd if pwd is None else pwd)


@dataclass(frozen=True)
class Answer:
    kind: int
    transaction: bytes
    attributes: dict[int, bytes]

    @property
    def mapped_port(self) -> int:
        return int.from_bytes(self.attributes[MAPPED][2:4], "big") ^ (COOKIE >> 16)


def parse(datagram: bytes) -> Answer:
    kind, length, cookie = struct.unpack("!HHI", datagram[:8])
    assert cookie == COOKIE
    assert length == len(datagram) - 20
    attributes: dict[int, bytes] = {}
    at = 20
    while at < len(datagram):
        name, size = struct.unpack("!HH", datagram[at : at + 4])
        attributes[name] = datagram[at + 4 : at + 4 + size]
        at += 4 + size + (-size % 4)
    return Answer(kind, datagram[8:20], attributes)


class UdpClient:
    """One remote address of one engine."""

    def __init__(self, engine: _engine.Engine, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.connect((host, engine.udp_port))

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def send(self, datagram: bytes) -> None:
        self.socket.send(datagram)

    def receive(self, patience: float = PATIENCE) -> bytes | None:
        self.socket.settimeout(patience)
        try:
            return self.socket.recv(65_536)
        except TimeoutError:
            return None

    def ask(self, datagram: bytes, patience: float = PATIENCE) -> Answer | None:
        self.send(datagram)
        answer = self.receive(patience)
        return None if answer is None else parse(answer)

    def close(self) -> None:
        self.socket.close()

    def __del__(self) -> None:
        self.socket.close()


class TcpClient:
    """One ICE-TCP connection; frames by RFC 4571."""

    def __init__(self, engine: _engine.Engine, host: str = "127.0.0.1") -> None:
        assert engine.tcp_port is not None
        self.socket = socket.create_connection((host, engine.tcp_port), PATIENCE)

    def send(self, frame: bytes) -> None:
        self.socket.sendall(struct.pack("!H", len(frame)) + frame)

    def receive(self, patience: float = PATIENCE) -> bytes | None:
        """A frame; None when nothing comes; b"" when the engine closed the connection."""
        self.socket.settimeout(patience)
        try:
            size = self._exactly(2)
            return self._exactly(int.from_bytes(size, "big")) if size else b""
        except TimeoutError:
            return None
        except ConnectionResetError:
            return b""

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                return b""
            data += piece
        return data

    def ask(self, frame: bytes, patience: float = PATIENCE) -> Answer | None:
        self.send(frame)
        answer = self.receive(patience)
        return parse(answer) if answer else None

    def closed_by_engine(self, patience: float = PATIENCE) -> bool:
        return self.receive(patience) == b""

    def close(self) -> None:
        self.socket.close()

    def __del__(self) -> None:
        self.socket.close()


LOOPBACK = EngineConfig(
    udp_addresses=("127.0.0.1",),
    tcp_addresses=("127.0.0.1",),
    tcp_port=0,
    workers=1,
    seed=1,
    limits=EngineLimits(tcp_first_frame_ms=1_500, tcp_idle_ms=2_000, tcp_stall_ms=600),
)


@contextmanager
def running(**changes: object) -> Iterator[_engine.Engine]:
    """An engine on loopback with `LOOPBACK`'s configuration, changed; closed at the end."""
    engine = _engine.Engine(replace(LOOPBACK, **changes))  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        engine.close()


def new_transport(engine: _engine.Engine, worker: int | None = None) -> LocalIce:
    ice = engine.create_transport(1, worker)
    engine.set_remote_ice(ice.transport, REMOTE_UFRAG, REMOTE_PWD)
    return ice


def wait_for(engine: _engine.Engine, kind: type[Event], count: int = 1) -> list[Event]:
    """All events until `count` of this kind have come; fails after `PATIENCE` without any."""
    import select

    seen: list[Event] = []
    while sum(isinstance(event, kind) for event in seen) < count:
        ready, _, _ = select.select([engine.event_fd()], [], [], PATIENCE)
        assert ready, f"{kind.__name__} did not come; seen {seen}"
        seen += engine.events()
    return seen
