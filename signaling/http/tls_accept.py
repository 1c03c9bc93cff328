"""A new connection of a TLS listener, until its ClientHello says which certificate it wants.

Holds a place in the `Gate` from the first byte on, so that handshakes count as connections. An
`acme-tls/1` hello gets the challenge's context (RFC 8737), plain HTTP one sentence, all others the
server's own. Driven by `listener`.

    WAITING --hello, its turn--> TLS (asyncio's own protocol)   --anything else, too late--> closed
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import math
import ssl
from collections.abc import Callable
from typing import cast

from signaling.http.gate import Gate, address_of
from signaling.http.hello import MAX_HELLO, Hello, More, Not, read_hello
from signaling.http.turns import Turns

ACME = b"acme-tls/1"
SHUTDOWN_SECONDS = 2
# RFC 9110 section 15.5.1; the connection is not worth a body of JSON to its listener.
PLAIN = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 33\r\nConnection: close\r\n\r\nThis port speaks https, not http\n"
)
ContextOf = Callable[[Hello], ssl.SSLContext | None]
"""The context for a hello; None refuses it."""


class Counted(asyncio.sslproto.SSLProtocol):
    """asyncio's TLS, which gives the place in the gate back when the socket is gone."""

    leave: Callable[[], None]
    # asyncio's own.
    _app_protocol: asyncio.Protocol
    _call_eof_received: Callable[[], None]
    _incoming: ssl.MemoryBIO
    _sslobj: ssl.SSLObject

    def connection_lost(self, exc: BaseException | None) -> None:
        self.leave()
        super().connection_lost(exc)

    def _do_read__copied(self) -> None:
        """asyncio reads until OpenSSL says by an exception that it has no more, which costs as much
        as the reading. Most requests are one record: where nothing is left behind it, that is
        known.
        """
        tls = self._sslobj
        parts: list[bytes] = []
        ended = left = False
        try:
            while not ended and (left or not parts):
                part = tls.read(self.max_size)
                ended = not part  # close_notify (RFC 8446 section 6.1)
                parts.append(part)
                left = self._incoming.pending > 0 or tls.pending() > 0
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            pass
        if data := b"".join(parts):
            self._app_protocol.data_received(data)
        if ended:
            self._call_eof_received()
            self._start_shutdown()


class Accepting(asyncio.Protocol):
    """Owned by its transport. `make` makes the protocol that speaks inside of TLS."""

    def __init__(
        self,
        gate: Gate,
        seconds: float,
        context_of: ContextOf,
        make: Callable[[], asyncio.BaseProtocol],
        turns: Turns,
    ) -> None:
        self._gate = gate
        self._seconds = seconds
        self._context_of = context_of
        self._make = make
        self._turns = turns
        self._seen = bytearray()
        self._wanted = 1
        self._address: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = address_of(transport)
        if not self._gate.enter(address):
            self._transport.abort()
            return
        self._address = address
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._seconds, self._expire)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._disarm()
        self._leave()

    def data_received(self, data: bytes) -> None:
        if self._address is None or self._transport.is_closing():
            return
        self._seen += data
        if len(self._seen) < self._wanted:
            return  # read once for each record, not once for each byte that trickles in
        hello = read_hello(bytes(self._seen))
        if isinstance(hello, More) and hello.size <= MAX_HELLO:
            self._wanted = hello.size
            return
        if hello is Not.HTTP:
            self._gate.refused["plain_http"] += 1
            self._transport.write(PLAIN)
            self._transport.close()
        elif isinstance(hello, Hello) and (context := self._context_of(hello)) is not None:
            self._hand_over(context)
        elif isinstance(hello, Hello):
            self._transport.abort()
        else:
            # OpenSSL answers what is no hello with the alert that belongs to it.
            self._hand_over(self._context_of(Hello()))

    def _hand_over(self, context: ssl.SSLContext | None) -> None:
        self._disarm()
        if context is None:
            self._transport.abort()
            return
        # It has said what it must; nothing is read until its turn.
        self._transport.pause_reading()
        self._turns.take(lambda: self._shake_hands(context))

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        if self._transport.is_closing():
            return
        self._transport.resume_reading()
        loop = asyncio.get_running_loop()
        protocol = Counted(
            loop,
            self._make(),
            context,
            _unwatched(loop),
            server_side=True,
            ssl_handshake_timeout=max(1, math.ceil(self._seconds)),
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        protocol.leave = self._leave
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        left = memoryview(bytes(self._seen))
        self._seen.clear()
        while left and not self._transport.is_closing():
            room = protocol.get_buffer(len(left))
            size = min(len(room), len(left))
            room[:size] = left[:size]
            protocol.buffer_updated(size)
            left = left[size:]

    def _leave(self) -> None:
        if self._address is not None:
            self._gate.leave(self._address)
            self._address = None

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._gate.refused["slow_handshake"] += 1
        self._transport.abort()


def _unwatched(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """What asyncio tells of the handshake: one that fails is the client's business."""
    waiter: asyncio.Future[None] = loop.create_future()
    waiter.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return waiter
