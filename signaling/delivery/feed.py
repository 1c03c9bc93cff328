"""From rooms' logs to the outbox: for each subscription and room an item for each entry it wants.

An item names its place in the log; what was said is read when it is sent, so that no copy lies in
the queue and what was erased meanwhile never leaves. The log is the truth: a hook says that a room
grew, and now and then all heads are looked at, for a process that died between log and outbox.
What happens in transient rooms goes as it is, in memory, to those who may have it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from signaling.chat.ops import Entry, Erase
from signaling.chat.receipts import Receipt
from signaling.chat.room import Room
from signaling.chat.rooms import KIND as ROOMS
from signaling.chat.sealing import from_ms
from signaling.chat.seeing import Shown
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.delivery.events import PREFIX, CloudEvent, EventType, event_of
from signaling.delivery.outbox import DurableOutbox
from signaling.delivery.port import Item
from signaling.delivery.subscriptions import Subscription, Subscriptions
from signaling.errors import ClientError, Unavailable
from signaling.ids import Ids
from signaling.keys.port import KeyDestroyed
from signaling.storage.port import Conflict, Store

log = logging.getLogger(__name__)

READ = 200
PAGE = 200
AT_ONCE = 8
# Entries that nobody wanted, until it is written down that they were looked at.
PASSED_OVER = 500
REFRESH_SECONDS = 30.0
SWEEP_SECONDS = 600.0


class Place(Struct, frozen=True):
    """An item's body: where its entry stands, or the event itself of a transient room."""

    room: str
    seq: int = 0
    event: dict[str, Any] | None = None


class Needs(Struct, frozen=True, kw_only=True):
    """What a subscription must have been allowed to be told of a room."""

    transient: bool = False
    phi: bool = False


def lane_of(one: Subscription, room: str) -> str:
    return f"{one.kind}:{one.id}:{room}"


