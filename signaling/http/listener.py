"""Sockets of the public listeners, and the guards that aiohttp lacks.

aiohttp keeps a connection whose header never ends open for minutes, counts nothing, and takes a
client's frames without a mask. `Guarded` closes the one, has `Masked` refuse the other, and `Gate`
bounds how many connections stand. Driven by `app`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

from aiohttp import web
from aiohttp.http import WebSocketReader
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from signaling.config import Limits
from signaling.errors import Code, ConfigError
from signaling.http.gate import Gate, Open, address_of
from signaling.http.hello import Hello
from signaling.http.masks import Masked
from signaling.http.middleware import ALWAYS
from signaling.http.problem import problem
from signaling.http.tls_accept import ACME, Accepting, ContextOf
from signaling.http.turns import Turns

log = logging.getLogger(__name__)

SEND_BUFFER = 256 * 1024
UNSENT = 64 * 1024
DEAD_MS = 20_000  # unacknowledged for so long: the other side is gone (RFC 5482)
TCP_NOTSENT_LOWAT = 25  # netinet/tcp.h; Python names it from 3.12 on
WAITING = 4096
"""Connections that the kernel holds until we take them, as far as `net.core.somaxconn` lets it: who
finds no place there tries again after a second."""
ACCEPTED_AT_ONCE = 16
"""In one step of the loop. Taking all that wait, as asyncio does of itself, kept everybody else
waiting for a fifth of a second when 2,000 came; and their hellos come together then, too."""


class OneTask:
    """The loop, as aiohttp's connections ask it: a request to which they would give its own task is
    run by the connection's, which only waits for it. Two steps of the loop less for each, as from
    Python 3.12 on in aiohttp itself. What a handler binds to its context it must undo.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.time, self.call_at = loop.time, loop.call_at
        self.create_future = loop.create_future

    def create_task(self, work: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        return work


class Guarded(RequestHandler):
    """aiohttp's connection with a deadline while no complete header has arrived, and with frames
    that are masked when it became a WebSocket.
    """

    __slots__ = ("_deadline", "_entered", "_gate", "_header_seconds", "_one_task", "_statistics")

    def __init__(
        self,
        manager: web.Server,
        gate: Gate,
        seconds: float,
        one_task: OneTask,
        counted: bool = False,
        **kwargs: Any,
    ) -> None:
        """`counted`: somebody else holds this connection's place in the gate."""
        super().__init__(manager, loop=asyncio.get_running_loop(), **kwargs)
        self._gate = Open() if counted else gate
        self._statistics = gate
        self._header_seconds = seconds
        self._one_task = cast(asyncio.AbstractEventLoop, one_task)
        self._deadline: asyncio.TimerHandle | None = None
        self._entered: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        address = address_of(transport)
        if not self._gate.enter(address):
            # Answering would cost more than the caller paid: the socket just ends.
            cast(asyncio.Transport, transport).abort()
            return
        self._entered = address
        super().connection_made(transport)
        if sys.version_info < (3, 12):
            # Its own task, which was just made, looks here when it begins. Newer Pythons start a
            # request's task at once, and ask for the loop itself.
            self._loop = self._one_task
        self._arm()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._disarm()
        if self._entered is not None:
            self._gate.leave(self._entered)
            self._entered = None
            super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP: aiohttp would log the request's own bytes, a token among them perhaps,
        and answer with them and its version."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        log.info("refused what is no request")
        answer = problem(400, Code.BAD_REQUEST, "The request is malformed.", ALWAYS)
        answer.force_close()
        return answer

    def data_received(self, data: bytes) -> None:
        if self._entered is None:
            return
        super().data_received(data)
        if self._in_header():
            self._arm()
        elif self._deadline is not None:
            self._disarm()

    def set_parser(
        self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None
    ) -> None:
        """Before the first byte of a WebSocket is read, those that came with its request too."""
        super().set_parser(cast(WebSocketReader, Masked(parser)), data_received_cb)

    def eof_received(self) -> None:
        if self._entered is not None:
            super().eof_received()

    def _in_header(self) -> bool:
        return self._current_request is None and not self._messages

    def _arm(self) -> None:
        if self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._header_seconds, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self._in_header() and self.transport is not None:
            self._statistics.refused["slow_header"] += 1
            self.transport.abort()


def open_socket(host: str, port: int, path: str) -> socket.socket:
    """A listening TCP socket. ConfigError names the key and the reason, as an operator needs it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigError(path, f"{host} is not an address of this machine") from error
    family, kind, proto, _, address = found[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit these. Without them loopback alone takes 4 MB before a stalled reader
        # is felt; with them its messages wait in the sender's bounded queue.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_MS)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ConfigError(path, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return sock


class Listener:
    """One listening socket on an aiohttp application that may have several."""

    def __init__(self, server: asyncio.Server, port: int) -> None:
        self._server = server
        self.port = port

    @classmethod
    async def start(
        cls,
        runner: web.AppRunner,
        sock: socket.socket,
        gate: Gate,
        limits: Limits,
        context: ssl.SSLContext | None = None,
        challenges: ContextOf | None = None,
    ) -> Listener:
        """`sock` is bound. `challenges` answers hellos that ask for `acme-tls/1`."""
        manager = runner.server
        if manager is None:
            raise RuntimeError("the application was not set up")
        loop = asyncio.get_running_loop()
        kwargs, turns = handler_arguments(limits), Turns(loop.call_soon, loop.time)
        one_task, seconds = OneTask(loop), limits.header_seconds

        def http() -> Guarded:
            return Guarded(manager, gate, seconds, one_task, context is not None, **kwargs)

        def accept() -> asyncio.Protocol:
            if context is None:
                return http()
            return Accepting(gate, seconds, context_of, http, turns)

        def context_of(hello: Hello) -> ssl.SSLContext | None:
            if ACME in hello.protocols:
                return None if challenges is None else challenges(hello)
            return context

        # asyncio has one number for how many it takes at once and how many may wait.
        server = await loop.create_server(accept, sock=sock, backlog=ACCEPTED_AT_ONCE)
        sock.listen(WAITING)
        return cls(server, int(sock.getsockname()[1]))

    async def close(self) -> None:
        self._server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), 1)


def handler_arguments(limits: Limits) -> Mapping[str, Any]:
    return {
        "keepalive_timeout": limits.idle_seconds,
        "lingering_time": 2.0,
        "max_line_size": limits.header_bytes,
        "max_field_size": limits.header_bytes,
        "max_headers": 64,
        "access_log": None,
        # Nobody's body is unpacked: what is compressed is refused (415) or is nothing (400).
        "auto_decompress": False,
    }
