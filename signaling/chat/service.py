"""The one way into a room's log, and out of it: judged, sealed, appended, told to whoever listens.

    changes -> cursor -> judge (void what is not allowed) -> seal -> append -> fold -> hooks, bus

A change of the room itself goes alone through its gate, and is judged anew when the log went on
meanwhile. Messages pass together, and are judged anew when the room itself changed: the log takes
none behind a change, of whatever process, that its judge had not seen. Implements `ports.Partition`
for rooms. Used by REST (`act`) and by sync (`integrate`). Long because all of it is one path, which
has one owner.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from msgspec.structs import replace

from signaling.access.permissions import Operation
from signaling.chat import checks, rights
from signaling.chat.ending import living
from signaling.chat.erasing import erase
from signaling.chat.hub import Hub
from signaling.chat.ops import (
    Change,
    ClientOp,
    Close,
    Create,
    Delete,
    Edit,
    Entry,
    Member,
    Op,
    Part,
    Post,
    Set,
    ToE2ee,
    Void,
    attachments_of,
    tag_of,
)
from signaling.chat.passing import Passing, news_of
from signaling.chat.ports import (
    Actor,
    Addable,
    Attachable,
    BadVersion,
    Batch,
    Below,
    Cancel,
    Committed,
    Integrated,
    Notice,
    RightsChanged,
    Watcher,
    any_file,
    anybody,
)
from signaling.chat.reduce import MODERATES
from signaling.chat.room import STATE_OPS, Room
from signaling.chat.rooms import Rooms
from signaling.chat.sealing import Sealing, from_ms
from signaling.chat.state import RANK, RoomState
from signaling.clock import Clock
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.keys.port import KeyDestroyed
from signaling.storage.port import Appended, Conflict, Head, NewOp

_GATED = Member | Set | ToE2ee
# With any of these a token has something to change in a room.
_CHANGING = (
    Operation.PUBLISH, Operation.DELETE_MESSAGES, Operation.SET_CHANNEL,
    Operation.SET_CHANNEL_MEMBERS, Operation.SET_MEMBERSHIPS,
)  # fmt: skip
# How often what is not ours to serialise is judged anew before the request is turned away.
ATTEMPTS = 8
# Of a change of the room itself, which any message of another process puts off.
GATED_ATTEMPTS = 32
MOST_READ = 500


@dataclass(slots=True)
class Judged:
    """A change with what becomes of it: its own op, or a void one with a notice."""

    change: Change
    op: Op
    part: Part
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """An op in somebody's name, and which of those of its ident it is."""

    account: str
    part: Part
    op: Op
    version: int


