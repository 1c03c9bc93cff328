"""Subscriptions on the sync socket: sessions of it, bound with access tokens to rooms and groups.

    bind --allowed--> bound --unbind--> over
         --refused--> error 203, 202, 228 or 206; a token that ends or is revoked: 202 or 228

Each session has a token of its own, or the socket's sign-in. When the last one ends because it was
refused, so does the socket (4403). What arrives is who is there (channels `<room>-pnpres`);
messages come on sessions that are bound to a room (`sync`). Registered by the composition root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Struct

from signaling.access.door import Door, principal_of, whose
from signaling.access.evaluate import ALLOWED, Ask, Decision, Granted, Holder, Reason, evaluate
from signaling.access.grant import NAME_BYTES
from signaling.access.groups import Groups
from signaling.access.here import Here
from signaling.access.permissions import PRESENCE_SUFFIX, Operation
from signaling.access.wire import FORBIDDEN, MESSAGES
from signaling.accounts.principal import Principal
from signaling.accounts.sessions.port import Holders, Revocation
from signaling.clock import Clock
from signaling.compliance.audit.port import TEXT_BOUND
from signaling.errors import Unavailable
from signaling.sync.connection import Connection
from signaling.sync.errors import Action, Close, Fault, SyncCode
from signaling.sync.registry import Registry
from signaling.sync.trail import Trail

MOST_SESSIONS = 32
MOST_NAMES = 200
# asyncio's timers are for less than a day or so; a token may live for thirty.
_LONGEST_TIMER = 3600.0

Name = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES)]
Names = Annotated[tuple[Name, ...], Meta(max_length=MOST_NAMES)]
Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Bind(Struct, frozen=True, kw_only=True, tag="bind"):
    """Begin a session: all of these, or none. Without `token`: as who opened the socket."""

    session: Number
    token: Annotated[str, Meta(max_length=256)] | None = None
    uuid: Name | None = None
    channels: Names = ()
    groups: Names = ()


class Bound(Struct, frozen=True, kw_only=True, tag="bound"):
    """`channels` with those of the groups."""

    session: int
    channels: tuple[str, ...]


class Unbind(Struct, frozen=True, kw_only=True, tag="unbind"):
    session: Number


class Unbound(Struct, frozen=True, kw_only=True, tag="unbound"):
    session: int


class HereAsk(Struct, frozen=True, kw_only=True, tag="here_now"):
    """Who is in these rooms? Answered by one `here` for each."""

    session: Number
    channels: Names


class HereNow(Struct, frozen=True, kw_only=True, tag="here"):
    """Who is in the room, after each change for who subscribed to its presence channel."""

    session: int
    channel: str
    uuids: tuple[str, ...]


_CODES = {
    Reason.EXPIRED: (SyncCode.TOKEN_EXPIRED, Action.REFRESH_USER),
    Reason.REVOKED: (SyncCode.PERMISSIONS_CHANGED, Action.LOG_OUT_USER),
    Reason.MISSING: (SyncCode.BAD_AUTHENTICATION, Action.REFRESH_USER),
    Reason.INVALID: (SyncCode.BAD_AUTHENTICATION, Action.REFRESH_USER),
}
_DENIED = (SyncCode.PERMISSION_DENIED, Action.WARNING)


def fault_of(decision: Decision) -> Fault:
    """A decision as the socket's error. Nothing in it depends on whether a room exists."""
    code, action = _CODES.get(decision.reason, _DENIED)
    message = MESSAGES.get(decision.reason, FORBIDDEN)
    refused = (*decision.channels, *decision.groups, *decision.uuids)
    if message == FORBIDDEN and refused:
        message = f"{FORBIDDEN}: {', '.join(refused)}"
    return Fault(code, message, action=action, status=403)


class Seen(Protocol):
    """Those of these who may be named to `viewer`, the account that asks or for whom its access
    token is. `signed_in`: without a token.
    """

    async def __call__(
        self, app: str, viewer: str, uuids: tuple[str, ...], *, signed_in: bool
    ) -> tuple[str, ...]: ...


async def everybody(
    app: str, viewer: str, uuids: tuple[str, ...], *, signed_in: bool
) -> tuple[str, ...]:
    """Where there are no accounts, whose wishes would count."""
    return uuids


