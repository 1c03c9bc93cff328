"""One sync socket: frames in and out, pings, bounds, and its end. An adapter; decides no rights.

    OPEN --peer closed, ended, silent, flooding, too slow, shutting down--> ENDING --> closed

A socket that is idle must be small: it is one task (the reader) and one timer; frames are written
straight to the transport, whose buffer is the only queue. Owned by its `Door`; implements `Holder`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSMsgType, web

from signaling.accounts.principal import Principal
from signaling.accounts.sessions.port import Revocation
from signaling.config.sessions import Sync
from signaling.http.websocket import close_frame, text_frame
from signaling.rtc.pacing import TokenBucket
from signaling.sync import frames
from signaling.sync.errors import Action, Close, Fault, SyncCode, translate

if TYPE_CHECKING:
    from signaling.sync.door import Door

log = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0
"""What the peer has to answer a close frame; then the connection is cut."""


class Connection:
    """See the module. `principal` is replaced when rights change."""

    __slots__ = (
        "__weakref__",
        "_answered",
        "_bucket",
        "_door",
        "_ending",
        "_heard",
        "_interval",
        "_loop",
        "_ping_id",
        "_pinged_at",
        "_socket",
        "_timeout",
        "_timer",
        "_transport",
        "answering",
        "close_code",
        "data",
        "id",
        "is_idle",
        "principal",
        "rtt_ms",
        "version",
        "whence",
    )

    def __init__(
        self,
        door: Door,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        principal: Principal,
        version: int,
        identity: str,
    ) -> None:
        limits = door.limits
        self.id = identity
        self.principal = principal
        self.version = version
        self.rtt_ms: int | None = None
        self.is_idle = False
        """In the background, by its own word."""
        self.answering: Any = None
        """The id of the message in hand, for the error that answers it."""
        self.data: Any = None
        """Whatever the room that lives on this socket keeps with it."""
        self.close_code = 0
        self.whence = "", ""
        """The id and the address of the request that opened it."""
        self._door = door
        self._socket = socket
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._bucket = TokenBucket(limits.messages_per_second, limits.messages_burst)
        self._interval, self._timeout = limits.ping_seconds, limits.pong_seconds
        self._ending = False
        self._answered: asyncio.Future[None] | None = None
        self._heard = True
        self._ping_id = 0
        self._pinged_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def limits(self) -> Sync:
        return self._door.limits

    @property
    def lapse(self) -> float:
        """The longest silence of a socket that is alive, in seconds."""
        return self._interval + self._timeout

    # Out

    def send(self, frame: msgspec.Struct) -> None:
        self.send_bytes(frames.encode(frame))

    def send_bytes(self, data: bytes) -> None:
        """One text frame that is encoded already. Never waits; who reads too slowly is cut."""
        if self._ending or self._transport.is_closing():
            return
        self._transport.write(text_frame(data))
        if self._transport.get_write_buffer_size() > self.limits.outbox_bytes:
            self._cut(Close.TRY_LATER)

    @property
    def backlog(self) -> int:
        """Bytes that the peer has not taken yet."""
        if self._transport.is_closing():  # a TLS transport that is gone has no buffer to ask
            return 0
        return self._transport.get_write_buffer_size()

    @property
    def over(self) -> bool:
        return self._ending

    def cut(self) -> None:
        """It reads too slowly; whatever it missed is there when it comes again."""
        if not self._ending:
            self._cut(Close.TRY_LATER)

    def fault(self, fault: Fault, *, session: int = 0, reply_to: str | None = None) -> None:
        """Tell the client, and end when the fault says so."""
        self.send(
            frames.ErrorFrame(
                code=fault.code,
                name=fault.code.name.lower(),
                session=session,
                status=fault.status,
                reply_to=reply_to,
                body=fault.body,
            )
        )
        if fault.close is not None:
            self.end(fault.close, fault.body.message)

    def end(self, code: Close, reason: str) -> None:
        """Close with a handshake, which is cut when it takes too long. Idempotent."""
        if self._ending:
            return
        self._ending = True
        self.close_code = code
        self._stop_timer()
        if self._transport.is_closing():
            return  # the peer went before it could be told
        self._transport.write(close_frame(code, reason))
        self._answered = self._loop.create_future()
        self._door.spawn(self._see_out(self._answered))

    async def _see_out(self, answered: asyncio.Future[None]) -> None:
        """The connection stands until the peer has answered (RFC 6455 section 7.1.1): cut before,
        it takes the code from a peer that was just writing.
        """
        await asyncio.wait([answered], timeout=CLOSE_SECONDS)
        self._transport.abort()

    def _cut(self, code: Close) -> None:
        """A close frame would wait behind all that the peer left unread."""
        self._ending = True
        self.close_code = code
        self._stop_timer()
        self._transport.abort()

    # In

    async def run(self) -> None:
        """Until it ends, whoever ends it."""
        self.send(self._hello())
        self._next_beat(self._interval)
        try:
            async for message in self._socket:
                self._heard = True
                if not self._ending:  # after our close frame only the peer's counts
                    await self._take(message.type, message.data)
        finally:
            self._stop_timer()
            if self._answered is None:
                self._left()
            else:
                self._transport.abort()
                if not self._answered.done():
                    self._answered.set_result(None)

    def _left(self) -> None:
        """The peer went; one that said so is answered before anything else is done."""
        self._ending = True
        said = self._socket.close_code
        if not self.close_code:
            self.close_code = said or 1006
        if said is not None and not self._transport.is_closing():
            self._transport.write(close_frame(Close.NORMAL, ""))
            self._transport.close()

    def _hello(self) -> frames.Hello:
        who, limits = self.principal, self.limits
        return frames.Hello(
            version=self.version,
            connection=self.id,
            account=who.account,
            device=who.device,
            session=who.session,
            scopes=sorted(who.scopes),
            roles=sorted(role.value for role in who.roles),
            server_time=self._door.clock.unix(),
            ping_seconds=limits.ping_seconds,
            pong_seconds=limits.pong_seconds,
            background_seconds=limits.background_seconds,
            frame_bytes=limits.frame_bytes,
            messages_per_second=limits.messages_per_second,
            messages_burst=limits.messages_burst,
        )

    async def _take(self, kind: WSMsgType, data: Any) -> None:
        """One frame. Of one that is too large or broken aiohttp has closed with its code."""
        if not self._bucket.take(self._loop.time()):
            self._flooded()
            return
        if kind is WSMsgType.TEXT:
            await self._understand(data)
        elif kind is WSMsgType.PING:
            with contextlib.suppress(ConnectionError):  # it asked, and went
                await self._socket.pong(data)
        elif kind is WSMsgType.BINARY:
            self.end(Close.BINARY, "text frames only")

    def _flooded(self) -> None:
        fault = Fault(
            SyncCode.LIMITS_EXCEEDED,
            "Too many messages.",
            try_again=True,
            action=Action.APPLICATION_BUG,
            status=429,
            close=Close.FLOOD,
        )
        self._door.trail.note(self, "sync.message", fault=fault)
        self.fault(fault)

    async def _understand(self, data: str) -> None:
        try:
            await self._door.registry.dispatch(self, data)
        except Exception as error:
            fault = translate(error)
            if fault is None:
                log.exception("a message could not be handled")
                fault = Fault(
                    SyncCode.OTHER_ERROR,
                    "Our error.",
                    try_again=True,
                    action=Action.TRANSIENT,
                    status=500,
                    close=Close.INTERNAL,
                )
            kind = _kind_of(data)
            known = self._door.registry.knows(kind)
            self._door.trail.note(self, f"sync.{kind if known else 'message'}", fault=fault)
            answering = self.answering if isinstance(self.answering, str) else None
            self.fault(fault, reply_to=answering)

    # Pings

    def ping(self, frame: frames.Ping) -> None:
        self.send(frames.Pong(frame.id))

    def pong(self, frame: frames.Pong) -> None:
        if frame.id == self._ping_id:
            self.rtt_ms = int((self._loop.time() - self._pinged_at) * 1000)

    def pace(self, frame: frames.Pace) -> None:
        """In the background both the interval and the patience grow."""
        limits = self.limits
        if frame.background:
            asked = frame.seconds or limits.background_seconds
            slow = min(max(asked, limits.ping_seconds), limits.background_seconds)
            self._interval, self._timeout = slow, max(slow, limits.pong_seconds)
        else:
            self._interval, self._timeout = limits.ping_seconds, limits.pong_seconds
        self.is_idle = frame.background
        self._next_beat(self._interval)

    def _next_beat(self, seconds: float, beat: Callable[[], None] | None = None) -> None:
        self._stop_timer()
        if not self._ending:
            self._timer = self._loop.call_later(seconds, beat or self._beat)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._heard = False
        self._ping_id += 1
        self._pinged_at = self._loop.time()
        self.send(frames.Ping(self._ping_id, self.rtt_ms))
        self._next_beat(self._timeout, self._listened)
        self._door.beat(self)

    def _listened(self) -> None:
        """Anything that came since the ping shows that somebody is there."""
        if not self._heard:
            self.end(Close.SILENT, "no answer to a ping")
            return
        self._next_beat(max(0.0, self._interval - self._timeout))

    # Holder

    def ended(self, revocation: Revocation) -> None:
        if not self.principal.known:
            self._token_ended()
            return
        self.fault(
            Fault(
                SyncCode.CONNECTION_CLOSED,
                "The session is over.",
                action=Action.LOG_OUT_USER,
                status=401,
                close=Close.SIGNED_OUT,
            )
        )

    def _token_ended(self) -> None:
        """Opened with an access token: 403 is that plane's answer."""
        expired = self._door.clock.unix() >= self.principal.valid_until
        self.fault(
            Fault(
                SyncCode.TOKEN_EXPIRED if expired else SyncCode.PERMISSIONS_CHANGED,
                "Token is expired" if expired else "Token is revoked",
                action=Action.REFRESH_USER if expired else Action.LOG_OUT_USER,
                status=403,
                close=Close.NO_SESSION,
            )
        )

    def changed(self, principal: Principal) -> None:
        before, self.principal = self.principal, principal
        if (before.scopes, before.roles) != (principal.scopes, principal.roles):
            roles = sorted(role.value for role in principal.roles)
            self.send(frames.Rights(scopes=sorted(principal.scopes), roles=roles))

    def unsure(self) -> None:
        self.end(Close.TRY_LATER, "rights cannot be checked now")


def _kind_of(data: str) -> str:
    """What a message that was refused says it is."""
    try:
        return frames.peek(data).type
    except (msgspec.DecodeError, RecursionError, ValueError):
        return ""
