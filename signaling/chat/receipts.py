"""Read and delivered cursors in the store, what others may see of them, and unread counts.

A row for each account and room, changed only upwards. Who does not show receipts sees none
(`Preferences`), and a room can do without (`Settings.receipts`). Driven by REST and sync.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from signaling.access.permissions import Operation
from signaling.chat.accounts import Accounts
from signaling.chat.hub import Hub
from signaling.chat.ops import Mode
from signaling.chat.ports import Actor, CursorMoved
from signaling.chat.room import Room
from signaling.chat.service import Chat, hidden_before
from signaling.chat.state import RANK
from signaling.chat.unread import MOST, Counts, Cursor, Tail, moved
from signaling.errors import ClientError, Code, FieldError
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing, Row, Table

KIND = "chat.cursor"
MOST_TAILS = 2000
# Ops looked through for the newest messages: most of a log is messages.
TAIL_OPS = 2 * MOST


class Receipt(Struct, frozen=True, kw_only=True):
    """How far somebody is, as far as they show it."""

    account: str
    read: int | None = None
    delivered: int | None = None


class Seen(Protocol):
    """Told of what somebody read, after it is kept: up to where the cursor is now."""

    async def __call__(
        self, actor: Actor, room: str, cursor: Cursor, parent: str | None
    ) -> None: ...


class Moved(Protocol):
    """Told how far somebody is who shows it to the room."""

    async def __call__(self, app: str, room: str, receipt: Receipt) -> None: ...


class Receipts:
    """One for each process. `seen` are hooks, and `moved` of those who show it."""

    def __init__(
        self, store: Store, sealer: Sealer, chat: Chat, accounts: Accounts, hub: Hub
    ) -> None:
        self._store, self._sealer = store, sealer
        self._chat, self._accounts, self._hub = chat, accounts, hub
        self._tails: OrderedDict[tuple[str, str], Tail] = OrderedDict()
        self.seen: list[Seen] = []
        self.moved: list[Moved] = []

    def _table(self, app: str) -> Table[Cursor]:
        return Table(
            self._store, KIND, Cursor, self._sealer,
            lambda app, key, value: f"account:{value.account}",
            lambda value: (self._term(app, value.room),),
        )  # fmt: skip

    def _term(self, app: str, room: str) -> str:
        return self._sealer.blind(app, f"chat.cursor:{room}")

    def _key(self, app: str, room: str, account: str) -> str:
        return self._sealer.blind(app, f"chat.cursor:{room}:{account}")

    async def cursor(self, app: str, room: str, account: str) -> Cursor:
        row = await self._table(app).get(app, self._key(app, room, account))
        return Cursor(account=account, room=room) if row is None else row.value

    async def forget_room(self, app: str, room: str) -> int:
        """The room was erased."""
        self._tails.pop((app, room), None)
        return await self._table(app).clear(app, self._term(app, room))

    async def forget_account(self, app: str, room: str, account: str) -> bool:
        return await self._table(app).delete(app, self._key(app, room, account))

    async def _change(self, actor: Actor, room: Room, change: object) -> Cursor:
        assert callable(change)
        table, key = self._table(actor.app), self._key(actor.app, room.id, actor.account)
        fresh = Cursor(account=actor.account, room=room.id)
        while True:
            try:
                return (await table.change(actor.app, key, change)).value
            except Missing:
                try:
                    made: Cursor = change(fresh)
                    return (await table.create(actor.app, key, made)).value
                except Conflict:
                    continue

    async def read(
        self, actor: Actor, name: str, seq: int, parent: str | None, *, everything: bool = False
    ) -> Counts:
        """Raises 422 for a place beyond the head: nobody has read what is not there."""
        room = await self._room(actor, name, seq)
        counted: set[str] = set()
        if parent is not None and not room.transient:
            counted = (await self._tail(room)).threads()
        cursor = await self._change(
            actor,
            room,
            lambda old: moved(old, seq, parent, everything=everything, counted=counted),
        )
        await self._tell(actor, room, cursor, parent)
        for hook in self.seen:
            await hook(actor, room.id, cursor, parent)
        return await self._count(actor, room, cursor)

    async def delivered(self, actor: Actor, name: str, seq: int) -> None:
        room = await self._room(actor, name, seq)
        cursor = await self._change(
            actor, room, lambda old: replace(old, delivered=max(old.delivered, seq))
        )
        await self._tell(actor, room, cursor, None)

    async def mark(self, actor: Actor, name: str) -> Counts:
        """Come back to this room."""
        room = await self._room(actor, name, 0)
        cursor = await self._change(actor, room, lambda old: replace(old, marked=True))
        return await self._count(actor, room, cursor)

    async def _room(self, actor: Actor, name: str, seq: int) -> Room:
        room = await self._chat.room_for(actor, name, Operation.MESSAGE_COUNTS)
        if seq > room.state.seq:
            errors = [FieldError("/seq", "invalid", f"The newest op is {room.state.seq}.")]
            message = "The place is beyond the end of the room."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
        return room

    async def _tell(self, actor: Actor, room: Room, cursor: Cursor, parent: str | None) -> None:
        """Own devices always; the room when both preference and room allow."""
        moved_to = CursorMoved(
            room=room.id, account=actor.account, read=max(cursor.at(parent), 0),
            delivered=cursor.delivered, parent=parent,
        )  # fmt: skip
        await self._accounts.tell(actor.app, actor.account, moved_to)
        shown = await self._shown(actor.app, room, cursor)
        if shown is not None:
            hint = replace(moved_to, read=shown.read or 0, delivered=shown.delivered or 0)
            await self._hub.tell(actor.app, room.id, hint)
            for hook in () if parent else self.moved:
                await hook(actor.app, room.id, shown)

    async def _shown(self, app: str, room: Room, cursor: Cursor) -> Receipt | None:
        wish = (await self._accounts.state_of(app, cursor.account)).preferences
        if not room.state.settings.receipts or not (wish.read_receipts or wish.delivered_receipts):
            return None
        return Receipt(
            account=cursor.account,
            read=max(cursor.read, cursor.all) if wish.read_receipts else None,
            delivered=cursor.delivered if wish.delivered_receipts else None,
        )

    async def of_room(self, actor: Actor, name: str) -> list[Receipt]:
        """Of everybody else who shows theirs, for who shows their own."""
        room = await self._chat.room_for(actor, name, Operation.MESSAGE_COUNTS)
        mine = (await self._accounts.state_of(actor.app, actor.account)).preferences
        found: list[Receipt] = []
        for row in await self._rows(actor.app, room.id):
            other = row.value.account
            if other == actor.account or room.state.part(other) not in RANK:
                continue
            shown = await self._shown(actor.app, room, row.value)
            if shown is not None:
                found.append(
                    replace(
                        shown,
                        read=shown.read if mine.read_receipts else None,
                        delivered=shown.delivered if mine.delivered_receipts else None,
                    )
                )
        return [one for one in found if one.read is not None or one.delivered is not None]

    async def _rows(self, app: str, room: str) -> list[Row[Cursor]]:
        found: list[Row[Cursor]] = []
        after, term = "", self._term(app, room)
        while rows := await self._table(app).readable(app, term=term, after=after, limit=100):
            found += rows
            after = rows[-1].key
        return found

    # Counts

    async def counts(self, actor: Actor, name: str) -> Counts:
        room = await self._chat.room_for(actor, name, Operation.MESSAGE_COUNTS)
        return await self.counts_of(actor, room)

    async def counts_of(self, actor: Actor, room: Room) -> Counts:
        return await self._count(actor, room, await self.cursor(actor.app, room.id, actor.account))

    async def _count(self, actor: Actor, room: Room, cursor: Cursor) -> Counts:
        if room.state.mode is Mode.TRANSIENT:
            return Counts(marked=cursor.marked)
        tail = await self._tail(room)
        me = await self._accounts.state_of(actor.app, actor.account)
        member = room.state.members.get(actor.account)
        # What was said before one came is not news.
        since = max(hidden_before(room.state, actor.account), member.since if member else 0)
        return tail.count(cursor, me, self._chat.clock.unix(), since)

    async def _tail(self, room: Room) -> Tail:
        tail = self._tails.get((room.app, room.id))
        if tail is None or tail.start < room.floor:
            head = await self._chat.rooms.head(room)
            tail = Tail(max(head.floor, head.seq - TAIL_OPS))
            self._tails[(room.app, room.id)] = tail
            if len(self._tails) > MOST_TAILS:
                self._tails.popitem(last=False)
        while tail.seq < room.state.seq:
            stored = await room.log.read(room.app, room.id, after=tail.seq, limit=500)
            if not stored:
                break
            for entry in await self._chat.sealing.open(room.app, room.id, stored):
                # Whoever asked at the same time may be further: what is deleted stays so.
                if entry.seq > tail.seq:
                    tail.note(entry)
        return tail
