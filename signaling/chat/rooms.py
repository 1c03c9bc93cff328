"""Rooms as one process holds them: opened, caught up with the log, saved, and searched by message.

The log is the truth. A room's row is its state up to some seq, written now and then; opening a
room reads the row and folds what came after it. Beside it lies, for each message that was edited,
reacted to, replied to or came late, a small row with the seqs of those ops, written before the
room's row moves past them: so a page of old messages costs the same however long the log grew.
Long because opening, saving and finding share one memory.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from signaling.chat.ops import (
    CallOp,
    CallState,
    Delete,
    Edit,
    Entry,
    Erased,
    Mode,
    Post,
    attachments_of,
)
from signaling.chat.ports import CommittedHook
from signaling.chat.reduce import Messages, MessageView, ThreadView, may_end, subject_of
from signaling.chat.room import LATE_MS, About, Known, Room, RoomRow, known_by, time_of
from signaling.chat.sealing import Sealing, to_ms
from signaling.chat.state import RoomState
from signaling.chat.transient import TransientRows
from signaling.clock import Clock
from signaling.errors import ClientError, Unavailable
from signaling.ids import is_id
from signaling.keys.port import KeyDestroyed, Sealer
from signaling.storage.memory import MemoryLog
from signaling.storage.port import Conflict, Head, Store
from signaling.storage.table import Missing, Row, Table

log = logging.getLogger(__name__)

KIND, ABOUT = "chat.room", "chat.about"
# What rooms that hold health data are found by.
PHI = "phi"
# Ops between two writes of a room's row: what opening a room folds at most.
SAVE_EVERY, READ = 500, 500
# Of the first look around the place where a message is expected.
NEAR = 64
# Rooms, and in each of them messages and entries, that a process remembers.
MOST_ROOMS = 5000


class Rooms:
    """All that this process holds. `run` writes rows that wait; `close` those that are left."""

    def __init__(
        self, store: Store, sealer: Sealer, sealing: Sealing, clock: Clock, process: str
    ) -> None:
        self._log = store.log
        self._memory = MemoryLog()
        self._sealer, self._sealing, self._clock = sealer, sealing, clock
        # Whose messages are kept and not processed (GDPR 18); compliance knows.
        self.withheld: Callable[[str, str], bool] = lambda app, account: False
        self._process = process

        def scope(app: str, key: str, value: object) -> str:
            return f"room:{key}"

        self.rows: Table[RoomRow] = Table(
            store, KIND, RoomRow, sealer, scope,
            lambda row: tuple(
                term for term, on in (("public", row.state.kind.value == "public"),
                                      (PHI, row.state.settings.phi)) if on
            ),
        )  # fmt: skip
        self.transient = TransientRows(self.rows, clock)
        self._store = store
        self._openings = itertools.count(1)
        self._rooms: OrderedDict[tuple[str, str], Room] = OrderedDict()
        self._opening: dict[tuple[str, str], asyncio.Task[Room | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.folded: list[CommittedHook] = []
        """Told of what others appended and may have died before they noted it elsewhere; so of
        much that was noted long ago.
        """

    # Opening

    async def create(self, app: str, ident: str, state: RoomState) -> Room:
        """Raises Conflict when there is one."""
        row = await self.rows.create(app, ident, RoomRow(state))
        return self._keep(app, ident, row)

    async def find(self, app: str, ident: str) -> Room | None:
        """At its head, or None. Raises KeyDestroyed for one that was erased."""
        room = self._rooms.get((app, ident))
        if room is None:
            room = await self._open(app, ident)
        if room is None:
            return None
        await self.catch_up(room)
        if room.gone:
            self.drop(app, ident)
            return None
        return room

    async def find_there(self, app: str, ident: str) -> Room | None:
        """As `find`; of one that was erased as of one that never was."""
        try:
            return await self.find(app, ident)
        except KeyDestroyed:
            return None

    def held(self, app: str, ident: str) -> Room | None:
        return self._rooms.get((app, ident))

    async def _open(self, app: str, ident: str) -> Room | None:
        place = (app, ident)
        task = self._opening.get(place)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._load(app, ident))
            self._opening[place] = task
            task.add_done_callback(lambda _: self._opening.pop(place, None))
        return await asyncio.shield(task)

    async def _load(self, app: str, ident: str) -> Room | None:
        row = await self.rows.get(app, ident)
        if row is None:
            return None
        room = self._keep(app, ident, row)
        if room.transient and (head := await self.head(room)).seq:
            room.state.seq = head.seq  # it was dropped from here, and its log was not
        elif room.transient:
            room.state = room.state.anew()
        return room

    def _keep(self, app: str, ident: str, row: Row[RoomRow]) -> Room:
        state = row.value.state
        # Versions of REST begin anew with each opening, so idents do too.
        opening = f"{self._process}:{next(self._openings)}"
        if state.mode is Mode.TRANSIENT:
            room = Room(app, ident, state, self._memory, self._process, opening)
        else:
            room = Room(app, ident, state, self._log, "", opening)
        room.version = row.version
        self._rooms[(app, ident)] = room
        while len(self._rooms) > MOST_ROOMS:
            # What is dropped unsaved is folded again when it is opened.
            self._rooms.popitem(last=False)
        return room

    async def head(self, room: Room) -> Head:
        return await room.log.head(room.app, room.id)

    async def catch_up(self, room: Room) -> None:
        """Fold what others appended."""
        if room.transient:
            await self.transient.refresh(room)
        head = await self.head(room)
        room.raise_floor(head.floor)
        if head.seq > room.state.seq and room.appending:
            # Of our own, most likely: those who wrote it go on in this step of the loop.
            await asyncio.sleep(0)
        if head.seq <= room.state.seq:
            return
        others: list[Entry] = []
        async with room.catching:
            if head.floor > room.state.seq and not room.transient:
                await self._reload(room)
            while room.state.seq < head.seq and not room.gone:
                after = max(room.state.seq, head.floor)
                stored = await room.log.read(room.app, room.id, after=after, limit=READ)
                if not stored:
                    break
                for entry in await self._sealing.open(room.app, room.id, stored):
                    if entry.seq > room.state.seq:
                        room.note(entry)
                        if _is_noted(entry):
                            others.append(entry)
        if others and not room.transient:
            self._spawn(self._note_quietly(room, others))
        self.save_soon(room)

    async def _note_quietly(self, room: Room, entries: list[Entry]) -> None:
        try:
            with room.being_noted():
                for hook in self.folded:
                    await hook(room.app, room.id, entries)
        except (Unavailable, Conflict, ClientError) as error:
            log.info("what others said was not noted now: %s", type(error).__name__)

    async def _reload(self, room: Room) -> None:
        """The log was cut beyond what was folded here: its row was written before that, or the room
        is no more.
        """
        row = await self.rows.get(room.app, room.id)
        if row is None:
            room.gone = True
        elif row.value.state.seq > room.state.seq:
            room.renew(row.value.state)
            room.version = row.version

    async def advance(self, room: Room, entries: Iterable[Entry]) -> None:
        """What this process appended."""
        for entry in entries:
            if entry.seq == room.state.seq + 1:
                room.note(entry)
            elif entry.seq > room.state.seq:
                await self.catch_up(room)
        if not room.transient:
            self.save_soon(room)

    # Saving

    def save_soon(self, room: Room) -> None:
        if room.state.seq - room.saved < SAVE_EVERY and room.state.changed <= room.saved:
            return
        if room.saving.locked():
            return
        self._spawn(self._save_quietly(room))

    async def _save_quietly(self, room: Room) -> None:
        try:
            await self.save(room)
        except (Unavailable, Conflict, ClientError) as error:
            log.info("a room's row was not written now: %s", type(error).__name__)

    async def save(self, room: Room) -> None:
        """Rows about messages first, then the room's own. Raises Unavailable."""
        async with room.saving:
            await self.resolve(room)
            state = room.state.compacted()
            if room.noting:
                await asyncio.wait(set(room.noting))
            if room.half_noted and not room.transient:
                self.drop(room.app, room.id)
                raise Unavailable("a room is folded anew", 1)
            dirty, room.dirty = room.dirty, {}
            try:
                for ident, about in dirty.items():
                    await self._merge(room, ident, about)
                await self._write(room, state)
            except BaseException:
                for ident, about in dirty.items():
                    room.dirty[ident] = room.dirty.get(ident, About()).joined(about)
                raise
            room.saved = max(room.saved, state.seq)

    async def _write(self, room: Room, state: RoomState) -> None:
        row = await self.rows.get(room.app, room.id)
        if row is None:
            return  # removed meanwhile
        if row.value.state.seq >= state.seq and not room.transient:
            return  # another process was faster
        written = await self.rows.replace(room.app, row, RoomRow(state))
        room.version = written.version

    async def _merge(self, room: Room, ident: str, about: About) -> None:
        table, key = self._abouts(room), self._about_key(room, ident)
        try:
            await table.change(room.app, key, lambda old: old.joined(about))
        except Missing:
            try:
                await table.create(room.app, key, about)
            except Conflict:
                await table.change(room.app, key, lambda old: old.joined(about))

    def _abouts(self, room: Room) -> Table[About]:
        if room.abouts is None:
            term = self._sealer.blind(room.app, f"chat.about:{room.id}")
            room.abouts = Table(
                self._store, ABOUT, About, self._sealer,
                lambda app, key, value: f"room:{room.id}", lambda value: (term,),
            )  # fmt: skip
        return room.abouts

    def _about_key(self, room: Room, ident: str) -> str:
        return self._sealer.blind(room.app, f"{room.id}:{ident}")

    async def remove(self, app: str, ident: str) -> None:
        """The room's rows; its log and its keys are its remover's. Repeating it does no harm."""
        await self.rows.delete(app, ident)
        self._rooms.pop((app, ident), None)
        term = self._sealer.blind(app, f"chat.about:{ident}")
        while rows := await self._store.meta.scan(app, ABOUT, term=term, limit=100):
            for row in rows:
                await self._store.meta.delete(app, ABOUT, row.key)

    async def forget_message(self, room: Room, ident: str) -> None:
        """It was erased: nothing points to it any more."""
        room.forget_message(ident)
        await self._store.meta.delete(room.app, ABOUT, self._about_key(room, ident))

    async def every(self, app: str, after: str = "") -> AsyncIterator[str]:
        """The ids of all rooms beyond `after`, the oldest first."""
        while page := await self._store.meta.scan(app, KIND, after=after, limit=200):
            for document in page:
                yield document.key
            after = page[-1].key

    def drop(self, app: str, ident: str) -> None:
        self._rooms.pop((app, ident), None)

    # Messages

    async def about(self, room: Room, ident: str, seq: int) -> About:
        """Everything about the message at `seq`."""
        await self.resolve(room)
        known = room.about.get(ident, About())
        if seq > room.since:
            return known
        row = await self._about_row(room, ident)
        return known if row is None else row.joined(known)

    async def _about_row(self, room: Room, ident: str) -> About | None:
        row = await self._abouts(room).get(room.app, self._about_key(room, ident))
        return None if row is None else row.value

    async def resolve(self, room: Room) -> None:
        """Deleted replies leave their threads."""
        while room.unresolved:
            entry = room.unresolved.pop()
            assert isinstance(entry.op, Delete)
            known = await self.known(room, entry.op.id)
            if known is not None and known.parent is not None and may_end(entry, known.account):
                room.left(known.parent, known.seq)

    async def known(self, room: Room, ident: str) -> Known | None:
        """Where a message stands and whose it is."""
        if not is_id(ident):
            return None
        found = room.posts.get(ident)
        if found is not None:
            return found
        row = await self._about_row(room, ident)
        if row is not None and row.post:
            entries = await self.entries(room, [row.post])
            return _known(entries, ident)
        return await self._by_time(room, ident)

    async def has(self, room: Room, ident: str) -> bool:
        """Whether a message is here that came long after it was said: then it has a row."""
        return ident in room.posts or bool(await self._place(room, ident))

    async def _place(self, room: Room, ident: str) -> int:
        """Of a message that came late or has an end; else 0."""
        if ident in room.about and room.about[ident].post:
            return room.about[ident].post
        row = await self._about_row(room, ident)
        return 0 if row is None else row.post

    async def end_of(self, room: Room, ident: str) -> datetime | None:
        """When a message's own life is over."""
        found = room.posts.get(ident)
        if found is None and (place := await self._place(room, ident)):
            found = _known(await self.entries(room, [place]), ident)
        return None if found is None else found.expires

    async def _by_time(self, room: Room, ident: str) -> Known | None:
        """The log's times rise with its seqs, so the place where it was said is found by halving.
        From there outwards in growing stretches: most arrive at once, however many others do.
        """
        wanted, head = time_of(ident), await self.head(room)
        low, high = head.floor + 1, head.seq + 1
        while low < high:
            middle = (low + high) // 2
            at = await self._time_at(room, middle, high)
            if at is None or at >= wanted:
                high = middle
            else:
                low = middle + 1
        spans: list[dict[str, int]] = [{"after": low - 1}, {"before": low}]
        limit = NEAR
        while spans:
            beyond = []
            for span in spans:
                stored = await room.log.read(room.app, room.id, **span, limit=limit)
                entries = await self._sealing.open(room.app, room.id, stored)
                found = _known(entries, ident)
                if found is not None:
                    return found
                if len(stored) == limit and not _is_past(entries, wanted):
                    ahead = "after" in span
                    beyond.append({"after": stored[-1].seq} if ahead else {"before": stored[0].seq})
            spans, limit = beyond, min(2 * limit, READ)
        return None

    async def _time_at(self, room: Room, seq: int, end: int) -> int | None:
        """Of the first op from there on that was not erased; None when there is none."""
        for start in range(seq, min(end, seq + 64), 8):
            stored = await room.log.read(room.app, room.id, after=start - 1, limit=8)
            for entry in await self._sealing.open(room.app, room.id, stored):
                if entry.seq < end and to_ms(entry.at):
                    return to_ms(entry.at)
        return None

    async def entries(self, room: Room, seqs: Iterable[int]) -> list[Entry]:
        """Those that are still there, rising; `READ` of them with each look into the store."""
        wanted = set(seqs)
        found = [entry for entry in room.recent if entry.seq in wanted]
        missing = sorted(wanted.difference(entry.seq for entry in found))
        for start in range(0, len(missing), READ):
            stored = await room.log.pick(room.app, room.id, missing[start : start + READ])
            found += await self._sealing.open(room.app, room.id, stored)
        return sorted(found, key=lambda entry: entry.seq)

    async def views(self, room: Room, posts: Iterable[Entry]) -> list[MessageView]:
        """Messages as they stand, for their posts. What is about any of them is read together."""
        wanted: list[tuple[Entry, str, About]] = []
        for post in posts:
            subject = subject_of(post)
            if subject is not None:
                about = await self.about(room, subject, 0 if _ends(post) else post.seq)
                wanted.append((post, subject, about))
        entries = await self._about_them(room, [about for _, _, about in wanted])
        found = []
        for post, subject, about in wanted:
            said = [entries[seq] for seq in about.seqs if seq in entries]
            view = Messages([post, *said]).message(subject)
            if view is not None and (view.seq == post.seq or not _ends(post)):
                found.append(_with_thread(view, about.thread()))
        return found

    async def _about_them(self, room: Room, abouts: Sequence[About]) -> dict[int, Entry]:
        """Without the reactions that were taken back or given again since: unless what outdid them
        was erased, so that nobody can tell any more.
        """
        entries = await self.entries(room, itertools.chain(*(about.lasting() for about in abouts)))
        gone = {entry.seq for entry in entries if isinstance(entry.op, Erased)}
        torn = [about.outdone for about in abouts if not gone.isdisjoint(about.seqs)]
        if any(torn):
            entries += await self.entries(room, itertools.chain(*torn))
        return {entry.seq: entry for entry in entries}

    # Background

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for room in list(self._rooms.values()):
            if room.state.seq > room.saved and not room.transient:
                await self._save_quietly(room)


def _is_noted(entry: Entry) -> bool:
    """Whether there is more of it than its place in the log: files, or an end."""
    op = entry.op
    if isinstance(op, Post | Edit):
        return bool(attachments_of(op)) or entry.expires_at is not None
    return isinstance(op, Delete)


def _ends(entry: Entry) -> bool:
    """A call stands where it started, which may be long before."""
    return isinstance(entry.op, CallOp) and entry.op.state is not CallState.STARTED


def _is_past(entries: Sequence[Entry], wanted: int) -> bool:
    """Whether one of them came too long before or after. Those that were erased have no time."""
    return any(at and abs(at - wanted) > LATE_MS for at in (to_ms(entry.at) for entry in entries))


def _known(entries: Iterable[Entry], ident: str) -> Known | None:
    for entry in entries:
        if isinstance(entry.op, Post) and entry.op.id == ident:
            return known_by(entry, entry.op)
    return None


def _with_thread(view: MessageView, thread: ThreadView | None) -> MessageView:
    return msgspec.structs.replace(view, thread=thread)
