"""The load of `bench/sync.py`: very many WebSockets that cost little, for Sotto and for Centrifugo.

A socket is one asyncio protocol: frames are cut out of bytes and looked at with `find`, since the
load shares the machine with what it measures. Bodies carry their own time of sending.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARK = b"T!"
"""Before the 16 digits of nanoseconds in each body."""


class Peer(asyncio.Protocol):
    """One socket. `on_frame` gets the payload of each text frame."""

    def __init__(self, path: str, fields: str, on_frame: Callable[[Peer, bytes], None]) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"{fields}\r\n"
        ).encode()
        self.on_frame = on_frame
        self.opened = asyncio.get_running_loop().create_future()
        self.data: dict[str, Any] = {}
        self.waiting: dict[str, asyncio.Future[bytes]] = {}
        self.lost = False
        self._buffer = bytearray()
        self._up = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._up:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self._buffer[:20]:
                self.opened.set_exception(ConnectionError(bytes(self._buffer[-400:])))
                return
            del self._buffer[: end + 4]
            self._up = True
            self.opened.set_result(None)
        self._cut_frames()

    def _cut_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1] & 127, at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < start + size:
                break
            if buffer[at] == 0x81:
                self.on_frame(self, bytes(buffer[start : start + size]))
            at = start + size
        del buffer[:at]

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("lost"))

    def send(self, frame: Any) -> None:
        data = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        size = len(data)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        # A mask of zeros is a mask (RFC 6455 section 5.3); the load has better things to do.
        assert self.transport is not None
        self.transport.write(head + b"\0\0\0\0" + data)

    def wait(self, kind: str) -> asyncio.Future[bytes]:
        made: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.waiting[kind] = made
        return made


@functools.cache
def trusting() -> ssl.SSLContext:
    """Both servers speak TLS here, as they would in production; ours refuses sign-ins without."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def open_peer(
    port: int, path: str, fields: str, on_frame: Callable[[Peer, bytes], None]
) -> Peer:
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_connection(
        lambda: Peer(path, fields, on_frame), "127.0.0.1", port, ssl=trusting()
    )
    await peer.opened
    return peer


class Tally:
    """Latencies in milliseconds."""

    def __init__(self) -> None:
        self.acks: list[float] = []
        self.deliveries: list[float] = []

    def clear(self) -> None:
        self.acks.clear()
        self.deliveries.clear()

    def delivered(self, frame: bytes) -> None:
        now, at = time.perf_counter_ns(), frame.find(MARK)
        while at >= 0:
            self.deliveries.append((now - int(frame[at + 2 : at + 18])) / 1e6)
            at = frame.find(MARK, at + 18)


def stamp() -> str:
    return f"{MARK.decode()}{time.perf_counter_ns():016d}" + "x" * 60


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


async def paced(rate: float, seconds: float, send: Callable[[int], None]) -> int:
    """`send(n)` so often, whatever the answers do."""
    loop = asyncio.get_running_loop()
    start, sent = loop.time(), 0
    while (elapsed := loop.time() - start) < seconds:
        due = int(elapsed * rate)
        while sent < due:
            send(sent)
            sent += 1
        await asyncio.sleep(0.004)
    return sent


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
