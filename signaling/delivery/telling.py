"""The events of a batch, read when it is sent: what its items name in rooms' logs, and no more than
fits. What does not fit goes with the next batch, so a batch of thousands costs bounded memory.

Read a page at a time, so that others have their turn. Driven by `sender`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from signaling.chat.ops import Entry
from signaling.chat.room import Room
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.delivery.events import CloudEvent
from signaling.delivery.feed import Place
from signaling.delivery.port import Item
from signaling.delivery.subscriptions import Subscription
from signaling.keys.port import KeyDestroyed

READ = 100
# A page whose places lie further apart is read entry by entry.
SPARSE = 4
# Of the time that one send has; a store that takes longer gives what it gave.
SECONDS = 2.0

Event = CloudEvent | dict[str, Any]
Making = Callable[[Subscription, Room, Entry], CloudEvent | None]


class Told(NamedTuple):
    """`events` are those of the first `taken` items that are still to be told."""

    events: list[Event]
    taken: int


class Telling:
    """One for each process. `event` makes an event as a subscription may have it; `most` bounds the
    bytes of a batch, of which one event may have more.
    """

    def __init__(self, chat: Chat, event: Making, clock: Clock, most: int) -> None:
        self._chat, self._event, self._clock, self._most = chat, event, clock, most

    async def events(self, app: str, one: Subscription, items: Sequence[Item]) -> Told:
        """Without those that were erased or whose room is gone."""
        found: list[Event] = []
        size, until = 0, self._clock.monotonic() + SECONDS
        for start in range(0, len(items), READ):
            if start and self._clock.monotonic() > until:
                return Told(found, start)
            places = [
                msgspec.json.decode(item.body, type=Place) for item in items[start : start + READ]
            ]
            made = await self._read(app, one, places)
            for number, place in enumerate(places, start):
                event = place.event or made.get((place.room, place.seq))
                if event is None:
                    continue
                size += len(msgspec.json.encode(event))
                if found and size > self._most:
                    return Told(found, number)
                found.append(event)
        return Told(found, len(items))

    async def _read(
        self, app: str, one: Subscription, places: Sequence[Place]
    ) -> dict[tuple[str, int], CloudEvent]:
        """By room and place."""
        wanted: dict[str, set[int]] = {}
        for place in places:
            if place.event is None:
                wanted.setdefault(place.room, set()).add(place.seq)
        found: dict[tuple[str, int], CloudEvent] = {}
        for name, seqs in wanted.items():
            try:
                room = await self._chat.rooms.find(app, name)
            except KeyDestroyed:
                continue
            if room is None:
                continue
            for entry in await self._entries(room, sorted(seqs)):
                event = self._event(one, room, entry)
                if event is not None:
                    found[(name, entry.seq)] = event
        return found

    async def _entries(self, room: Room, seqs: Sequence[int]) -> list[Entry]:
        first, last = seqs[0], seqs[-1]
        recent = bool(room.recent) and room.recent[0].seq <= first
        if recent or last - first >= SPARSE * len(seqs):
            return await self._chat.rooms.entries(room, seqs)
        stored = await room.log.read(
            room.app, room.id, after=first - 1, before=last + 1, limit=last - first + 1
        )
        kept = [op for op in stored if op.seq in set(seqs)]
        return await self._chat.sealing.open(room.app, room.id, kept)
