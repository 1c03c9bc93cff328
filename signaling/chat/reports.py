"""Reports of messages, and the queue in which a room's moderators work them off.

A report names the message and says why; what the message says stays where it is. Nobody reports
what they cannot read. Driven by REST.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from signaling.access.permissions import Operation
from signaling.chat.finding import find
from signaling.chat.ports import Actor
from signaling.chat.sealing import from_ms
from signaling.chat.service import Chat
from signaling.errors import ClientError, Code
from signaling.ids import Ids
from signaling.keys.port import Sealer
from signaling.storage.port import Store
from signaling.storage.table import Missing, Table

KIND = "chat.report"


class Outcome(StrEnum):
    """What a moderator did about it, by other operations."""

    OPEN = "open"
    DISMISSED = "dismissed"
    DELETED = "deleted"
    REMOVED = "removed"
    BANNED = "banned"


class Report(Struct, frozen=True, kw_only=True):
    id: str
    room: str
    message: str
    seq: int
    author: str | None
    reporter: str
    reason: str
    text: str
    at: datetime
    outcome: Outcome = Outcome.OPEN
    by: str | None = None


class Reports:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer, chat: Chat, ids: Ids) -> None:
        self._store, self._sealer, self._chat, self._ids = store, sealer, chat, ids

    def _table(self, app: str) -> Table[Report]:
        return Table(
            self._store, KIND, Report, self._sealer,
            lambda app, key, value: f"room:{value.room}",
            lambda value: (self._term(app, value.room, value.outcome),),
        )  # fmt: skip

    def _term(self, app: str, room: str, outcome: Outcome) -> str:
        state = "open" if outcome is Outcome.OPEN else "done"
        return self._sealer.blind(app, f"chat.report:{room}:{state}")

    async def report(self, actor: Actor, name: str, ident: str, reason: str, text: str) -> Report:
        room = await self._chat.room_for(actor, name, Operation.HISTORY)
        view = await find(self._chat, actor, room, ident)
        made = Report(
            id=self._ids.new(), room=name, message=ident, seq=view.seq, author=view.account,
            reporter=actor.account, reason=reason, text=text,
            at=from_ms(int(self._chat.clock.unix() * 1000)),
        )  # fmt: skip
        await self._table(actor.app).create(actor.app, made.id, made)
        return made

    async def queue(
        self, actor: Actor, name: str, *, done: bool, after: str, limit: int
    ) -> list[Report]:
        await self._chat.room_for(actor, name, Operation.SET_CHANNEL_MEMBERS)
        outcome = Outcome.DISMISSED if done else Outcome.OPEN
        term = self._term(actor.app, name, outcome)
        rows = await self._table(actor.app).scan(actor.app, term=term, after=after, limit=limit)
        return [row.value for row in rows]

    async def resolve(self, actor: Actor, name: str, ident: str, outcome: Outcome) -> Report:
        await self._chat.room_for(actor, name, Operation.SET_CHANNEL_MEMBERS)

        def change(report: Report) -> Report:
            if report.room != name:
                raise Missing(KIND)
            return replace(report, outcome=outcome, by=actor.account)

        try:
            return (await self._table(actor.app).change(actor.app, ident, change)).value
        except Missing:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such report.") from None

    async def of(self, app: str, account: str, room: str) -> AsyncIterator[Report]:
        """What somebody reported in a room."""
        for outcome in (Outcome.OPEN, Outcome.DISMISSED):
            after, term = "", self._term(app, room, outcome)
            while rows := await self._table(app).scan(app, term=term, after=after, limit=100):
                for row in rows:
                    if row.value.reporter == account:
                        yield row.value
                after = rows[-1].key

    async def forget_room(self, app: str, room: str) -> int:
        """The room was erased."""
        gone = 0
        for outcome in (Outcome.OPEN, Outcome.DISMISSED):
            gone += await self._table(app).clear(app, self._term(app, room, outcome))
        return gone

    async def forget_about(
        self, app: str, room: str, *, account: str = "", messages: Collection[str] = ()
    ) -> int:
        """What somebody reported, and what others reported of their messages or of these."""
        gone, table = 0, self._table(app)
        for outcome in (Outcome.OPEN, Outcome.DISMISSED):
            after, term = "", self._term(app, room, outcome)
            while rows := await table.scan(app, term=term, after=after, limit=100):
                for row in rows:
                    said = row.value
                    theirs = account and account in (said.reporter, said.author)
                    if theirs or said.message in messages:
                        gone += await table.delete(app, row.key)
                after = rows[-1].key
        return gone
