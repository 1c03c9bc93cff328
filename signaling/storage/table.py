"""Typed rows over `Meta`, sealed where a sealer is given: how everybody uses the store.

A row's value is a msgspec Struct, kept as MessagePack. With a sealer the whole value is AES-GCM
sealed and bound to its app, kind and key; terms and keys are not, so a caller blinds those that
say something about a person (`sealer.blind`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from signaling.keys.port import KeyDestroyed, KeyInactive, Sealer, bind
from signaling.storage.port import Conflict, Document, Store

T = TypeVar("T")

# A change meets a conflict only when somebody else's got through, so sixteen in a row means more
# writers on one row than this design is for.
ATTEMPTS = 16


class Missing(LookupError):  # noqa: N818 - names what happened
    """There is no such row."""


class Row(msgspec.Struct, Generic[T], frozen=True):
    """A value as it was read; `version` is what replacing it expects."""

    key: str
    version: int
    value: T
    expires: float | None = None


class Table(Generic[T]):
    """Rows of one kind in every app.

    `scope` names the data key that seals a row (`meta` unless given), `terms` what it can be found
    by. Decoding ignores fields that a newer server added and fills those that an older one lacked.
    """

    def __init__(
        self,
        store: Store,
        kind: str,
        type: type[T],  # noqa: A002 - the name of the parameter that all callers use
        sealer: Sealer | None = None,
        scope: Callable[[str, str, T], str] | None = None,
        terms: Callable[[T], Iterable[str]] | None = None,
    ) -> None:
        self._meta = store.meta
        self._kind = kind
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(type)
        self._sealer = sealer
        self._scope = scope or (lambda app, key, value: "meta")
        self._terms = terms or (lambda value: ())

    async def get(self, app: str, key: str) -> Row[T] | None:
        found = await self._meta.get(app, self._kind, key)
        return None if found is None else await self._open(app, found)

    async def create(self, app: str, key: str, value: T, *, expires: float | None = None) -> Row[T]:
        """Raises Conflict when there is one."""
        return await self._put(app, Row(key, 0, value, expires))

    async def replace(self, app: str, row: Row[T], value: T) -> Row[T]:
        """Keeps the row's expiry. Raises Conflict unless `row` is still what is stored."""
        return await self._put(app, msgspec.structs.replace(row, value=value))

    async def extend(self, app: str, row: Row[T], value: T, expires: float | None) -> Row[T]:
        """`replace` with another expiry."""
        return await self._put(app, msgspec.structs.replace(row, value=value, expires=expires))

    async def change(self, app: str, key: str, change: Callable[[T], T]) -> Row[T]:
        """Read, change, replace, again on a conflict: `change` may run several times.

        Raises Missing, and whatever `change` raises; then nothing was written.
        """
        for _ in range(ATTEMPTS):
            row = await self.get(app, key)
            if row is None:
                raise Missing(self._kind)
            try:
                return await self.replace(app, row, change(row.value))
            except Conflict:
                continue
        raise Conflict(self._kind)

    async def delete(self, app: str, key: str, *, expect: int | None = None) -> bool:
        return await self._meta.delete(app, self._kind, key, expect=expect)

    async def clear(self, app: str, term: str) -> int:
        """Deletes all that a term finds, unread: also what nobody can open any more."""
        count = 0
        while found := await self._meta.scan(app, self._kind, term=term, limit=100):
            count += await self.remove(app, [document.key for document in found])
        return count

    async def remove(self, app: str, keys: Sequence[str]) -> int:
        """All of these at once; how many there were."""
        return await self._meta.remove(app, self._kind, keys)

    async def scan(
        self, app: str, *, term: str | None = None, after: str = "", limit: int = 100
    ) -> list[Row[T]]:
        found = await self._meta.scan(app, self._kind, term=term, after=after, limit=limit)
        return [await self._open(app, document) for document in found]

    async def readable(
        self, app: str, *, term: str | None = None, after: str = "", limit: int = 100
    ) -> list[Row[T]]:
        """As `scan`, without the rows whose key is disabled or destroyed: one locked row must not
        hide all others from whoever lists them.
        """
        found: list[Row[T]] = []
        while len(found) < limit:
            page = await self._meta.scan(app, self._kind, term=term, after=after, limit=limit)
            for document in page:
                with contextlib.suppress(KeyInactive, KeyDestroyed):
                    found.append(await self._open(app, document))
            if len(page) < limit:
                break
            after = page[-1].key
        return found[:limit]

    async def _put(self, app: str, row: Row[T]) -> Row[T]:
        data = self._encoder.encode(row.value)
        if self._sealer is not None:
            scope = self._scope(app, row.key, row.value)
            data = await self._sealer.seal(app, scope, bind(app, self._kind, row.key), data)
        version = await self._meta.put(
            app,
            self._kind,
            row.key,
            data,
            expect=row.version,
            terms=tuple(self._terms(row.value)),
            expires=row.expires,
        )
        return msgspec.structs.replace(row, version=version)

    async def _open(self, app: str, document: Document) -> Row[T]:
        data = document.value
        if self._sealer is not None:
            data = await self._sealer.open(app, bind(app, self._kind, document.key), data)
        value = self._decoder.decode(data)
        return Row(document.key, document.version, value, document.expires)
