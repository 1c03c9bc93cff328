"""Channel groups: named sets of rooms, so that one subscription follows all of them.

A group is the rooms in it: it begins with the first and is gone with the last. Owned by the
composition root; who may change one is decided before (`door`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from signaling.errors import ClientError, Code
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import ATTEMPTS, Table

# PubNub's bound is 2,000; a subscription to a group is a subscription to each of its rooms.
MOST_ROOMS = 2000


class Group(msgspec.Struct, frozen=True):
    name: str
    rooms: tuple[str, ...]


class Groups:
    """Names say something about people, so rows are sealed and their keys are digests."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._table = Table(store, "access.group", Group, sealer)
        self._sealer = sealer

    def _key(self, app: str, name: str) -> str:
        return hashlib.sha256(self._sealer.blind(app, f"group:{name}").encode()).hexdigest()

    async def rooms(self, app: str, name: str) -> tuple[str, ...]:
        """Sorted. Empty for a group that does not exist."""
        row = await self._table.get(app, self._key(app, name))
        return () if row is None else row.value.rooms

    async def change(
        self, app: str, name: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Idempotent. Raises ClientError (409) for more rooms than a group has."""
        key, added, removed = self._key(app, name), set(add), set(remove)
        for _ in range(ATTEMPTS):
            row = await self._table.get(app, key)
            before = set(row.value.rooms) if row is not None else set()
            after = (before | added) - removed
            if len(after) > MOST_ROOMS:
                raise ClientError(Code.CONFLICT, 409, f"A group has at most {MOST_ROOMS} rooms.")
            if after == before:
                return tuple(sorted(after))
            made = Group(name, tuple(sorted(after)))
            try:
                if row is None:
                    await self._table.create(app, key, made)
                elif after:
                    await self._table.replace(app, row, made)
                else:
                    await self._table.delete(app, key, expect=row.version)
            except Conflict:
                continue
            return made.rooms
        raise Conflict("access.group")

    async def delete(self, app: str, name: str) -> None:
        """Twice is once."""
        await self._table.delete(app, self._key(app, name))
