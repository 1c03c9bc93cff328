"""What happens at a time: scheduled posts are sent, expired messages are erased.

Both are rows whose keys begin with the time, so what is due comes first. A scheduled post has an
ident of its own, so two processes that find it due post it once. Expiry is exact for readers
without this; here the bytes go. `run` belongs to the composition root.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from msgspec import Struct

from signaling.access.permissions import Operation
from signaling.accounts.principal import Kind, Principal
from signaling.chat.ops import Entry, Post, attachments_of
from signaling.chat.people import People
from signaling.chat.ports import Actor
from signaling.chat.sealing import from_ms, to_ms
from signaling.chat.service import Chat
from signaling.errors import ClientError, Code, Unavailable
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Row, Table

log = logging.getLogger(__name__)

SCHEDULED, EXPIRING = "chat.scheduled", "chat.expiring"
EVERY = 1.0
DUE = 100
MOST_SCHEDULED = 200
# When somebody holds a message that is due (compliance), it is looked at again after so long.
HELD_MS = 3_600_000

Held = Callable[[str, str, str], Awaitable[bool]]


class Scheduled(Struct, frozen=True, kw_only=True):
    """`scopes` are those of the session that wrote it: it sends no more than that could."""

    id: str
    account: str
    device: str
    room: str
    at: datetime
    post: Post
    scopes: tuple[str, ...] = ()


class Expiring(Struct, frozen=True, kw_only=True):
    room: str
    seq: int
    id: str


class Later:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer, chat: Chat, people: People) -> None:
        self._chat, self._people, self._sealer, self._store = chat, people, sealer, store
        self._expiring: Table[Expiring] = Table(store, EXPIRING, Expiring, sealer)
        self.held: Held = _nobody_holds

    def _scheduled(self, app: str) -> Table[Scheduled]:
        return Table(
            self._store, SCHEDULED, Scheduled, self._sealer,
            lambda app, key, value: f"account:{value.account}",
            lambda value: (self._term(app, value.account), self._named(app, value.id)),
        )  # fmt: skip

    def _term(self, app: str, account: str) -> str:
        return self._sealer.blind(app, f"chat.scheduled:{account}")

    def _named(self, app: str, ident: str) -> str:
        return self._sealer.blind(app, f"chat.scheduled.post:{ident}")

    # Scheduled posts

    async def schedule(self, actor: Actor, room: str, at: datetime, post: Post) -> Scheduled:
        await self._chat.room_for(actor, room, Operation.PUBLISH)
        if at.timestamp() <= self._chat.clock.unix():
            raise ClientError(Code.FIELDS_INVALID, 422, "The time is past.")
        if len(await self.scheduled(actor)) >= MOST_SCHEDULED:
            raise ClientError(Code.CONFLICT, 409, "So many posts wait already; cancel some.")
        if files := attachments_of(post):
            await self._chat.attachable(actor, room, post.id, [file.id for file in files])
        made = Scheduled(
            id=post.id, account=actor.account, device=actor.device, room=room, at=at, post=post,
            scopes=tuple(sorted(actor.holder.scopes or ())),
        )  # fmt: skip
        await self._scheduled(actor.app).create(actor.app, _key(at, post.id), made)
        return made

    async def waits(self, app: str, ident: str) -> bool:
        """Whether a post is to be sent yet."""
        term = self._named(app, ident)
        return bool(await self._store.meta.scan(app, SCHEDULED, term=term, limit=1))

    async def scheduled(self, actor: Actor) -> list[Scheduled]:
        return await self.of(actor.app, actor.account)

    async def of(self, app: str, account: str) -> list[Scheduled]:
        return [row.value for row in await self._own(app, account)]

    async def _own(self, app: str, account: str) -> list[Row[Scheduled]]:
        term = self._term(app, account)
        return await self._scheduled(app).scan(app, term=term, limit=MOST_SCHEDULED)

    async def cancel(self, actor: Actor, ident: str) -> None:
        for row in await self._own(actor.app, actor.account):
            if row.value.id == ident:
                await self._scheduled(actor.app).delete(actor.app, row.key)
                return
        raise ClientError(Code.NOT_FOUND, 404, "No such post waits.")

    async def forget(self, app: str, account: str, room: str = "") -> int:
        """What an account scheduled, everywhere or in one room that was erased."""
        table, term = self._scheduled(app), self._term(app, account)
        if not room:
            return await table.clear(app, term)
        gone = 0
        for row in await table.scan(app, term=term, limit=MOST_SCHEDULED):
            if row.value.room == room:
                gone += await table.delete(app, row.key)
        return gone

    async def send_due(self, app: str) -> int:
        table, now = self._scheduled(app), int(self._chat.clock.unix() * 1000)
        sent = 0
        for row in await table.readable(app, limit=DUE):
            if to_ms(row.value.at) > now:
                break
            try:
                await self._send(app, row.value)
                sent += 1
            except ClientError as error:
                # Its author may not any more: it is dropped, as it would be refused now.
                log.info("a scheduled post was refused: %s", error.code)
            await table.delete(app, row.key)
        return sent

    async def _send(self, app: str, one: Scheduled) -> None:
        view = await self._people.directory.view(app, one.account)
        if view is None or view.disabled:
            return
        principal = Principal(
            app=app, kind=Kind.ACCOUNT, account=one.account, device=one.device, roles=view.roles,
            scopes=frozenset(one.scopes),
        )  # fmt: skip
        actor = await self._people.actor(principal)
        await self._chat.act(actor, one.room, one.post, f"scheduled:{one.id}")

    # Expiry

    async def committed(self, app: str, room: str, entries: Sequence[Entry]) -> None:
        """A hook of the log."""
        for entry in entries:
            if entry.expires_at is None or not isinstance(entry.op, Post):
                continue
            found = await self._chat.rooms.find(app, room)
            if found is None or found.transient:
                continue
            value = Expiring(room=room, seq=entry.seq, id=entry.op.id)
            try:
                key = _key(entry.expires_at, f"{room}:{entry.seq}")
                await self._expiring.create(app, key, value)
            except Conflict:
                continue

    async def erase_due(self, app: str) -> int:
        now = int(self._chat.clock.unix() * 1000)
        erased = 0
        for row in await self._expiring.scan(app, limit=DUE):
            if int(row.key.partition(":")[0]) > now:
                break
            room = await self._chat.rooms.find_there(app, row.value.room)
            if room is not None and await self.held(app, row.value.room, row.value.id):
                # Readers see it no more; its bytes stay for as long as somebody holds them.
                await self._wait(app, row, now)
                continue
            if room is not None:
                await self._chat.erase(room, [(row.value.id, row.value.seq)], "expired")
                erased += 1
            await self._expiring.delete(app, row.key)
        return erased

    async def _wait(self, app: str, row: Row[Expiring], now: int) -> None:
        key = _key(from_ms(now + HELD_MS), f"{row.value.room}:{row.value.seq}")
        with contextlib.suppress(Conflict):
            await self._expiring.create(app, key, row.value)
        await self._expiring.delete(app, row.key)

    async def run(self, app: str) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.send_due(app)
                await self.erase_due(app)
            except (Unavailable, ClientError) as error:
                log.info("what is due waits: %s", type(error).__name__)


async def _nobody_holds(app: str, room: str, message: str) -> bool:
    return False


def _key(at: datetime, rest: str) -> str:
    return f"{to_ms(at):015d}:{rest}"
