"""Syslog over TLS: RFC 5424 messages in the octet-counted frames of RFC 5425 (RFC 6587, 3.4.1).

The message is the record as JSON in ASCII. Nothing is acknowledged: an end of the connection is
noticed at once, a silent one within half a minute by keep-alives and TCP's user time-out, so the
overlap must be longer than that and than what the receiver holds before it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from signaling.compliance.audit.entry import Record
from signaling.compliance.audit.export import json_line, timestamp
from signaling.errors import Unavailable

# Severities of RFC 5424 section 6.2.1.
SEVERITY = {"allowed": 6, "denied": 4, "failed": 3}
CONNECT_SECONDS = 10.0
SEND_SECONDS = 20.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True)
class SyslogTarget:
    """Where, and as whom. `context` verifies the receiver; None speaks plain TCP, on loopback."""

    host: str
    port: int
    context: ssl.SSLContext | None
    server_name: str = ""
    facility: int = 13
    host_name: str = "-"
    process: str = "-"
    overlap: float = 60.0


def client_context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """Raises OSError for files that cannot be used."""
    context = ssl.create_default_context(cafile=authority or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def message(record: Record, target: SyslogTarget) -> bytes:
    """RFC 5424 section 6. MSGID is the action; no structured data beyond who we are."""
    priority = target.facility * 8 + SEVERITY[record.result]
    head = " ".join(
        (
            f"<{priority}>1",
            timestamp(record.at),
            field_of(target.host_name, 255),
            "sotto",
            field_of(target.process, 128),
            field_of(record.action, 32),
            '[origin software="sotto"]',
        )
    )
    return head.encode("ascii") + b" " + json_line(record).rstrip(b"\n")


def frame(text: bytes) -> bytes:
    return str(len(text)).encode("ascii") + b" " + text


def field_of(text: str, most: int) -> str:
    return _NOT_PRINTABLE.sub("_", text)[:most] or "-"


class Line:
    """A connection on which nothing is acknowledged. States: closed, connected, lost. `connect` is
    asked at the first write and again after a loss.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._writer: asyncio.StreamWriter | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def lost(self) -> bool:
        return self._watch is not None and self._watch.done()

    async def write(self, frames: Iterable[bytes]) -> None:
        """Raises Unavailable; then some of it may have arrived."""
        writer = await self._connected()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                writer.writelines(frames)
                await writer.drain()
        except (OSError, TimeoutError) as error:
            await self.close()
            raise Unavailable(f"the connection was lost: {_reason(error)}") from error
        await self.check()

    async def check(self) -> None:
        if self.lost:
            await self.close()
            raise Unavailable("the receiver ended the connection")

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(2.0):
                    await writer.wait_closed()

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is not None:
            return self._writer
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await self._connect()
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"no connection: {_reason(error)}") from error
        _notice_silence(writer)
        # `drain` then waits until our own buffer is empty. At 0 asyncio's TLS pauses for ever.
        writer.transport.set_write_buffer_limits(high=1, low=0)
        self._writer = writer
        self._watch = asyncio.create_task(_until_end(reader))
        return writer


class SyslogSink:
    """Records of the audit over one line."""

    name = "syslog"

    def __init__(self, target: SyslogTarget) -> None:
        self._target = target
        self._line = Line(self._connect)

    @property
    def overlap(self) -> float:
        return self._target.overlap

    async def send(self, app: str, records: Sequence[Record]) -> None:
        await self._line.write(frame(message(record, self._target)) for record in records)

    async def check(self) -> None:
        await self._line.check()

    async def close(self) -> None:
        await self._line.close()

    async def _connect(self) -> Streams:
        target = self._target
        name = (target.server_name or target.host) if target.context is not None else None
        return await asyncio.open_connection(
            target.host, target.port, ssl=target.context, server_hostname=name
        )


async def _until_end(reader: asyncio.StreamReader) -> None:
    """A syslog receiver says nothing; what it says all the same is not kept."""
    with contextlib.suppress(OSError):
        while await reader.read(4096):
            pass


def _notice_silence(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    # RFC 5482: unacknowledged data for so long ends the connection.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused ({error.verify_message})"
    return type(error).__name__