class Feed:
    """One for each process. `committed` is the log's hook; `run` until cancelled."""

    def __init__(
        self,
        outbox: DurableOutbox,
        subscriptions: Subscriptions,
        chat: Chat,
        store: Store,
        clock: Clock,
        ids: Ids,
        apps: Sequence[str],
        base: Callable[[], str],
    ) -> None:
        self._outbox, self._subscriptions, self._chat = outbox, subscriptions, chat
        self._store, self._clock, self._ids = store, clock, ids
        self._apps, self._base = apps, base
        self._dirty: dict[tuple[str, str], None] = {}
        self._wake = asyncio.Event()
        self._fed: dict[tuple[str, str], int] = {}
        self._refreshed = self._swept = float("-inf")
        subscriptions.changed = self._wake.set

    # The hook

    async def committed(self, app: str, room: str, entries: Sequence[Entry]) -> None:
        """Waits for nothing but memory."""
        wanted = [one for one in self._subscriptions.of(app) if one.covers(room)]
        if not wanted:
            return
        held = self._chat.rooms.held(app, room)
        if held is not None and held.transient:
            await self._pass_on(app, held, entries, wanted)
            return
        self.nudge(app, room)

    def nudge(self, app: str, room: str) -> None:
        self._dirty[(app, room)] = None
        self._wake.set()

    async def _pass_on(
        self, app: str, room: Room, entries: Sequence[Entry], wanted: Sequence[Subscription]
    ) -> None:
        items = []
        for one in wanted:
            for entry in entries:
                if not one.transient or not one.filter.admits(entry):
                    continue
                event = self.event(one, room, entry)
                if event is not None and one.filter.selects(event):
                    body = Place(room.id, event=msgspec.to_builtins(event))
                    items.append(self._item(app, one, room.id, body, entry, placed=False))
        if items:
            await self._outbox.put(items, ephemeral=True)

    def event(self, one: Subscription, room: Room, entry: Entry) -> CloudEvent | None:
        """As this subscription may have it."""
        if not isinstance(entry.op, Erase):
            # What was given before is called back all the same.
            if room.state.settings.phi and not one.phi:
                return None
            if self._chat.rooms.withheld(room.app, entry.account or ""):
                return None
        base, mode = self._base(), room.state.mode
        return event_of(
            base, room.id, mode, entry, ciphertext=one.kind == "route", epoch=room.epoch
        )

    def _admits(self, one: Subscription, room: Room, entry: Entry) -> bool:
        """What it may not have now is looked at again when it is sent."""
        if not one.filter.admits(entry):
            return False
        event = self.event(one, room, entry) if one.filter.jsonpath else None
        return event is None or one.filter.selects(event)

    def _item(
        self, app: str, one: Subscription, room: str, body: Place, entry: Entry, *, placed: bool
    ) -> Item:
        return Item(
            app=app, lane=lane_of(one, room), kind=one.kind, target=one.id,
            body=msgspec.json.encode(body), id=f"{one.id}:{room}:{entry.seq}", room=room,
            subject=getattr(entry.op, "id", ""), place=entry.seq if placed else 0,
        )  # fmt: skip

    async def room_erased(self, app: str, room: str) -> None:
        """Its log went with its keys, so the event itself waits for those who had copies of it."""
        wanted = [one for one in await self._subscriptions.fresh(app) if one.covers(room)]
        event = CloudEvent(
            id=f"{room}:erased", source=f"{self._base()}/rooms/{room}", subject=room,
            type=PREFIX + EventType.ROOM_ERASED, time=from_ms(int(self._clock.unix() * 1000)),
            data={"room": room},
        )  # fmt: skip
        body = msgspec.json.encode(Place(room, event=msgspec.to_builtins(event)))
        items = [
            Item(
                app=app, lane=lane_of(one, room), kind=one.kind, target=one.id, body=body,
                id=f"{one.id}:{event.id}",
            )
            for one in wanted
            if one.filter.hears_of_erasure()
        ]  # fmt: skip
        await self._outbox.put(items)

    # What passes by

    async def receipt(self, app: str, room: str, receipt: Receipt) -> None:
        """Somebody read on, and shows it to the room."""
        held = self._chat.rooms.held(app, room)
        if held is None:
            return
        data = {"room": room, **msgspec.to_builtins(receipt)}
        needs = Needs(transient=held.transient, phi=held.state.settings.phi)
        await self._pass_by(app, room, EventType.RECEIPT_MOVED, data, needs)

    def hears_of_presence(self, app: str, account: str) -> bool:
        """Whether anybody asked for it."""
        return any(
            one.covers("") and one.filter.asks_for(EventType.PRESENCE_CHANGED, account)
            for one in self._subscriptions.of(app)
        )

    async def presence(self, app: str, shown: Shown) -> None:
        """Somebody came, went, or said how they are, and shows it to everybody."""
        data = msgspec.to_builtins(shown)
        await self._pass_by(app, "", EventType.PRESENCE_CHANGED, data, Needs())

    async def _pass_by(
        self, app: str, room: str, kind: EventType, data: dict[str, Any], needs: Needs
    ) -> None:
        """In memory: who is not reached within its bounds, while this process lives, misses it."""
        account = data["account"]
        if self._chat.rooms.withheld(app, account):
            return
        at = f"rooms/{room}" if room else f"accounts/{account}"
        event = CloudEvent(
            id=self._ids.new(), source=f"{self._base()}/{at}", type=PREFIX + kind.value,
            subject=account, time=from_ms(int(self._clock.unix() * 1000)), data=data,
        )  # fmt: skip
        body = msgspec.json.encode(Place(room, event=msgspec.to_builtins(event)))
        items = [
            Item(
                app=app, lane=lane_of(one, room or f"@{account}"), kind=one.kind, target=one.id,
                body=body, id=f"{one.id}:{event.id}", room=room,
            )
            for one in self._subscriptions.of(app)
            if one.covers(room) and one.filter.asks_for(kind, account)
            and (one.transient or not needs.transient) and (one.phi or not needs.phi)
            and one.filter.selects(event)
        ]  # fmt: skip
        if items:
            await self._outbox.put(items, ephemeral=True)

    # The work

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.round()
            except (Unavailable, ClientError, Conflict) as error:
                log.info("events wait: %s", type(error).__name__)
                await self._again()
            except Exception:
                # Our error. Ending here would end every webhook until somebody restarts the server.
                log.exception("events wait")
                await self._again()

    async def _again(self) -> None:
        await asyncio.sleep(1.0)
        self._wake.set()

    async def round(self) -> None:
        """Everything that is known to have grown, into the outbox."""
        await self._look_around()
        while self._dirty:
            some = list(self._dirty)[:AT_ONCE]
            for place in some:
                del self._dirty[place]
            done = await asyncio.gather(
                *(self.feed(*place) for place in some), return_exceptions=True
            )
            for place, error in zip(some, done, strict=True):
                if isinstance(error, BaseException):
                    self._dirty[place] = None
            if wrong := [error for error in done if isinstance(error, BaseException)]:
                raise wrong[0]

    async def _look_around(self) -> None:
        now = self._clock.monotonic()
        late = now >= self._refreshed + REFRESH_SECONDS
        for app in self._apps:
            await (self._subscriptions.refresh(app) if late else self._subscriptions.fresh(app))
        if late:
            self._refreshed = now
        if now >= self._swept + SWEEP_SECONDS:
            self._swept = now
            for app in self._apps:
                await self.sweep(app)

    async def sweep(self, app: str) -> None:
        """Every room whose log is beyond what was fed of it."""
        wanted = [one for one in self._subscriptions.of(app) if not one.disabled]
        after = ""
        while wanted:
            page = await self._store.meta.scan(app, ROOMS, after=after, limit=PAGE)
            for document in page:
                await self._compare(app, document.key, wanted)
            if len(page) < PAGE:
                return
            after = page[-1].key

    async def resume(self, app: str) -> None:
        """Somebody is to be told again: what was missed meanwhile."""
        await self.sweep(app)
        self._wake.set()

    async def _compare(self, app: str, room: str, wanted: Sequence[Subscription]) -> None:
        head = (await self._store.log.head(app, room)).seq
        if not head:
            return
        for one in wanted:
            if one.covers(room) and self._fed.get((one.id, room), -1) < head:
                self._dirty[(app, room)] = None
                return

    async def feed(self, app: str, name: str) -> None:
        """What a room's log holds beyond what was fed, for each subscription that covers it."""
        wanted = [one for one in await self._subscriptions.fresh(app) if one.covers(name)]
        if not wanted:
            return
        with contextlib.suppress(KeyDestroyed):  # the room was erased
            room = await self._chat.rooms.find(app, name)
            if room is None or room.transient:
                return
            for one in wanted:
                await self._feed_one(one, room)

    async def _feed_one(self, one: Subscription, room: Room) -> None:
        key = (one.id, room.id)
        fed, written = await self._begun(one, room)
        while fed < room.state.seq:
            entries = await self._read(room, fed)
            if not entries:
                fed = room.state.seq
                break
            items = [
                self._item(room.app, one, room.id, Place(room.id, entry.seq), entry, placed=True)
                for entry in entries
                if self._admits(one, room, entry)
            ]
            if items:
                await self._outbox.put(items)
                written = items[-1].place
            fed = entries[-1].seq
            if fed - written >= PASSED_OVER:
                entry = entries[-1]
                at = Place(room.id, entry.seq)
                await self._outbox.pass_over(
                    self._item(room.app, one, room.id, at, entry, placed=True)
                )
                written = fed
        self._fed[key] = fed

    async def _begun(self, one: Subscription, room: Room) -> tuple[int, int]:
        """Up to where it was fed, here and as it is written down."""
        written = await self._outbox.top(room.app, lane_of(one, room.id))
        known = self._fed.get((one.id, room.id))
        if written is None:
            if known is None:
                known = await self._before(room, one.since)
            return known, known
        return max(written, known or 0), written

    async def _before(self, room: Room, since: float) -> int:
        """The last seq from before a time; the log's times rise with its seqs."""
        before: int | None = None
        while True:
            stored = await room.log.read(room.app, room.id, before=before, limit=READ)
            if not stored:
                return 0 if before is None else before - 1
            entries = await self._chat.sealing.open(room.app, room.id, stored)
            for entry in reversed(entries):
                if 0 < entry.at.timestamp() < since:  # an erased one has no time
                    return entry.seq
            before = entries[0].seq

    async def _read(self, room: Room, after: int) -> list[Entry]:
        recent = [entry for entry in room.recent if entry.seq > after]
        if recent and recent[0].seq == after + 1:
            return recent[:READ]
        stored = await room.log.read(room.app, room.id, after=after, limit=READ)
        return await self._chat.sealing.open(room.app, room.id, stored)
