"""One WebSocket of a LiveKit client: frames in, frames out, and the end of both.

An adapter: it bounds sizes and rates, decodes, hands each request to `dispatch` one at a time,
and writes what the participant sends through a bounded queue. It decides nothing about calls. Bad
input ends this socket only; the participant then leaves or resumes by the usual rule.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections import deque

from aiohttp import WSCloseCode, WSMsgType, web

from signaling.errors import ClientError, Unavailable
from signaling.http.websocket import binary_frame
from signaling.logs import bind
from signaling.rtc.dispatch import handle
from signaling.rtc.entry import Entry
from signaling.rtc.frames import Outgoing, decode
from signaling.rtc.pacing import TokenBucket
from signaling.rtc.participant import Participant
from signaling.rtc.rooms import Rooms

log = logging.getLogger(__name__)

_HEARTBEAT = 10.0  # WebSocket pings, for proxies that drop idle connections
_CLOSE_WAIT = 2.0  # what a closing socket may still take to drain


class Connections:
    """The open sockets of this server, closed together when it stops."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, request: web.Request, entry: Entry) -> web.WebSocketResponse:
        """Run one client's socket until it ends."""
        limits = self.rooms.services.settings.limits
        socket = web.WebSocketResponse(
            max_msg_size=limits.signal_message_bytes, heartbeat=_HEARTBEAT, compress=False
        )
        await socket.prepare(request)
        connection = Connection(self.rooms, socket)
        self._open.add(connection)
        try:
            await connection.run(entry)
        finally:
            self._open.discard(connection)
        return socket

    async def close(self) -> None:
        for connection in list(self._open):
            connection.close("server is shutting down")


class Connection:
    """Implements `Sink`. States: open until `close` or the peer's end; then it only drains."""

    def __init__(self, rooms: Rooms, socket: web.WebSocketResponse) -> None:
        self._rooms = rooms
        self._socket = socket
        self._limits = rooms.services.settings.limits
        self._queue: deque[Outgoing] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._reason: str | None = None
        self._code = WSCloseCode.OK
        self._json = False
        self._writing = False
        request = socket._req  # aiohttp has no public way to a connection that serves a socket
        self._transport = None if request is None else request.transport

    # Sink

    def send(self, message: Outgoing) -> None:
        if self._reason is not None or self._send_now(message):
            return
        self._queued_bytes += message.size
        if self._queued_bytes > self._limits.outbox_bytes:
            self._rooms.services.counters.add("sockets_too_slow")
            self._queue.clear()
            self._end(WSCloseCode.TRY_AGAIN_LATER, "too slow")
            return
        self._queue.append(message)
        self._wake.set()

    def _send_now(self, message: Outgoing) -> bool:
        """As nearly always, nothing waits: then no task is woken and no timer is set."""
        transport = self._transport
        if self._json or self._queue or self._writing or transport is None:
            return False
        if transport.is_closing() or transport.get_write_buffer_size() or self._socket.closed:
            return False
        transport.write(binary_frame(message.binary()))
        return True

    def close(self, reason: str, *, resume: bool = False) -> None:
        self._end(WSCloseCode.GOING_AWAY if resume else WSCloseCode.OK, reason)

    def _end(self, code: WSCloseCode, reason: str) -> None:
        if self._reason is None:
            self._reason, self._code = reason, code
            self._wake.set()

    # Life

    def _cut(self) -> None:
        """The peer reads nothing, so a close frame would wait behind all that it left unread."""
        self._rooms.services.counters.add("sockets_stalled")
        self._end(WSCloseCode.TRY_AGAIN_LATER, "stalled")
        self._queue.clear()
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _bound_kernel_buffer(self) -> None:
        sock = self._socket.get_extra_info("socket")
        if sock is not None:
            size = self._limits.socket_buffer_bytes
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    async def run(self, entry: Entry) -> None:
        self._bound_kernel_buffer()
        writer = asyncio.create_task(self._write())
        participant: Participant | None = None
        try:
            participant = self._rooms.connect(entry, self)
            if participant is not None:
                with bind(**participant.room.ids(), participant=participant.sid):
                    log.info("resumed" if entry.reconnect else "joined")
                    if entry.offer is not None and not participant.closed:
                        await participant.negotiating.offered_to_join(entry.offer)
                    await self._read(participant)
                    log.info("socket ended")
        except ClientError as error:  # the room filled between the upgrade and now
            self._end(WSCloseCode.POLICY_VIOLATION, error.message)
        except Unavailable as error:
            self._end(WSCloseCode.TRY_AGAIN_LATER, error.message)
        except Exception:
            correlation = uuid.uuid4().hex
            log.exception("signal connection failed, correlation id %s", correlation)
            self._end(WSCloseCode.INTERNAL_ERROR, f"internal error {correlation}")
        finally:
            self._end(WSCloseCode.OK, "closed")
            await self._finish(writer)
            if participant is not None and participant.outbox.detach(self):
                participant.liveness.socket_closed()

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(writer), _CLOSE_WAIT)
        except (TimeoutError, ConnectionError):
            writer.cancel()
            if not self._socket.closed:
                self._abort()  # else aiohttp would end it with 1000 behind all that is unread
        except asyncio.CancelledError:
            writer.cancel()
            raise

    async def _read(self, participant: Participant) -> None:
        """Until the peer ends, breaks the rules, or this socket was closed by us."""
        bucket = TokenBucket(self._limits.signal_messages_per_second, self._limits.signal_burst)
        clock = self._rooms.services.clock
        async for message in self._socket:
            if self._reason is not None:
                return
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                return  # ERROR: too large or a broken frame; aiohttp has closed with the code
            if not bucket.take(clock.monotonic()):
                self._rooms.services.counters.add("sockets_flooding")
                self._end(WSCloseCode.POLICY_VIOLATION, "too many messages")
                return
            self._json = message.type is WSMsgType.TEXT
            try:
                request = decode(message.data)
            except ClientError as error:
                self._rooms.services.counters.add("requests_malformed")
                self._end(WSCloseCode.INVALID_TEXT, error.message)
                return
            await handle(participant, request)
            if participant.closed:
                return

    async def _write(self) -> None:
        """Drain the queue; when closed, say so and stop."""
        while True:
            while self._queue:
                message = self._queue.popleft()
                self._queued_bytes -= message.size
                self._writing = True
                try:
                    async with asyncio.timeout(self._rooms.services.settings.times.stalled_reader):
                        if self._json:
                            await self._socket.send_str(message.json())
                        else:
                            await self._socket.send_bytes(message.binary())
                except TimeoutError:
                    self._cut()
                    return
                except (ConnectionError, RuntimeError):
                    self._end(WSCloseCode.GOING_AWAY, "broken")
                    return
            self._writing = False
            if self._reason is not None:
                await self._socket.close(code=self._code, message=self._reason.encode()[:120])
                return
            self._wake.clear()
            if not self._queue and self._reason is None:
                await self._wake.wait()
