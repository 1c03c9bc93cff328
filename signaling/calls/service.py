"""Calls of rooms: who may begin, join, ring, end and let in. One way in for REST and media server.

    rights of the room -> lobby -> a verb of the machine -> what follows (`following`)

Two that call each other in one room have one call: the later answers what the earlier began.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from msgspec.structs import replace

from signaling.access.permissions import Operation
from signaling.calls import tokens
from signaling.calls.call import Call, Outcome, Told, without
from signaling.calls.following import Following
from signaling.calls.machine import step
from signaling.calls.records import NoCall, Records
from signaling.calls.refusals import no_call, refusal
from signaling.calls.verbs import (
    Accept,
    Admit,
    Cancel,
    Deny,
    Gone,
    Hangup,
    Knock,
    Late,
    Present,
    Reject,
    Ring,
    Why,
)
from signaling.chat import checks, rights
from signaling.chat.ops import Entry, Kind, Lobby, Member, Part
from signaling.chat.ports import Actor
from signaling.chat.room import Room
from signaling.chat.state import RANK, RoomState
from signaling.chat.wishes import Wishes
from signaling.errors import ClientError, Code, Unavailable
from signaling.ids import Ids
from signaling.storage.table import Row

log = logging.getLogger(__name__)

# As many may be rung at once; who rings in a larger room names whom it means.
MOST_RUNG = 100
_MODERATES = (Part.OWNER, Part.MODERATOR)


class Calls:
    """One for each process."""

    def __init__(
        self, records: Records, following: Following, wishes: Wishes, ids: Ids, *, busy: bool
    ) -> None:
        """`busy`: who is in another call is not rung."""
        self.records, self.following = records, following
        self._chat, self._wishes, self._ids = following.chat, wishes, ids
        self._clock, self._rules = following.clock, following.rules
        self._busy = busy
        self._tasks: set[asyncio.Task[None]] = set()

    # Beginning and joining

    async def enter(
        self, actor: Actor, name: str, *, ring: bool | None = None, video: bool = False
    ) -> Call:
        """The room's call, begun when there is none; a device that was rung accepts by this. Who
        must wait is in `waiting` afterwards. `ring` None: a direct room rings, others do not.
        """
        room = await self.room(actor, name)
        checks.check_calls(room.state.settings.call_encryption)
        found = await self.records.of_room(actor.app, room.id)
        if found is None:
            call = await self._begin(actor, room, ring, video)
        else:
            call = found.value
            if ring and not self._waits(room, call, actor.account) and not _rung(call, actor):
                call = await self.ring(actor, room.id, ())
        return await self._come(actor, room, call)

    async def _begin(self, actor: Actor, room: Room, ring: bool | None, video: bool) -> Call:
        now = self._clock.unix()
        rings = room.state.kind is Kind.DIRECT if ring is None else ring
        call = self._new(room, actor.account, now, actor.device, video)
        told: list[Told] = []
        if rings and not waits(room.state, actor.account):
            verb = await self._ring_verb(actor, room, others(room.state, actor.account))
            call, told = step(replace(call, began_ringing=True), verb, now, self._rules)
        async with self.following.turn(call.id):
            row, fresh = await self.records.begin(actor.app, call)
            if fresh:
                await self.following.follow(actor.app, row.value, told)
        return row.value

    def _new(self, room: Room, caller: str, now: float, device: str, video: bool) -> Call:
        return Call(
            id=self._ids.new(), room=room.id, caller=caller, device=device, made=now,
            video=video, idle_until=now + self._rules.setup,
            hides=room.state.settings.lobby is not Lobby.OFF,
        )  # fmt: skip

    async def _come(self, actor: Actor, room: Room, call: Call) -> Call:
        if self._waits(room, call, actor.account):
            moderators = tuple(
                account for account, member in room.state.members.items()
                if member.part in _MODERATES
            )  # fmt: skip
            verb = Knock(account=actor.account, moderators=moderators)
            return await self.following.do(actor.app, call.id, verb)
        if _rung(call, actor):
            accept = Accept(account=actor.account, device=actor.device)
            return await self.following.do(actor.app, call.id, accept)
        return call

    def _waits(self, room: Room, call: Call, account: str) -> bool:
        return waits(room.state, account) and account not in call.admitted

    # Ringing

    async def ring(self, actor: Actor, name: str, accounts: Sequence[str]) -> Call:
        """Members who are not in the call: some, or all."""
        room = await self.room(actor, name, Operation.PUBLISH_IN_CALL)
        call = (await self.named(actor.app, room.id, None)).value
        if actor.account not in {call.caller, *call.busy} or self._waits(room, call, actor.account):
            raise rights.refused("Join the call before you ring others.")
        members = set(room.state.accounts())
        if not members.issuperset(accounts):
            raise ClientError(Code.NOT_FOUND, 404, "Some of these accounts are no members.")
        wanted = list(accounts) or others(room.state, actor.account)
        verb = await self._ring_verb(actor, room, wanted)
        return await self.following.do(actor.app, call.id, verb)

    async def _ring_verb(self, actor: Actor, room: Room, wanted: Sequence[str]) -> Ring:
        part = room.state.part(actor.account)
        if part not in RANK:
            raise rights.refused("Only members ring.")
        if room.state.kind is Kind.ANNOUNCEMENT and part not in _MODERATES:
            raise rights.refused("Only moderators ring here.")
        if len(wanted) > MOST_RUNG:
            message = f"At most {MOST_RUNG} are rung at once; name them."
            raise ClientError(Code.FIELDS_INVALID, 422, message)
        busy, silent = set(), set()
        for account in wanted:
            if not await self._wishes.hears(actor.app, actor.account, account):
                silent.add(account)
            elif self._busy and await self.records.busy(actor.app, account, room.id):
                busy.add(account)
        return Ring(
            by=actor.account, accounts=tuple(wanted), busy=frozenset(busy),
            silent=frozenset(silent), admits=part in _MODERATES,
        )  # fmt: skip

    async def accept(self, actor: Actor, name: str, ident: str | None) -> Call:
        room = await self.room(actor, name)
        row = await self.named(actor.app, room.id, ident)
        verb = Accept(account=actor.account, device=actor.device)
        if verb.account in row.value.callees and self._waits(room, row.value, verb.account):
            return await self._come(actor, room, row.value)
        return await self.following.do(actor.app, row.value.id, verb)

    async def reject(self, actor: Actor, name: str, ident: str | None, why: Outcome) -> Call:
        room = await self.room(actor, name)
        row = await self.named(actor.app, room.id, ident)
        verb = Reject(account=actor.account, device=actor.device, why=why)
        return await self.following.do(actor.app, row.value.id, verb)

    async def reject_by_token(self, app: str, token: str, why: Outcome) -> Call:
        """Once: afterwards the ring that it was made for is over."""
        read = tokens.read(token)
        row = await self.records.get(app, read.call)
        if row is None:
            raise tokens.bad()
        tokens.check(self.following.sealer, app, row.value, read)
        outcome = row.value.callees[read.account].outcome
        if outcome is not Outcome.RINGING:
            raise refusal(Late(Why.OVER, outcome))
        return await self.following.do(app, read.call, Reject(account=read.account, why=why))

    async def cancel(
        self, actor: Actor, name: str, ident: str | None, accounts: Sequence[str]
    ) -> Call:
        room = await self.room(actor, name)
        row = await self.named(actor.app, room.id, ident)
        verb = Cancel(
            by=actor.account, accounts=tuple(accounts), manages=self._manages(actor, room)
        )
        return await self.following.do(actor.app, row.value.id, verb)

    async def hang_up(self, actor: Actor, name: str) -> Call:
        """For everybody: moderators, and either of a direct room."""
        room = await self.room(actor, name)
        row = await self.named(actor.app, room.id, None)
        if room.state.kind is not Kind.DIRECT:
            rights.require(actor, room.id, Operation.MODERATE_CALL, self._clock.unix())
        return await self.following.do(actor.app, row.value.id, Hangup(by=actor.account))

    # The lobby

    async def queue(self, actor: Actor, name: str) -> Call:
        """The call whose `waiting` a moderator may see."""
        room = await self.room(actor, name)
        rights.require(actor, room.id, Operation.MODERATE_CALL, self._clock.unix())
        return (await self.named(actor.app, room.id, None)).value

    async def admit(self, actor: Actor, name: str, accounts: Sequence[str]) -> Call:
        call = await self.queue(actor, name)
        return await self.following.do(actor.app, call.id, Admit(accounts=tuple(accounts)))

    async def deny(self, actor: Actor, name: str, account: str) -> Call:
        """Also who was let in before: it leaves the call."""
        call = await self.queue(actor, name)
        call = await self.following.do(actor.app, call.id, Deny(account=account))
        await self._turn_out(actor.app, call.room, account)
        return call

    async def gate(self, app: str, account: str, name: str) -> None:
        """Raises Refused for who must wait in the lobby of this room first."""
        room = await self.following.room(app, name)
        if room is None or not waits(room.state, account):
            return
        row = await self.records.of_room(app, name)
        if row is None or account not in row.value.admitted:
            raise rights.refused("Wait in the lobby of this room until you are let in.")

    async def refuse_banned(self, app: str, account: str, name: str) -> None:
        """A ban stands above every token."""
        room = await self.following.room(app, name)
        if room is not None and room.state.part(account) is Part.BANNED:
            raise rights.banned()

    # What is looked at

    async def room(
        self, actor: Actor, name: str, operation: Operation = Operation.JOIN_CALL
    ) -> Room:
        """Raises as every operation on a room does."""
        return await self._chat.room_for(actor, name, operation)

    async def named(self, app: str, room: str, ident: str | None) -> Row[Call]:
        """The call that is meant: by its id, or the one that is going on. Raises 404."""
        if ident is None:
            row = await self.records.of_room(app, room)
        else:
            row = await self.records.get(app, ident)
        if row is None or row.value.room != room:
            raise no_call()
        return row

    async def shown(self, actor: Actor, ident: str) -> Call:
        """To whom it concerns. Raises 404."""
        row = await self.records.get(actor.app, ident)
        concerned = row is not None and actor.account in {*row.value.involved, *row.value.waiting}
        if row is None or not concerned:
            raise no_call()
        return row.value

    def sees(self, room: Room | None, call: Call, account: str) -> bool:
        """Whether this account may know who is in."""
        return room is None or not self._waits(room, call, account)

    def _manages(self, actor: Actor, room: Room) -> bool:
        return rights.allowed(actor, room.id, Operation.MODERATE_CALL, self._clock.unix())

    # The media server and the log of rooms

    async def heard(self, app: str, name: str, verb: Present) -> None:
        """Who is in a room's call now. Who joins without a call begins one."""
        found = await self.records.of_room(app, name)
        if found is None:
            room = await self.following.room(app, name) if verb.who else None
            if room is None:
                return
            caller = next(filter(None, verb.who.values()), "")
            call = self._new(room, caller, self._clock.unix(), "", video=False)
            found, _ = await self.records.begin(app, call)
        try:
            await self.following.do(app, found.value.id, verb)
        except (ClientError, NoCall):
            # The media server's next word finds another call, or begins one.
            log.info("a call ended while somebody came")

    async def committed(self, app: str, room: str, entries: Sequence[Entry]) -> None:
        """A hook of the log: who is no member any more is in no call either, and who has another
        part has other rights in it.
        """
        for entry in entries:
            if not isinstance(entry.op, Member):
                continue
            if entry.op.part not in RANK:
                self._spawn(self._gone(app, room, entry.op.account))
            elif not self._came(app, room, entry.seq, entry.op.account):
                self._spawn(self.following.leaving.look(app, entry.op.account, room))

    async def _gone(self, app: str, room: str, account: str) -> None:
        await self._turn_out(app, room, account)
        row = await self.records.of_room(app, room)
        if row is not None:
            await self.following.do(app, row.value.id, Gone(account=account))

    def _came(self, app: str, room: str, seq: int, account: str) -> bool:
        """Whether the account became a member by this op: then it is in no call of the room yet."""
        held = self.following.chat.rooms.held(app, room)
        member = None if held is None else held.state.members.get(account)
        return member is not None and member.since == seq

    async def _turn_out(self, app: str, room: str, account: str) -> None:
        """Out of the call, in this process and every other."""
        self.following.media.remove(room, account)
        await self.following.leaving.leave(app, account, room)

    # Erasure

    async def forget_room(self, app: str, room: str) -> int:
        """Every trace of its calls; how many there were."""
        rows = await self.records.of(app, room=room)
        for row in rows:
            await self.records.delete(app, row)
        return len(rows)

    async def forget_account(self, app: str, account: str) -> int:
        """It took part as nobody; how many calls it was in."""
        rows = await self.records.of(app, account=account)
        for row in rows:
            await self.records.change(app, row.value.id, lambda call: without(call, account))
        return len(rows)

    # Background

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (Unavailable, ClientError, NoCall) as error:
            log.warning("a call was not changed: %s", type(error).__name__)

    async def idle(self) -> None:
        """Until nothing runs in the background."""
        while self._tasks:
            await asyncio.wait(self._tasks)


def _rung(call: Call, actor: Actor) -> bool:
    callee = call.callees.get(actor.account)
    return callee is not None and callee.outcome is Outcome.RINGING and call.end is None


def others(state: RoomState, account: str) -> list[str]:
    return [one for one in state.accounts() if one != account]


def waits(state: RoomState, account: str) -> bool:
    """Whether this room's lobby is for this account."""
    lobby, part = state.settings.lobby, state.part(account)
    if lobby is Lobby.OFF or part in _MODERATES:
        return False
    return lobby is Lobby.EVERYBODY or part not in RANK
