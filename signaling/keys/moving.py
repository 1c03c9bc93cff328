"""Brings the key table from the store into one of its own, and back: `sotto keys move`.

Rows are copied and compared before the mark says where they count, and leave the old place after
it. Whatever stops in between, they count in exactly one place, no server starts where they do not,
and the same command again completes it. No server may run meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from signaling.ids import Entropy
from signaling.keys.port import INSTALLATION
from signaling.keys.table import APPS, KIND
from signaling.storage.apart import (
    APART,
    MARK,
    PAIR,
    Mark,
    has_keys,
    make_mark,
    read_mark,
    wrong,
)
from signaling.storage.port import Conflict, Document, Meta

# Writes under way at once: the embedded store makes one transaction of them.
AT_ONCE = 100


@dataclass(frozen=True)
class Row:
    app: str
    kind: str
    document: Document

    @property
    def place(self) -> tuple[str, str, str]:
        return self.app, self.kind, self.document.key

    @property
    def content(self) -> tuple[bytes, tuple[str, ...], float | None]:
        return self.document.value, tuple(sorted(self.document.terms)), self.document.expires


async def is_moved(data: Meta) -> bool:
    """Whether the keys of this store count elsewhere."""
    mark = await read_mark(data, APART)
    return mark is not None and not mark.moving


async def move(data: Meta, keys: Meta, entropy: Entropy) -> int:
    """How many rows left the store. Raises ConfigError where the two do not match."""
    mark = await read_mark(data, APART) or await _begun(data, keys, entropy)
    pair = msgspec.structs.replace(mark, moving=False)
    if mark.moving:
        if await make_mark(keys, PAIR, pair) != pair:
            raise wrong(_FOREIGN)
        await _copy(data, keys)
        await _set_mark(data, pair)
    elif await read_mark(keys, PAIR) != pair or not await has_keys(keys):
        raise wrong(_FOREIGN)
    return await _leave(data)


async def move_back(data: Meta, keys: Meta) -> int:
    """How many rows left the store of keys."""
    mark, there = await read_mark(data, APART), await read_mark(keys, PAIR)
    if mark is None:
        raise wrong("the store holds its keys itself")
    pair = msgspec.structs.replace(mark, moving=False)
    if there != pair and not (there is None and mark.moving):
        raise wrong(_FOREIGN)
    if not mark.moving:
        await _copy(keys, data)
        await _set_mark(data, msgspec.structs.replace(pair, moving=True))
    count = 0 if there is None else await _leave(keys)
    await keys.delete(INSTALLATION, PAIR, MARK)
    await data.delete(INSTALLATION, APART, MARK)
    return count


_FOREIGN = "it does not hold the keys of this store"


async def _begun(data: Meta, keys: Meta, entropy: Entropy) -> Mark:
    if not await has_keys(data):
        raise wrong("the store has no keys to move: start the server once")
    if await read_mark(keys, PAIR) is not None or await has_keys(keys):
        raise wrong("it holds the keys of another store")
    return await make_mark(data, APART, Mark(entropy.token(16).hex(), moving=True))


async def _set_mark(data: Meta, mark: Mark) -> None:
    found = await data.get(INSTALLATION, APART, MARK)
    value = msgspec.msgpack.encode(mark)
    await data.put(INSTALLATION, APART, MARK, value, expect=found.version if found else 0)


async def _rows(meta: Meta) -> list[Row]:
    """All of the key table, the installation's own first."""
    apps = await _all(meta, INSTALLATION, APPS)
    found = [Row(INSTALLATION, APPS, document) for document in apps]
    for app in dict.fromkeys([INSTALLATION, *(document.key for document in apps)]):
        found += [Row(app, KIND, document) for document in await _all(meta, app, KIND)]
    return found


async def _all(meta: Meta, app: str, kind: str) -> list[Document]:
    found: list[Document] = []
    while page := await meta.scan(app, kind, after=found[-1].key if found else "", limit=500):
        found += page
    return found


async def _copy(source: Meta, target: Meta) -> None:
    """The target then has what the source has, and no more."""
    rows = await _rows(source)
    there = {row.place: row for row in await _rows(target)}
    for batch in _batches(rows):
        await asyncio.gather(*(_put(target, row, there.get(row.place)) for row in batch))
    for place in there.keys() - {row.place for row in rows}:
        await target.delete(*place)
    if _content(await _rows(target)) != _content(rows):
        raise wrong("what was copied reads differently; nothing was removed")


def _content(rows: list[Row]) -> dict[tuple[str, str, str], object]:
    return {row.place: row.content for row in rows}


def _batches(rows: list[Row]) -> Iterator[list[Row]]:
    """The installation's own stand alone: they come first, and leave last."""
    own = [row for row in rows if row.app == INSTALLATION]
    others = rows[len(own) :]
    yield own
    for start in range(0, len(others), AT_ONCE):
        yield others[start : start + AT_ONCE]


async def _put(target: Meta, row: Row, there: Row | None) -> None:
    if there is not None and there.content == row.content:
        return
    document = row.document
    await target.put(
        *row.place, document.value, expect=0 if there is None else there.document.version,
        terms=document.terms, expires=document.expires,
    )  # fmt: skip


async def _leave(meta: Meta) -> int:
    """Removes the rows of the key table. Raises ConfigError when one changed since it was copied:
    then somebody writes keys where they do not count.
    """
    rows = await _rows(meta)
    try:
        for batch in reversed(list(_batches(rows))):
            await asyncio.gather(*(_remove(meta, row) for row in batch))
    except Conflict as error:
        raise wrong("a server still writes keys there: stop it, and run this again") from error
    return len(rows)


async def _remove(meta: Meta, row: Row) -> None:
    await meta.delete(*row.place, expect=row.document.version)
