"""The outbox: what others put into it, what waits and what is dead. Implements `port.Outbox`.

    put -> items, then the lane is busy -> `worker` sends them

An item is written before its lane is marked, so that whoever finds a lane at rest has not missed
one. Items with a place are written once however often they are put.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

from msgspec.structs import replace

from signaling.delivery.lanes import MOST_EPHEMERAL, State, fresh
from signaling.delivery.port import Item
from signaling.delivery.shelf import Lane, Letter, Shelf
from signaling.delivery.worker import Worker
from signaling.storage.port import Conflict
from signaling.storage.table import Missing, Row


class DurableOutbox(Worker):
    """One for each process; owned by the composition root. `room_dropped` hears of rooms that
    were erased: all their items were dropped.
    """

    room_dropped: Callable[[str, str], Awaitable[None]] | None = None

    async def put(self, items: Sequence[Item], *, ephemeral: bool = False) -> None:
        """See `port.Outbox`."""
        shelf = self._passing if ephemeral else self._lasting
        lanes: dict[tuple[str, str], list[Item]] = {}
        for item in items:
            lanes.setdefault((item.app, item.lane), []).append(item)
        for (app, name), of_lane in lanes.items():
            state = self._state(shelf, app, name)
            async with state.putting:
                top = await self._add(state, of_lane)
                await _mark(shelf, of_lane[0], top, busy=True)
                if ephemeral:
                    await self._bound(state)
                now = self._clock.monotonic()
                state.held = 0.0  # the lane is to be read anew
                if not state.gathering.lacks(now, len(of_lane)):
                    state.again, state.at = True, min(state.at, now)
        self._wake.set()

    async def _add(self, state: State, items: Iterable[Item]) -> int:
        """The highest number that is taken now."""
        row = await state.shelf.lane(state.app, state.name)
        top = done = 0
        if row is not None:
            done, top = row.value.done, max(row.value.top, row.value.done)
        placed = [item for item in items if item.place > done]
        await asyncio.gather(*(state.shelf.add(item, item.place) for item in placed))
        top = max(top, *(item.place for item in placed)) if placed else top
        for item in items:
            if item.place:
                continue
            top += 1
            while not await state.shelf.add(item, top):
                top += 1  # another process was faster
            if item.collapse:
                self.counters["collapsed"] += await state.shelf.replace_earlier(item, top)
                state.found.clear()
        return top

    async def _bound(self, state: State) -> None:
        items, _ = await state.shelf.waiting(state.app, state.name, 0, 2 * MOST_EPHEMERAL)
        if over := items[: max(0, len(items) - MOST_EPHEMERAL)]:
            await state.shelf.remove(state.app, state.name, [number for number, _ in over])
            self.counters["overflow"] += len(over)

    async def top(self, app: str, lane: str) -> int | None:
        """The highest place that was put or passed over; None for a lane that nobody began."""
        row = await self._lasting.lane(app, lane)
        return None if row is None else max(row.value.top, row.value.done)

    async def pass_over(self, item: Item) -> None:
        """Everything up to the item's place is dealt with, without putting it."""
        await _mark(self._lasting, item, item.place, busy=False)

    async def drop(self, app: str, *, target: str = "", room: str = "", subject: str = "") -> int:
        """See `port.Outbox`."""
        dropped = await super().drop(app, target=target, room=room, subject=subject)
        if room and not target and not subject and self.room_dropped is not None:
            await self.room_dropped(app, room)
        return dropped

    async def dead(
        self, app: str, target: str, after: str = "", limit: int = 100
    ) -> list[Row[Letter]]:
        """The oldest first, beyond the key `after`."""
        return await self._lasting.dead(app, target, after, limit)

    async def waiting(self, app: str, target: str, most: int = 1000) -> int:
        """How many items wait, up to `most`."""
        return await self._lasting.count(app, target, most)

    async def replay(self, app: str, target: str) -> int:
        """All dead letters of a target go again, at their old places; how many."""
        count, after = 0, ""
        while page := await self.dead(app, target, after):
            for row in page:
                letter = row.value
                state = self._state(self._lasting, app, letter.item.lane)
                async with state.putting:
                    item = replace(letter.item, due=0.0, expires=None)
                    await self._lasting.add(item, letter.number)
                    await _mark(self._lasting, item, letter.number, busy=True)
                    state.start_again()
                await self._lasting.exhume(app, row.key)
                count += 1
            after = page[-1].key
        await self.hurry(app, target)
        return count

    async def hurry(self, app: str, target: str) -> None:
        """Its lanes wait no longer for the end of a back-off."""
        for lane in await self._lasting.lanes_of(app, target):
            if lane.busy:
                with contextlib.suppress(Missing, Conflict):
                    await self._lasting.change(app, lane.name, fresh)
                self._state(self._lasting, app, lane.name).at = 0.0
        self._wake.set()


async def _mark(shelf: Shelf, item: Item, top: int, *, busy: bool) -> None:
    """After the items: whoever finds the lane resting did not see them yet."""
    begun = Lane(
        name=item.lane, kind=item.kind, target=item.target, room=item.room, top=top, busy=busy
    )

    def higher(lane: Lane) -> Lane:
        return replace(lane, top=max(lane.top, top), busy=busy or lane.busy)

    while True:
        try:
            await shelf.change(item.app, item.lane, higher)
            return
        except Missing:
            with contextlib.suppress(Conflict):
                await shelf.create(item.app, begun)
                return
