"""Calls by access token: what a holder may do in a room's call, a pass for it, and its end.

The pass is a call token (LiveKit's) that names the access token in its binding. It lives minutes,
and whoever joined with it leaves when the access token is revoked or ends. `call_grant` is asked
on both planes. Implements `rtc.Admission` for its own passes; others are handed to sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
from livekit.protocol import models

from signaling.access import roles
from signaling.access.door import Standings, whose
from signaling.access.evaluate import ALLOWED, Ask, Decision, Granted, Holder, Reason, evaluate
from signaling.access.grants import Grants
from signaling.access.permissions import Operation
from signaling.access.roles import Standing
from signaling.access.wire import refusal, session_refusal
from signaling.accounts.principal import Kind, Principal
from signaling.accounts.sessions.port import Holders, Revocation
from signaling.accounts.signin import AccountView
from signaling.clock import Clock
from signaling.errors import Code, Refused, Unavailable
from signaling.ids import Ids
from signaling.rtc import Admission, Binding, Claims, Participant
from signaling.rtc.grants import VideoGrant
from signaling.rtc.tokens import ApiKeys, issue

PASS_SECONDS = 300.0
# In a pass's binding, where a session's id stands otherwise; those are UUIDs.
_BY_TOKEN = "token:"  # noqa: S105 - a mark, not a secret
ASK_AGAIN_SECONDS = 1.0
# asyncio's timers are not for weeks.
_LONGEST_TIMER = 3600.0


def call_grant(
    holder: Holder, room: str, who: tuple[str, ...], now: float
) -> tuple[Decision, VideoGrant]:
    """Read the room: hear. Write: speak, show, send data. Manage: moderate."""

    def may(operation: Operation) -> Decision:
        return evaluate(holder, Ask(operation, (room,)), who, now)

    speaks = may(Operation.PUBLISH_IN_CALL) is ALLOWED
    return may(Operation.JOIN_CALL), VideoGrant(
        room=room,
        room_join=True,
        room_admin=may(Operation.MODERATE_CALL) is ALLOWED,
        publish=speaks,
        publish_data=speaks,
        update_own_metadata=True,
    )


class RoomPolicy:
    """`Policy` of sessions' call tokens: the same decision, made about whoever signed in."""

    def __init__(self, standings: Standings, clock: Clock) -> None:
        self._standings, self._clock = standings, clock

    async def __call__(self, principal: Principal, view: AccountView, room: str) -> VideoGrant:
        """Raises Refused (401, 403)."""
        standings = await self._standings.of(principal)
        if principal.kind is Kind.GUEST:
            # The room of their link, and no other.
            standings = {view.room: Standing.GUEST} if view.room else {}
        holder = roles.holder(principal, standings)
        who = roles.uuids_of(principal)
        decision, grant = call_grant(holder, room, who, self._clock.unix())
        if decision is not ALLOWED:
            raise session_refusal(decision, Operation.JOIN_CALL.scope)
        return grant


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """Join `url` with `token` as a LiveKit client does."""

    token: str
    identity: str
    expires_in: int


class Passes:
    """Issues them."""

    def __init__(self, keys: ApiKeys, clock: Clock, ids: Ids) -> None:
        self._keys, self._clock, self._ids = keys, clock, ids

    def issue(self, granted: Granted, room: str, uuid: str | None, name: str) -> Pass:
        """Raises Refused (403). An identity of its own: nobody pushes another out by a uuid."""
        now = self._clock.unix()
        who = () if uuid is None else (uuid,)
        decision, grant = call_grant(granted, room, who, now)
        if decision is not ALLOWED:
            raise refusal(decision)
        ident = self._ids.new()
        shown = uuid or "token"
        binding = Binding(ident, granted.app, shown, ident, _BY_TOKEN + granted.ident)
        life = min(PASS_SECONDS, granted.until - now)
        claims = Claims(
            key=self._keys.first(),
            identity=f"{shown}:{ident}",
            name=name or shown,
            video=grant,
            has_video=True,
            binding=binding,
        )
        token = issue(self._keys, claims, now, life)
        return Pass(token=token, identity=claims.identity, expires_in=int(life))


class Guest:
    """A participant who came with a pass: what a revocation ends. Also ends with its token."""

    def __init__(self, participant: Participant, granted: Granted) -> None:
        self.principal = whose(granted)
        self.participant = participant

    def ended(self, revocation: Revocation) -> None:
        self.participant.leave(models.DisconnectReason.PARTICIPANT_REMOVED)

    def changed(self, principal: Principal) -> None:
        """A grant never changes."""

    def unsure(self) -> None:
        """A call that is up stays up; the log of revocations is read again and again."""


class Sessions(Admission, Protocol):
    """Those who are signed in."""

    async def stop(self) -> None: ...


class AccessAdmission:
    """See the module."""

    def __init__(self, sessions: Sessions, grants: Grants, holders: Holders, clock: Clock) -> None:
        self._sessions, self._grants = sessions, grants
        self._holders, self._clock = holders, clock
        self._held: dict[str, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sessions.stop()

    async def check(self, claims: Claims, room: str) -> Claims:
        ident = _token_of(claims)
        if ident is None or claims.binding is None:
            return await self._sessions.check(claims, room)
        holder = await self._grants.again(claims.binding.app, ident)
        if holder.fault is not None:
            raise Refused(Code.TOKEN_INVALID, 401, "token was revoked")
        return claims  # what is granted never changes

    def joined(self, participant: Participant) -> None:
        if _token_of(participant.claims) is None:
            self._sessions.joined(participant)
            return
        task = asyncio.get_running_loop().create_task(self._hold(participant))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def left(self, participant: Participant) -> None:
        if _token_of(participant.claims) is None:
            self._sessions.left(participant)
            return
        release = self._held.pop(participant.sid, None)
        if release is not None:
            release()

    async def _hold(self, participant: Participant) -> None:
        """Looks again first: the token may have ended since `check`."""
        binding, ident = participant.claims.binding, _token_of(participant.claims)
        assert binding is not None and ident is not None
        while not participant.closed:
            try:
                holder = await self._grants.again(binding.app, ident)
            except Unavailable:
                await asyncio.sleep(ASK_AGAIN_SECONDS)
                continue
            if not isinstance(holder, Granted) or holder.fault is not None:
                participant.leave(models.DisconnectReason.PARTICIPANT_REMOVED)
                return
            self._register(participant, holder)
            return

    def _register(self, participant: Participant, granted: Granted) -> None:
        guest = Guest(participant, granted)
        release = self._holders.hold(guest, room=participant.room.name, token=granted.ident)
        if participant.closed:
            release()
            return
        timer: asyncio.TimerHandle | None = None

        def watch() -> None:
            nonlocal timer
            left = granted.until - self._clock.unix()
            if left <= 0:
                guest.ended(Revocation(app=granted.app, token=granted.ident))
                return
            timer = asyncio.get_running_loop().call_later(min(left, _LONGEST_TIMER), watch)

        def over() -> None:
            release()
            if timer is not None:
                timer.cancel()

        watch()
        self._held[participant.sid] = over
        if granted.fault is Reason.REVOKED:
            guest.ended(Revocation(app=granted.app, token=granted.ident))


def _token_of(claims: Claims) -> str | None:
    binding = claims.binding
    if binding is None or not binding.session.startswith(_BY_TOKEN):
        return None
    return binding.session.removeprefix(_BY_TOKEN)
