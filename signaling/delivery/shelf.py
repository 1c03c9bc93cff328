"""Where an outbox keeps items, lanes and dead letters: rows of one store, all of them sealed.

Names in keys and terms are blinded. A row that cannot be opened any more, since its room's key was
destroyed, is removed by whoever meets it. Knows nothing of sending.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from msgspec import Struct

from signaling.delivery.port import Item
from signaling.keys.port import KeyDestroyed, KeyInactive, Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Row, Table

ITEMS, LANES, DEAD = "delivery.item", "delivery.lane", "delivery.dead"
BUSY = "busy"
PAGE = 200


class Lane(Struct, frozen=True, kw_only=True):
    """A queue. `top` is the highest number that an item got, `done` that of those finished; `busy`
    while anything may wait. `holder` works on it until `until`; after failures nobody before `due`.
    """

    name: str
    kind: str
    target: str
    room: str = ""
    top: int = 0
    done: int = 0
    busy: bool = True
    holder: str = ""
    until: float = 0.0
    failures: int = 0
    failing: float = 0.0
    due: float = 0.0


class Letter(Struct, frozen=True, kw_only=True):
    """A dead letter: what was not delivered, why, and where it stood."""

    item: Item
    number: int
    reason: str
    at: float


class Shelf:
    """One store's rows. Without a sealer (in memory) names are kept as they are."""

    def __init__(self, store: Store, sealer: Sealer | None) -> None:
        self._meta, self._sealer = store.meta, sealer
        self._items: Table[Item] = Table(
            store, ITEMS, Item, sealer, lambda app, key, item: _scope(item), self._item_terms
        )
        self._lanes: Table[Lane] = Table(store, LANES, Lane, sealer, terms=self._lane_terms)
        self._dead: Table[Letter] = Table(
            store, DEAD, Letter, sealer, lambda app, key, one: _scope(one.item),
            lambda one: self._about(one.item),
        )  # fmt: skip

    def _blind(self, app: str, text: str) -> str:
        return text if self._sealer is None else self._sealer.blind(app, text)

    def _about(self, item: Item) -> list[str]:
        found = {"target": item.target, "room": item.room, "subject": item.subject}
        return [self._blind(item.app, f"{n}:{text}") for n, text in found.items() if text]

    def _item_terms(self, item: Item) -> list[str]:
        terms = [*self._about(item), self._blind(item.app, f"lane:{item.lane}")]
        if item.collapse:
            terms.append(self._collapse(item))
        return terms

    def _collapse(self, item: Item) -> str:
        return self._blind(item.app, f"collapse:{item.lane}:{item.collapse}")

    def _lane_terms(self, lane: Lane) -> list[str]:
        # The app is not in the row; a target's id is random and says nothing.
        return [f"target:{lane.target}", *([BUSY] if lane.busy else [])]

    # Lanes

    async def lane(self, app: str, name: str) -> Row[Lane] | None:
        return await self._lanes.get(app, self._blind(app, f"lane:{name}"))

    async def busy(self, app: str) -> list[Lane]:
        return [row.value async for row in self._rows(app, BUSY)]

    async def lanes_of(self, app: str, target: str) -> list[Lane]:
        return [row.value async for row in self._rows(app, f"target:{target}")]

    async def create(self, app: str, lane: Lane) -> Row[Lane]:
        """Raises Conflict."""
        return await self._lanes.create(app, self._blind(app, f"lane:{lane.name}"), lane)

    async def replace(self, app: str, row: Row[Lane], lane: Lane) -> Row[Lane]:
        """Raises Conflict."""
        return await self._lanes.replace(app, row, lane)

    async def change(self, app: str, name: str, change: Callable[[Lane], Lane]) -> Row[Lane]:
        """Raises Missing, Conflict."""
        return await self._lanes.change(app, self._blind(app, f"lane:{name}"), change)

    async def forget(self, app: str, name: str) -> None:
        await self._lanes.delete(app, self._blind(app, f"lane:{name}"))

    # Items

    def _key(self, app: str, lane: str, number: int) -> str:
        return f"{self._blind(app, f'lane:{lane}')}:{number:019d}"

    async def add(self, item: Item, number: int) -> bool:
        """False when that number is taken."""
        try:
            await self._items.create(item.app, self._key(item.app, item.lane, number), item)
        except Conflict:
            return False
        return True

    async def waiting(
        self, app: str, lane: str, after: int, limit: int
    ) -> tuple[list[tuple[int, Item]], int]:
        """Items beyond `after`, and the number up to which was looked; 0 at the end."""
        term = self._blind(app, f"lane:{lane}")
        start = self._key(app, lane, after)
        try:
            rows = await self._items.scan(app, term=term, after=start, limit=limit)
        except (KeyDestroyed, KeyInactive):
            rows = await self._readable(app, term, start, limit)
            return [(number_of(row.key), row.value) for row in rows], 0
        last = number_of(rows[-1].key) if len(rows) == limit else 0
        return [(number_of(row.key), row.value) for row in rows], last

    async def _readable(self, app: str, term: str, start: str, limit: int) -> list[Row[Item]]:
        """Row by row: what nobody can open is removed."""
        found = []
        for document in await self._meta.scan(app, ITEMS, term=term, after=start, limit=limit):
            try:
                row = await self._items.get(app, document.key)
            except KeyDestroyed:
                await self._items.delete(app, document.key)
                continue
            except KeyInactive:
                break  # in order: what is behind it waits for the key too
            if row is not None:
                found.append(row)
        return found

    async def remove(self, app: str, lane: str, numbers: Sequence[int]) -> None:
        keys = [self._key(app, lane, number) for number in numbers]
        for start in range(0, len(keys), PAGE):
            await self._items.remove(app, keys[start : start + PAGE])

    async def replace_earlier(self, item: Item, number: int) -> int:
        """Removes what waits under the item's collapse key, apart from itself."""
        own = self._key(item.app, item.lane, number)
        term = self._collapse(item)
        found = await self._meta.scan(item.app, ITEMS, term=term, limit=PAGE)
        for document in found:
            if document.key != own:
                await self._items.delete(item.app, document.key)
        return len(found) - 1

    async def count(self, app: str, target: str, most: int) -> int:
        """How many wait, up to `most`."""
        term = self._blind(app, f"target:{target}")
        return len(await self._meta.scan(app, ITEMS, term=term, limit=most))

    # Dead letters

    async def bury(self, letter: Letter, keep_s: float) -> None:
        item = letter.item
        key = f"{int(letter.at * 1000):015d}:{self._key(item.app, item.lane, letter.number)}"
        with contextlib.suppress(Conflict):
            await self._dead.create(item.app, key, letter, expires=letter.at + keep_s)

    async def dead(self, app: str, target: str, after: str, limit: int) -> list[Row[Letter]]:
        """The oldest first."""
        term = self._blind(app, f"target:{target}")
        try:
            return await self._dead.scan(app, term=term, after=after, limit=limit)
        except (KeyDestroyed, KeyInactive):
            found = []
            for document in await self._meta.scan(app, DEAD, term=term, after=after, limit=limit):
                with contextlib.suppress(KeyDestroyed, KeyInactive):
                    row = await self._dead.get(app, document.key)
                    found += [] if row is None else [row]
            return found

    async def exhume(self, app: str, key: str) -> None:
        await self._dead.delete(app, key)

    # All of something

    async def drop(self, app: str, names: dict[str, str]) -> int:
        """Rows about all of `names` (`target`, `room`, `subject`)."""
        terms = [self._blind(app, f"{name}:{text}") for name, text in names.items() if text]
        dropped = 0
        for kind in (ITEMS, DEAD):
            after = ""
            while True:
                page = await self._meta.scan(app, kind, term=terms[-1], after=after, limit=PAGE)
                about = [one.key for one in page if set(terms) <= set(one.terms)]
                dropped += await self._meta.remove(app, kind, about)
                if len(page) < PAGE:
                    break
                after = page[-1].key
        return dropped

    async def _rows(self, app: str, term: str) -> AsyncIterator[Row[Lane]]:
        after = ""
        while True:
            page = await self._lanes.scan(app, term=term, after=after, limit=PAGE)
            for row in page:
                yield row
            if len(page) < PAGE:
                return
            after = page[-1].key


def number_of(key: str) -> int:
    return int(key.rpartition(":")[2])


def _scope(item: Item) -> str:
    return f"room:{item.room}" if item.room else "meta"