@dataclass(slots=True)
class Chat:
    """One for each process."""

    rooms: Rooms
    sealing: Sealing
    hub: Hub
    clock: Clock
    passing: Passing
    attachable: Attachable = any_file
    addable: Addable = anybody
    committed: list[Committed] = field(default_factory=list)

    # Who may see

    async def room_for(self, actor: Actor, name: str, operation: Operation) -> Room:
        """The room, if the actor may do this in it. Tokens are judged before anything is looked
        up; a session is told of a room that it may not know of that there is none.
        """
        now = self.clock.unix()
        if actor.token:
            rights.require(actor, name, operation, now)
        room = await self._find(actor.app, name)
        if room is None:
            if not actor.token and (fault := rights.scope_fault(actor, operation)):
                raise fault
            raise rights.no_room()
        if room.state.part(actor.account) is Part.BANNED:
            raise rights.banned()
        if not actor.token:
            try:
                rights.require(actor, name, operation, now)
            except Refused:
                if rights.scope_fault(actor, operation) or rights.knows(actor, name, room, now):
                    raise
                raise rights.no_room() from None
        return room

    async def _find(self, app: str, name: str) -> Room | None:
        try:
            return await self.rooms.find(app, name)
        except KeyDestroyed:
            return None

    async def may_read(self, actor: Actor, name: str) -> None:
        await self.room_for(actor, name, Operation.SUBSCRIBE)

    # Writing

    async def integrate(
        self, actor: Actor, name: str, ident: str, changes: Sequence[Change]
    ) -> Integrated:
        """See `ports.Partition.integrate`."""
        room = await self._writable(actor, name)
        cursor = await room.log.cursor(actor.app, room.id, ident)
        news = [change for change in changes if change.version > cursor]
        for expected, change in enumerate(news, start=cursor + 1):
            if change.version != expected:
                raise BadVersion(expected)
        entries: list[Entry] = []
        notices: list[Notice] = []
        for run in _runs(news):
            done = await self._commit(actor, room, ident, run, strict=False)
            entries += done.entries
            notices += done.notices
            cursor = run[-1].version
        # Only notices name the head.
        head = await self.rooms.head(room) if notices else Head()
        return Integrated(cursor=cursor, head=head, entries=entries, notices=notices)

    async def _writable(self, actor: Actor, name: str) -> Room:
        """Whoever is not even a reader gets no slot in the log; the banned are told so."""
        if not actor.token:
            return await self.room_for(actor, name, Operation.GET_CHANNEL)
        now = self.clock.unix()
        held = (one for one in _CHANGING if rights.allowed(actor, name, one, now))
        return await self.room_for(actor, name, next(held, Operation.PUBLISH))

    async def act(self, actor: Actor, name: str, op: ClientOp, key: str | None = None) -> Entry:
        """One op over REST, refused as a whole. `key` is the ident of an Idempotency-Key: what
        came with it before is answered again, also when the first answer was lost in a crash.
        """
        room = await self._writable(actor, name)
        clock = max(int(self.clock.unix() * 1000), room.state.clock + 1)
        ident, version = (key, 1) if key is not None else room.take()
        try:
            change = Change(version=version, clock=clock, op=op)
            done = await self._commit(actor, room, ident, [change], strict=True)
        finally:
            if key is None:
                room.give_back(ident)
        entries = done.entries or await self.rooms.entries(room, [done.cursor])
        if not entries:
            raise ClientError(
                Code.CONFLICT, 409, "That was sent before, and nothing is left of it."
            )
        return cast("Entry", entries[0])

    async def say(self, room: Room, *ops: Op) -> list[Entry]:
        """The server's own ops (calls, erasures, joins by invitation): nobody is asked."""
        ident, version = room.take()
        try:
            entries = []
            async with room.gate:
                for op in ops:
                    entry = self._entry(room, ident, version, Judged(_bare(op), op, Part.SERVICE))
                    entry = replace(entry, account=None, clock=room.state.clock + 1)
                    entries += await self._append(room, [entry])
                    version = room.versions[ident] = version + 1
            return entries
        finally:
            room.give_back(ident)

    async def erase(self, room: Room, messages: Sequence[tuple[str, int]], reason: str) -> None:
        """See `erasing`."""
        await erase(self, room, messages, (), reason)

    async def say_as(self, room: Room, account: str, part: Part, op: Op) -> list[Entry]:
        """An op in somebody's name that was allowed elsewhere (an invitation, a schedule)."""
        ident, version = room.take()
        try:
            async with room.gate:
                entry = self._entry(room, ident, version, Judged(_bare(op), op, part))
                clock = max(int(self.clock.unix() * 1000), room.state.clock + 1)
                return await self._append(room, [replace(entry, account=account, clock=clock)])
        finally:
            room.give_back(ident)

    async def say_newest(
        self, room: Room, ident: str, make: Callable[[int], Awaitable[Saying | None]]
    ) -> int:
        """As `say_as`, of what depends on the room's newest state and on how often `ident` has
        spoken, which `make` is told; it is asked anew when others were faster. What it raises is
        raised. Its version once it is in the log, 0 when `make` had nothing to say.
        """
        async with room.gate:
            for _ in range(GATED_ATTEMPTS):
                if room.transient:
                    await self.rooms.transient.refresh(room, now=True)
                expect = None if room.transient else room.state.seq
                said = await make(await room.log.cursor(room.app, room.id, ident))
                if said is None:
                    return 0
                judged = Judged(_bare(said.op), said.op, said.part)
                entry = self._entry(room, ident, said.version, judged)
                clock = max(int(self.clock.unix() * 1000), room.state.clock + 1)
                entry = replace(entry, account=said.account, clock=clock)
                with contextlib.suppress(Conflict):
                    sealed = await self._sealed(room, entry)
                    if (await self._append_sealed(room, [sealed], expect))[0]:
                        return said.version
                await self.rooms.catch_up(room)
        raise Unavailable("the room changes too fast", 1)

    async def bring(self, room: Room, entries: list[Entry]) -> list[Entry]:
        """Ops that were said elsewhere; those that are here already are left out."""
        gated = any(isinstance(entry.op, Create | _GATED) for entry in entries)
        async with room.gate if gated else contextlib.nullcontext():
            return await self._append(room, entries)

    async def _commit(
        self, actor: Actor, room: Room, ident: str, changes: list[Change], *, strict: bool
    ) -> Integrated:
        if isinstance(changes[0].op, _GATED):
            return await self._change_room(actor, room, ident, changes, strict=strict)
        entries: list[Entry] = []
        notices: list[Notice] = []
        for _ in range(ATTEMPTS):
            async with room.gate:
                turn = room.turn
            judged = await self._judge_all(actor, room, changes, strict)
            sealed = await self._seal(actor, room, ident, judged)
            if room.turn != turn or room.gate.locked():
                continue
            # No change of the room up to here was missed by the judge.
            done, taken = await self._finish(room, sealed, judged, seen=room.state.seq)
            entries += done.entries
            notices += done.notices
            if taken == len(changes):
                return replace(done, entries=entries, notices=notices)
            changes = changes[taken:]
            await self.rooms.catch_up(room)
        raise Unavailable("the room changes too fast", 1)

    async def _change_room(
        self, actor: Actor, room: Room, ident: str, changes: list[Change], *, strict: bool
    ) -> Integrated:
        """Other processes have gates of their own: what was judged by a state that is not the log's
        newest any more is not taken, and judged anew.
        """
        async with room.gate:
            for _ in range(GATED_ATTEMPTS):
                if room.transient:
                    await self.rooms.transient.refresh(room, now=True)
                expect = None if room.transient else room.state.seq
                judged = await self._judge_all(actor, room, changes, strict)
                sealed = await self._seal(actor, room, ident, judged)
                try:
                    return (await self._finish(room, sealed, judged, expect=expect))[0]
                except Conflict:
                    await self.rooms.catch_up(room)
        raise Unavailable("the room changes too fast", 1)

    async def _finish(
        self,
        room: Room,
        sealed: list[tuple[Entry, NewOp]],
        judged: list[Judged],
        *,
        expect: int | None = None,
        seen: int | None = None,
    ) -> tuple[Integrated, int]:
        """With how many of them were taken: no more once the room itself changed after `seen`.
        Raises Conflict where the log goes on after the seq that is expected.
        """
        entries, appended = await self._append_sealed(room, sealed, expect, seen)
        notices = [one.notice for one in judged[: len(appended)] if one.notice is not None]
        last = appended[-1].seq if appended else 0
        done = Integrated(cursor=last, head=Head(), entries=entries, notices=notices)
        return done, len(appended)

    async def _judge_all(
        self, actor: Actor, room: Room, changes: list[Change], strict: bool
    ) -> list[Judged]:
        found = []
        for change in changes:
            try:
                found.append(await self._judge(actor, room, change))
            except ClientError as error:
                if strict:
                    raise
                notice = Notice(version=change.version, code=error.code, message=error.message)
                op = Void(code=error.code, was=tag_of(change.op))
                part = room.state.part(actor.account)
                found.append(Judged(change, op, part, notice))
        return found

    async def _judge(self, actor: Actor, room: Room, change: Change) -> Judged:
        op, now = change.op, self.clock.unix()
        rights.judge(actor, room.id, room.state, op, now)
        checks.check(op, room.state.mode, actor.account, actor.device)
        part = rights.part_of(actor, room.id, room.state, op, now)
        if isinstance(op, Edit | Delete | Close):
            await self._require_own(actor, room, op, part)
        if isinstance(op, Post | Edit) and (files := attachments_of(op)):
            await self.attachable(actor, room.id, op.id, [file.id for file in files])
        if isinstance(op, Member) and op.part in RANK and room.state.part(op.account) not in RANK:
            await self.addable(actor, op.account)
        return Judged(change, op, part)

    async def _require_own(
        self, actor: Actor, room: Room, op: Edit | Delete | Close, part: Part
    ) -> None:
        """Readers take no notice of such an op; hooks, routes and other devices would."""
        known = None if room.transient else await self.rooms.known(room, op.id)
        if known is None or known.account == actor.account:
            return
        if isinstance(op, Edit) or part not in MODERATES:
            raise rights.refused("This message is somebody else's.")

    async def _seal(
        self, actor: Actor, room: Room, ident: str, judged: list[Judged]
    ) -> list[tuple[Entry, NewOp]]:
        sealed = []
        for one in judged:
            entry = replace(
                self._entry(room, ident, one.change.version, one), account=actor.account
            )
            sealed.append(await self._sealed(room, entry))
        return sealed

    async def _sealed(self, room: Room, entry: Entry) -> tuple[Entry, NewOp]:
        body = await self.sealing.seal(room.app, room.id, entry)
        turns = isinstance(entry.op, STATE_OPS)
        return entry, NewOp(entry.ident, entry.version, body, turns)

    def _entry(self, room: Room, ident: str, version: int, judged: Judged) -> Entry:
        now = int(self.clock.unix() * 1000)
        clock = checks.clamp(judged.change.clock, now, room.state.clock)
        expires = None
        if isinstance(judged.op, Post):
            life = judged.op.ttl or room.state.settings.ttl
            expires = None if life is None else from_ms(now + life * 1000)
        return Entry(
            seq=0, ident=ident, version=version, clock=clock, at=from_ms(now),
            account=None, part=judged.part, op=judged.op, expires_at=expires,
        )  # fmt: skip

    async def _append(self, room: Room, entries: list[Entry]) -> list[Entry]:
        sealed = [await self._sealed(room, entry) for entry in entries]
        return (await self._append_sealed(room, sealed))[0]

    async def _append_sealed(
        self,
        room: Room,
        sealed: list[tuple[Entry, NewOp]],
        expect: int | None = None,
        seen: int | None = None,
    ) -> tuple[list[Entry], list[Appended]]:
        """What is new, and the log's answer, also to a repetition. Nothing pauses between the last
        judgement and the log's own queue.
        """
        ops = [op for _, op in sealed]
        appending = room.log.append(room.app, room.id, ops, expect=expect, seen=seen)
        room.appending += 1
        try:
            appended = await appending
        finally:
            room.appending -= 1
        entries = [
            replace(entry, seq=done.seq)
            for (entry, _), done in zip(sealed, appended, strict=False)
            if not done.duplicate
        ]
        if entries:
            await self._appended(room, entries, appended[-1].chain)
        return entries, appended

    async def _appended(self, room: Room, entries: list[Entry], chain: bytes) -> None:
        """`chain`: that after the last of them, if the store has it at hand."""
        turn = room.turn
        if room.transient:
            await room.log.purge(room.app, room.id, entries[-1].seq)
        with room.being_noted():
            await self.rooms.advance(room, entries)
            if room.transient and room.turn != turn:
                # Nothing else remembers who is in it.
                await self.rooms.transient.settle(room, entries)
            for hook in self.committed:
                await hook(room.app, room.id, entries)
        news = news_of(room, entries, chain)
        if room.transient:
            self.hub.deliver(room.app, room.id, news)
            await self.passing.on(room, entries)
        else:
            await self.hub.tell(room.app, room.id, news)
        if room.turn != turn:
            await self.hub.tell(room.app, room.id, RightsChanged())

    # Reading

    async def read(self, actor: Actor, name: str, after: int, limit: int) -> Batch:
        room = await self.room_for(actor, name, Operation.HISTORY)
        return await self.read_room(actor, room, after, limit)

    async def read_room(self, actor: Actor, room: Room, after: int, limit: int) -> Batch:
        head = await self.rooms.head(room)
        floor = max(head.floor, hidden_before(room.state, actor.account))
        if after < floor:
            raise Below(replace(head, floor=floor))
        stored = await room.log.read(room.app, room.id, after=after, limit=min(limit, MOST_READ))
        opened = await self.sealing.open(room.app, room.id, stored)
        entries = await living(self.rooms, room, opened, self.clock.unix())
        chain = stored[-1].chain if stored else await self._chain(room, after)
        return Batch(entries=entries, chain=chain or b"", head=head)

    async def head(self, app: str, name: str) -> Head:
        room = await self._find(app, name)
        return Head() if room is None else await self.rooms.head(room)

    async def epoch(self, app: str, name: str) -> str:
        room = self.rooms.held(app, name) or await self._find(app, name)
        return "" if room is None else room.epoch

    async def cursor(self, app: str, name: str, ident: str) -> int:
        room = await self._find(app, name)
        return 0 if room is None else await room.log.cursor(app, room.id, ident)

    async def chain(self, app: str, name: str, seq: int) -> bytes | None:
        room = await self._find(app, name)
        return None if room is None else await self._chain(room, seq)

    async def _chain(self, room: Room, seq: int) -> bytes | None:
        head = await self.rooms.head(room)
        if seq == head.seq:
            return head.chain
        stored = await room.log.read(room.app, room.id, after=seq - 1, limit=1) if seq > 0 else []
        if stored and stored[0].seq == seq:
            return stored[0].chain
        return bytes(32) if seq == 0 else None

    async def state(self, actor: Actor, name: str) -> tuple[int, RoomState]:
        room = await self.room_for(actor, name, Operation.HISTORY)
        return room.state.seq, room.state.compacted()

    def watch(self, app: str, name: str, watcher: Watcher) -> Cancel:
        return self.hub.watch(app, name, watcher)


def hidden_before(state: RoomState, account: str) -> int:
    """The last seq that a member may not read, in rooms that begin with one's joining."""
    member = state.members.get(account)
    if not state.settings.since_join or member is None or member.part not in RANK:
        return 0
    return max(0, member.since - 1)


def _runs(changes: list[Change]) -> list[list[Change]]:
    """Changes of the room itself alone, messages together."""
    found: list[list[Change]] = []
    for change in changes:
        alone = isinstance(change.op, _GATED)
        if alone or not found or isinstance(found[-1][0].op, _GATED):
            found.append([change])
        else:
            found[-1].append(change)
    return found


def _bare(op: Op) -> Change:
    """For the server's ops, which no client could send."""
    return Change(version=1, clock=0, op=cast("ClientOp", op))