class Session:
    """One session of one socket. States: bound -> over. Also what revocations call."""

    def __init__(
        self,
        owner: Subscriptions,
        connection: Connection,
        number: int,
        holder: Holder,
        who: tuple[str, ...],
    ) -> None:
        self.connection, self.number = connection, number
        self.holder, self.who = holder, who
        self.channels: tuple[str, ...] = ()
        self.timer: asyncio.TimerHandle | None = None
        self.release = _nothing
        self._owner = owner

    @property
    def principal(self) -> Principal:
        if isinstance(self.holder, Granted):
            return whose(self.holder)
        return self.connection.principal

    def ended(self, revocation: Revocation) -> None:
        self._owner.refuse(self, Decision(Reason.REVOKED))

    def changed(self, principal: Principal) -> None:
        """A grant never changes; another one is another token."""

    def unsure(self) -> None:
        self.connection.end(Close.TRY_LATER, "rights cannot be checked now")


class Subscriptions:
    """All of one process."""

    def __init__(
        self, door: Door, groups: Groups, here: Here, holders: Holders, clock: Clock
    ) -> None:
        self._door, self._groups, self._here = door, groups, here
        self._holders, self._clock = holders, clock
        self._sessions: dict[Connection, dict[int, Session]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.trail: Trail | None = None
        """Told of what is done here; the composition root brings that of the door."""
        self.seen: Seen = everybody
        here.listen(self._tell)

    def register(self, registry: Registry) -> None:
        registry.register(Bind, self._bind, summary="Subscribe to rooms and groups")
        registry.register(Unbind, self._unbind, summary="End a subscription")
        registry.register(HereAsk, self._here_now, summary="Ask who is in a room")
        registry.on_close(self._closed)
        for kind, summary in SENT:
            registry.sends(kind, summary)

    async def _bind(self, connection: Connection, bind: Bind) -> None:
        sessions = self._sessions.setdefault(connection, {})
        if bind.session in sessions or len(sessions) >= MOST_SESSIONS:
            message = f"A session of this number is there, or {MOST_SESSIONS} are."
            raise Fault(SyncCode.OTHER_SESSION_ERROR, message, action=Action.APPLICATION_BUG)
        app = connection.principal.app
        holder, who = await self._door.bearer(app, connection.principal, bind.token, bind.uuid)
        session = Session(self, connection, bind.session, holder, who)
        ask, names = (
            Ask(Operation.SUBSCRIBE, bind.channels, bind.groups),
            bind.channels + bind.groups,
        )
        rooms = set(bind.channels)
        for group in bind.groups:
            rooms |= set(await self._groups.rooms(app, group))
        if isinstance(holder, Granted):
            session.release = self._holders.hold(session)
            await self._door.look_again(principal_of(holder))
        decision = evaluate(holder, ask, who, self._clock.unix())
        # The socket may have closed, and the number been taken, while the store was asked.
        if connection not in self._sessions or bind.session in sessions:
            session.release()
            return
        if decision is not ALLOWED:
            session.release()
            self._note(session, "sync.bind", names, decision)
            self._tell_refused(connection, bind.session, decision)
            return
        session.channels = tuple(sorted(rooms))
        sessions[bind.session] = session
        self._watch_the_end(session)
        self._note(session, "sync.bind", names)
        connection.send(Bound(session=bind.session, channels=session.channels))
        await self._appear(session)

    async def _unbind(self, connection: Connection, unbind: Unbind) -> None:
        """Needs nothing. A number that no session has, of this sort or another, is error 106."""
        session = self._sessions.get(connection, {}).pop(unbind.session, None)
        if session is None:
            message = "There is no session of this number."
            fault = Fault(SyncCode.BAD_SESSION_NUMBER, message, action=Action.TRANSIENT)
            connection.fault(fault, session=unbind.session)
            return
        self._drop(session)
        self._note(session, "sync.unbind", session.channels)
        connection.send(Unbound(session=unbind.session))

    async def _here_now(self, connection: Connection, ask: HereAsk) -> None:
        session = self._sessions.get(connection, {}).get(ask.session)
        if session is None:
            message = "There is no session of this number."
            raise Fault(SyncCode.OTHER_SESSION_ERROR, message, action=Action.APPLICATION_BUG)
        question = Ask(Operation.HERE_NOW, ask.channels)
        decision = evaluate(session.holder, question, session.who, self._clock.unix())
        self._note(session, "sync.here_now", ask.channels, decision)
        if decision is not ALLOWED:
            connection.fault(fault_of(decision), session=ask.session)
            return
        for channel in ask.channels:
            uuids = await self._here.who(connection.principal.app, channel)
            await self._send(session, channel, uuids)

    def _note(
        self, session: Session, action: str, names: Iterable[str], decision: Decision = ALLOWED
    ) -> None:
        if self.trail is not None:
            who = whose(session.holder) if isinstance(session.holder, Granted) else None
            fault = None if decision is ALLOWED else fault_of(decision)
            target = ",".join(names)[:TEXT_BOUND]
            self.trail.note(session.connection, action, target, fault=fault, who=who)

    # Ending

    def refuse(self, session: Session, decision: Decision) -> None:
        """The session is over because its token is."""
        found = self._sessions.get(session.connection, {})
        if found.get(session.number) is not session:
            return
        del found[session.number]
        self._drop(session)
        self._note(session, "sync.end", session.channels, decision)
        self._tell_refused(session.connection, session.number, decision)

    def _tell_refused(self, connection: Connection, number: int, decision: Decision) -> None:
        connection.fault(fault_of(decision), session=number)
        if not self._sessions.get(connection):
            connection.end(Close.NO_SESSION, "no session is left")

    def _watch_the_end(self, session: Session) -> None:
        left = session.holder.until - self._clock.unix()
        if left <= 0:
            self.refuse(session, Decision(Reason.EXPIRED))
            return
        loop = asyncio.get_running_loop()
        session.timer = loop.call_later(min(left, _LONGEST_TIMER), self._watch_the_end, session)

    def _closed(self, connection: Connection) -> None:
        for session in self._sessions.pop(connection, {}).values():
            self._drop(session)

    def _drop(self, session: Session) -> None:
        session.release()
        if session.timer is not None:
            session.timer.cancel()
        for room in _rooms(session.channels):
            self._spawn(self._here.leave(session.principal.app, room, session.who, id(session)))

    # Presence

    async def _appear(self, session: Session) -> None:
        app = session.principal.app
        for room in _rooms(session.channels):
            await self._here.enter(app, room, session.who, id(session))
        if self._sessions.get(session.connection, {}).get(session.number) is not session:
            # It ended meanwhile, before there was anything to leave.
            self._drop(session)
            return
        for channel in session.channels:
            if channel.endswith(PRESENCE_SUFFIX):
                room = channel.removesuffix(PRESENCE_SUFFIX)
                await self._send(session, channel, await self._here.who(app, room))

    async def _tell(self, app: str, room: str) -> None:
        """Somebody came or went: whoever is subscribed to the room's presence hears of it."""
        channel = room + PRESENCE_SUFFIX
        listening = [
            session
            for sessions in self._sessions.values()
            for session in sessions.values()
            if session.principal.app == app and channel in session.channels
        ]
        if not listening:
            return
        uuids = await self._here.who(app, room)
        for session in listening:
            await self._send(session, channel, uuids)

    async def _send(self, session: Session, channel: str, uuids: tuple[str, ...]) -> None:
        """As far as each shows it to who asks."""
        viewer = session.who[0] if session.who else ""
        signed_in = not isinstance(session.holder, Granted)
        app = session.principal.app
        try:
            named = await self.seen(app, viewer, uuids, signed_in=signed_in)
        except Unavailable:
            return  # the next change tells
        if self._sessions.get(session.connection, {}).get(session.number) is session:
            session.connection.send(HereNow(session=session.number, channel=channel, uuids=named))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _nothing() -> None:
    """Of a session that holds nothing."""


def _rooms(channels: Iterable[str]) -> list[str]:
    return [channel for channel in channels if not channel.endswith(PRESENCE_SUFFIX)]


SENT: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (Bound, "The subscription stands"),
    (Unbound, "The subscription ended"),
    (HereNow, "Who is in a room"),
)
