"""All sync sessions of one process: their frames, their feeds, and the poll behind them.

Registered with the socket by the composition root, which also runs `run` and calls `close`. What
a session does is its engine's to say (`engine`); this only finds who is meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from msgspec import UNSET

from signaling.access.door import whose
from signaling.accounts.principal import Principal
from signaling.accounts.sessions.port import Holders
from signaling.bus.polling import Polling
from signaling.bus.port import Bus
from signaling.clock import Clock
from signaling.sync.binding import Binder, Bound
from signaling.sync.connection import Connection
from signaling.sync.errors import Action, Fault, SyncCode
from signaling.sync.feed import PACE, Feed
from signaling.sync.frames import Peek
from signaling.sync.idents import Idents
from signaling.sync.live import SLOW_SECONDS, Live, fault_of
from signaling.sync.registry import Registry
from signaling.sync.session_frames import (
    SENT,
    PartitionBind,
    PartitionIdent,
    PartitionMark,
    PartitionUnbind,
    PartitionUpload,
    RawUpload,
)
from signaling.sync.trail import Trail

MOST_SESSIONS = 200
"""On one socket: a room each, for who is in many."""
# asyncio's timers are for less than a day or so; a token may live for thirty.
_LONGEST_TIMER = 3600.0

Numbered = PartitionIdent | RawUpload | PartitionMark


class Hub:
    """See the module."""

    def __init__(
        self, binder: Binder, idents: Idents, holders: Holders, bus: Bus, clock: Clock
    ) -> None:
        self.slow_seconds = SLOW_SECONDS
        self.pace_seconds = PACE
        self._binder = binder
        self._idents = idents
        self._holders = holders
        self._clock = clock
        self._feeds: dict[tuple[str, str, str], Feed] = {}
        self._sessions: dict[Connection, dict[int, Live]] = {}
        self._files: dict[tuple[str, str], Live] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._polling = Polling(bus, clock, self._feeds.values)
        self.trail: Trail | None = None
        """Told of what is done here; the composition root brings that of the door."""

    def register(self, registry: Registry) -> None:
        registry.register(
            PartitionBind, self._bind, summary="Begin a session on a partition", when=_has_path
        )
        registry.register(PartitionIdent, self._ident, summary="Who this file is, how far it came")
        registry.register(
            RawUpload, self._upload, summary="What this client did", shown=PartitionUpload
        )
        registry.register(PartitionMark, self._mark, summary="Has everything been sent?")
        registry.register(
            PartitionUnbind, self._unbind, summary="End a session on a partition", when=self._has
        )
        registry.on_close(self._closed)
        for kind, summary in SENT:
            registry.sends(kind, summary)

    def __len__(self) -> int:
        return sum(len(sessions) for sessions in self._sessions.values())

    # Frames

    async def _bind(self, connection: Connection, frame: PartitionBind) -> None:
        sessions = self._sessions.setdefault(connection, {})
        if frame.session in sessions:
            self._complain(connection, frame.session, SyncCode.SESSION_NUMBER_IN_USE)
            return
        if len(sessions) >= MOST_SESSIONS:
            self._complain(connection, frame.session, SyncCode.TOO_MANY_SESSIONS)
            return
        try:
            bound = await self._binder.bind(connection.principal, frame)
        except Exception as error:
            self._refuse(connection, frame, fault_of(error))
            return
        if self._sessions.get(connection) is not sessions:
            return  # closed meanwhile
        live = Live(self, connection, frame.session, bound)
        live.path = frame.path
        sessions[frame.session] = live
        self.note(live, "sync.bind")
        if bound.token is not None:
            live.release = self._holders.hold(live)
            self._watch_the_end(live)
        if frame.need_client_file_ident and not live.is_over:
            ident, salt = self._idents.new(bound.actor.app, _file_of(bound), bound.actor.account)
            connection.send(
                PartitionIdent(
                    session=frame.session, client_file_ident=ident, client_file_ident_salt=salt
                )
            )

    async def _ident(self, connection: Connection, frame: PartitionIdent) -> None:
        live = self._find(connection, frame)
        if live is None:
            return
        bound, file = live.bound, (live.actor.app, frame.client_file_ident)
        try:
            self._idents.check(
                bound.actor.app,
                _file_of(bound),
                bound.actor.account,
                frame.client_file_ident,
                frame.client_file_ident_salt,
            )
            other = self._files.get(file)
            if other is not None and other is not live:
                message = "This file is bound in another session."
                other.fail(
                    Fault(SyncCode.SESSION_CLOSED, message, try_again=True, action=Action.TRANSIENT)
                )
            if live.feed is None:
                self._files[file] = live
                await self._attach(live)
        except Exception as error:
            live.fail(fault_of(error))
            return
        live.run(live.engine.identify(frame))

    async def _attach(self, live: Live) -> None:
        """First it is told what is new, then it reads what is old: nothing is between them."""
        place = live.bound.place
        feed = self._feeds.get(place)
        if feed is None:
            feed = self._feeds[place] = Feed(live.bound, self.pace_seconds)
        live.feed = feed
        feed.sessions.add(live)
        await feed.start()

    async def _upload(self, connection: Connection, frame: RawUpload) -> None:
        live = self._find(connection, frame)
        if live is not None:
            live.upload(frame.changes)

    async def _mark(self, connection: Connection, frame: PartitionMark) -> None:
        live = self._find(connection, frame)
        if live is not None:
            live.run(live.engine.mark(frame))

    async def _unbind(self, connection: Connection, frame: PartitionUnbind) -> None:
        live = self._sessions[connection][frame.session]
        self.drop(live)
        self.note(live, "sync.unbind")
        live.run(live.engine.unbind())

    def _find(self, connection: Connection, frame: Numbered) -> Live | None:
        live = self._sessions.get(connection, {}).get(frame.session)
        if live is None:
            self._complain(connection, frame.session, SyncCode.BAD_SESSION_NUMBER)
        return live

    def _has(self, connection: Connection, seen: Peek) -> bool:
        """Whether an `unbind` is of a session here; its number decides."""
        try:
            number = int(bytes(memoryview(seen.session)))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return False
        return number in self._sessions.get(connection, {})

    def _complain(self, connection: Connection, number: int, code: SyncCode) -> None:
        message, action = _COMPLAINTS[code], Action.PROTOCOL_VIOLATION
        if code is SyncCode.BAD_SESSION_NUMBER:
            # What was under way when a session ended with an error is no fault of the client.
            action = Action.TRANSIENT
        fault = Fault(code, message, action=action)
        if self.trail is not None:
            self.trail.note(connection, "sync.message", fault=fault)
        connection.fault(fault, session=number)

    # The audit

    def note(
        self, live: Live, action: str, *, fault: Fault | None = None, code: str = "", times: int = 1
    ) -> None:
        if self.trail is not None:
            account, who = live.path == "account", self.principal_of(live)
            target = f"account:{live.actor.account}" if account else live.path
            self.trail.note(
                live.connection, action, target, fault=fault, code=code, who=who, times=times
            )

    def _refuse(self, connection: Connection, frame: PartitionBind, fault: Fault) -> None:
        if self.trail is not None:
            self.trail.note(connection, "sync.bind", frame.path, fault=fault)
        connection.fault(fault, session=frame.session)

    # Endings

    def drop(self, live: Live) -> None:
        """Idempotent. Nothing of the session is sent by anybody else afterwards."""
        live.release()
        if live.timer is not None:
            live.timer.cancel()
        sessions = self._sessions.get(live.connection, {})
        if sessions.get(live.number) is live:
            del sessions[live.number]
        file = (live.actor.app, live.engine.ident)
        if self._files.get(file) is live:
            del self._files[file]
        feed = live.feed
        if feed is not None and live in feed.sessions:
            feed.sessions.discard(live)
            if not feed.sessions:
                del self._feeds[live.bound.place]
                feed.close()

    def _closed(self, connection: Connection) -> None:
        for live in list(self._sessions.pop(connection, {}).values()):
            live.engine.phase = type(live.engine.phase).OVER
            self.drop(live)

    def _watch_the_end(self, live: Live) -> None:
        token = live.bound.token
        left = (token.until if token is not None else 0.0) - self._clock.unix()
        if left <= 0:
            message, action = "Token is expired", Action.REFRESH_USER
            live.fail(Fault(SyncCode.TOKEN_EXPIRED, message, action=action, status=403))
            return
        loop = asyncio.get_running_loop()
        live.timer = loop.call_later(min(left, _LONGEST_TIMER), self._watch_the_end, live)

    def principal_of(self, live: Live) -> Principal:
        token = live.bound.token
        return whose(token) if token is not None else live.connection.principal

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The poll

    async def run(self) -> None:
        """Until it is cancelled: what the bus loses is found by looking."""
        await self._polling.run()

    async def poll(self) -> None:
        await self._polling.poll()

    def close(self) -> None:
        for feed in self._feeds.values():
            feed.close()
        for task in self._tasks:
            task.cancel()


def _has_path(connection: Connection, seen: Peek) -> bool:
    return seen.path is not UNSET


def _file_of(bound: Bound) -> str:
    """What an ident is for."""
    return "\0".join(bound.place)


_COMPLAINTS = {
    SyncCode.BAD_SESSION_NUMBER: "There is no session of this number.",
    SyncCode.SESSION_NUMBER_IN_USE: "A session of this number is there.",
    SyncCode.TOO_MANY_SESSIONS: f"This socket has {MOST_SESSIONS} sessions, which is the most.",
}
