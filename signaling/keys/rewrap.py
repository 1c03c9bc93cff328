"""Wraps data keys anew under the active master, while everything goes on.

Data stays as it is: only the wrapped keys change. Several processes may do it at once, and a stop
in the middle leaves both masters needed and nothing broken. Driven by the keeper and by commands.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from msgspec.structs import replace

from signaling.errors import ClientError
from signaling.keys.envelope import wrap_context
from signaling.keys.lifecycle import KeySet, State, Version, each, writable
from signaling.keys.masters import Masters
from signaling.keys.table import KeyTable, master_term

# Calls of the KMS under way at once; a cloud's takes more, a token in a slot takes what it takes.
AT_ONCE = 32


@dataclass
class Rewrapped:
    """Key sets: `failed` could not be unwrapped, so their master is still needed."""

    done: int = 0
    failed: int = 0


class Rewrap:
    """Holds nothing between runs."""

    def __init__(self, table: KeyTable, masters: Masters) -> None:
        self._table = table
        self._masters = masters

    async def run(self) -> Rewrapped:
        """Raises Unavailable when the KMS goes away; what was done stays done."""
        register = await self._masters.register()
        active = writable(register).number
        total = Rewrapped()
        for master in register.versions:
            if master.number == active or master.state is State.DESTROYED:
                continue
            for app in await self._table.apps():
                await self._app(app, master.number, active, total)
        return total

    async def _app(self, app: str, old: int, active: int, total: Rewrapped) -> None:
        batch: list[KeySet] = []
        async for keys in self._table.walk(app, term=master_term(old)):
            batch.append(keys)
            if len(batch) == AT_ONCE:
                await self._batch(batch, active, total)
                batch = []
        await self._batch(batch, active, total)

    async def _batch(self, batch: list[KeySet], active: int, total: Rewrapped) -> None:
        results = await asyncio.gather(
            *(self._one(keys, active) for keys in batch), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        done = sum(result is True for result in results)
        total.done += done
        total.failed += len(batch) - done

    async def _one(self, keys: KeySet, active: int) -> bool:
        fresh: dict[bytes, Version] = {}
        try:
            for version in keys.versions:
                if version.state is not State.DESTROYED and version.master != active:
                    fresh[version.wrapped] = await self._version(keys, version)
        except ClientError:
            # Disabled, destroyed or damaged: the audit knows, the others must not wait for it.
            return False

        def change(before: KeySet | None) -> KeySet:
            # Only what still is as it was: a version shredded in the meantime stays shredded.
            return each(before or keys, lambda v: _renewed(v, fresh.get(v.wrapped)))

        await self._table.change(keys.app, keys.id, change)
        return True

    async def _version(self, keys: KeySet, version: Version) -> Version:
        context = wrap_context(keys, version.number)
        plain = await self._masters.unwrap(version.master, version.wrapped, context)
        master, wrapped = await self._masters.wrap(plain, context)
        return replace(version, master=master, wrapped=wrapped)


def _renewed(version: Version, fresh: Version | None) -> Version:
    if fresh is None or not version.wrapped:
        return version
    return replace(version, master=fresh.master, wrapped=fresh.wrapped)
