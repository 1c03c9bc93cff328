"""Keys in a store of their own, beside the store of all else: one `Store` above both.

Kinds of the key table go to the one, everything else to the other. A mark in each says which two
belong together; `settle` looks at them at the start, and refuses whatever would lose keys, or make
new ones where old ones are missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from signaling.errors import ConfigError
from signaling.ids import Entropy
from signaling.keys.port import INSTALLATION
from signaling.storage.port import Blobs, Conflict, Document, Log, Meta, Store

# The mark of a store whose keys lie elsewhere, and that of a store of keys.
APART = "keys_apart"
PAIR = "key_pair"
MARKS = frozenset({APART, PAIR})
MARK = "pair"
# Of `signaling.keys.table`, and the mark that lies beside them.
KEY_KINDS = frozenset({"key", "key_app", PAIR})
# The first thing that is ever sealed: where it is, there were keys.
SEALED = "audit_signer"


class Mark(msgspec.Struct, frozen=True):
    """`pair` is the same in both. `moving`: keys are on their way, and still count where they
    were.
    """

    pair: str
    moving: bool = False


class RoutedMeta:
    """Documents of two stores, by kind."""

    def __init__(self, data: Meta, keys: Meta) -> None:
        self._data = data
        self._keys = keys

    def _of(self, kind: str) -> Meta:
        return self._keys if kind in KEY_KINDS else self._data

    async def get(self, app: str, kind: str, key: str) -> Document | None:
        return await self._of(kind).get(app, kind, key)

    async def put(
        self,
        app: str,
        kind: str,
        key: str,
        value: bytes,
        *,
        expect: int,
        terms: Sequence[str] = (),
        expires: float | None = None,
    ) -> int:
        return await self._of(kind).put(
            app, kind, key, value, expect=expect, terms=terms, expires=expires
        )

    async def delete(self, app: str, kind: str, key: str, *, expect: int | None = None) -> bool:
        return await self._of(kind).delete(app, kind, key, expect=expect)

    async def remove(self, app: str, kind: str, keys: Sequence[str]) -> int:
        return await self._of(kind).remove(app, kind, keys)

    async def scan(
        self, app: str, kind: str, *, term: str | None = None, after: str = "", limit: int = 100
    ) -> list[Document]:
        return await self._of(kind).scan(app, kind, term=term, after=after, limit=limit)


class ApartStore:
    """Owns both stores. Logs and blobs are the data's."""

    def __init__(self, data: Store, keys: Store) -> None:
        self.data = data
        self.keys = keys
        self.meta: Meta = RoutedMeta(data.meta, keys.meta)
        self.log: Log = data.log
        self.blobs: Blobs = data.blobs

    async def ready(self) -> None:
        await self.data.ready()
        await self.keys.ready()

    async def sweep(self) -> int:
        return await self.data.sweep() + await self.keys.sweep()

    async def close(self) -> None:
        try:
            await self.data.close()
        finally:
            await self.keys.close()


async def settle(store: Store, entropy: Entropy) -> None:
    """At the start, before anything asks for a key. Raises ConfigError; Unavailable as any call."""
    if isinstance(store, ApartStore):
        await _paired(store.data.meta, store.keys.meta, entropy)
    else:
        await _alone(store.meta)


async def _alone(meta: Meta) -> None:
    mark = await read_mark(meta, APART)
    if mark is not None and not mark.moving:
        raise wrong("the keys of this store lie in one of their own, which is not configured")
    if await read_mark(meta, PAIR) is not None:
        raise wrong("the store is one of keys, and [store] names it")
    if not await has_keys(meta) and await _was_used(meta):
        raise wrong(_KEYLESS)


async def _paired(data: Meta, keys: Meta, entropy: Entropy) -> None:
    here, there = await read_mark(data, APART), await read_mark(keys, PAIR)
    if await read_mark(data, PAIR) or await read_mark(keys, APART) or await _was_used(keys):
        raise wrong("[store] and [key_store] are exchanged")
    if here is None:
        await _first(data, keys, there, entropy)
    elif here.moving or await has_keys(data):
        raise wrong("keys were on their way when something stopped: run `sotto keys move` again")
    elif there is None or there.pair != here.pair:
        raise wrong("it does not hold the keys of this store")
    elif not await has_keys(keys) and await _was_used(data):
        raise wrong(_KEYLESS)


async def _first(data: Meta, keys: Meta, there: Mark | None, entropy: Entropy) -> None:
    """Both are new: they get their marks, that of the keys first, so that a stop in between leaves
    what the next start completes. Two servers that start at once agree on one.
    """
    if await has_keys(data):
        raise wrong("the store holds its keys itself: `sotto keys move` brings them over")
    if await _was_used(data):
        raise wrong(_KEYLESS)
    if there is not None and await has_keys(keys):
        raise wrong("it holds the keys of another store")
    pair = await make_mark(keys, PAIR, Mark(entropy.token(16).hex()))
    if await make_mark(data, APART, pair) != pair:
        raise wrong("it does not hold the keys of this store")


_KEYLESS = "the store holds what keys sealed, and none of these keys is here: restore them first"


def wrong(message: str) -> ConfigError:
    return ConfigError("key_store", message)


async def has_keys(meta: Meta) -> bool:
    """Those of the installation are made first, and leave last when keys are moved."""
    return bool(await meta.scan(INSTALLATION, "key", limit=1))


async def _was_used(meta: Meta) -> bool:
    return bool(await meta.scan(INSTALLATION, SEALED, limit=1))


async def read_mark(meta: Meta, kind: str) -> Mark | None:
    found = await meta.get(INSTALLATION, kind, MARK)
    if found is None:
        return None
    try:
        return msgspec.msgpack.decode(found.value, type=Mark)
    except msgspec.DecodeError as error:
        raise wrong("the mark of a pair cannot be read") from error


async def make_mark(meta: Meta, kind: str, mark: Mark) -> Mark:
    """What is there afterwards: another's, if that was first."""
    try:
        await meta.put(INSTALLATION, kind, MARK, msgspec.msgpack.encode(mark), expect=0)
    except Conflict:
        return await read_mark(meta, kind) or mark
    return mark
