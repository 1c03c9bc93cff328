"""Calls in the store: a row for each, found by who had to do with it, and which one a room has now.

Sealed with the room's data key. Keys are the ids turned around, so that the newest come first. The
pointer of a room is what makes one call of two that are begun at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from signaling.calls.call import Call
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Row, Table

KIND, POINTER = "call", "call.open"
# The term of all that are not over, or not yet written down.
OPEN = "open"
ATTEMPTS = 32
_TURNED = str.maketrans("0123456789abcdef", "fedcba9876543210")


class Pointer(Struct, frozen=True):
    """The call that a room has now, or had."""

    call: str


class NoCall(LookupError):  # noqa: N818 - names what happened
    """There is no such call (any more)."""


def turned(ident: str) -> str:
    """Of an id its key, and the other way round."""
    return ident.translate(_TURNED)


class Records:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store, self._sealer = store, sealer
        self._pointers: Table[Pointer] = Table(store, POINTER, Pointer, sealer)

    def _table(self, app: str) -> Table[Call]:
        return Table(
            self._store, KIND, Call, self._sealer,
            lambda app, key, value: f"room:{value.room}",
            lambda value: self._terms(app, value),
        )  # fmt: skip

    def _terms(self, app: str, call: Call) -> Iterable[str]:
        yield self._term(app, "room", call.room)
        for account in sorted(call.involved):
            yield self._term(app, "account", account)
        if call.end is None:
            for account in sorted(call.involved):
                yield self._term(app, "now", account)
            for account in sorted(call.busy):
                yield self._term(app, "busy", account)
        if call.end is None or call.says:
            yield OPEN

    def _term(self, app: str, what: str, name: str) -> str:
        return self._sealer.blind(app, f"call.{what}:{name}")

    # One

    async def get(self, app: str, ident: str) -> Row[Call] | None:
        return await self._table(app).get(app, turned(ident))

    async def begin(self, app: str, call: Call) -> tuple[Row[Call], bool]:
        """This call is the room's, or the one that it has already; whether it is this one."""
        table, place = self._table(app), self._term(app, "open", call.room)
        row = await table.create(app, turned(call.id), call)
        while True:
            pointer = await self._pointers.get(app, place)
            if pointer is not None:
                other = await self.get(app, pointer.value.call)
                if other is not None and other.value.end is None:
                    await table.delete(app, row.key)
                    return other, False
            try:
                if pointer is None:
                    await self._pointers.create(app, place, Pointer(call.id))
                else:
                    await self._pointers.replace(app, pointer, Pointer(call.id))
                return row, True
            except Conflict:
                continue

    async def of_room(self, app: str, room: str) -> Row[Call] | None:
        """The one that is going on."""
        pointer = await self._pointers.get(app, self._term(app, "open", room))
        row = None if pointer is None else await self.get(app, pointer.value.call)
        return row if row is not None and row.value.end is None else None

    async def change(self, app: str, ident: str, change: Callable[[Call], Call]) -> Row[Call]:
        """Read, change, replace, again on a conflict; an equal value is not written. Raises NoCall,
        and whatever `change` raises.
        """
        table = self._table(app)
        for _ in range(ATTEMPTS):
            row = await table.get(app, turned(ident))
            if row is None:
                raise NoCall(ident)
            after = change(row.value)
            if after == row.value:
                return row
            try:
                return await table.replace(app, row, after)
            except Conflict:
                continue
        raise Conflict(KIND)

    async def close(self, app: str, row: Row[Call], expires: float | None) -> None:
        """It is over and written down: no longer the room's. Its row stays until `expires`; None:
        it goes at once.
        """
        place, call = self._term(app, "open", row.value.room), row.value
        pointer = await self._pointers.get(app, place)
        try:
            if pointer is not None and pointer.value.call == call.id:
                await self._pointers.delete(app, place, expect=pointer.version)
            if expires is None:
                await self._table(app).delete(app, row.key)
            else:
                await self._table(app).extend(app, row, call, expires)
        except Conflict:
            return  # another process closes it, or the room has its next call

    # Many

    async def open(self, app: str) -> list[Row[Call]]:
        return await self._all(app, OPEN)

    async def busy(self, app: str, account: str, room: str) -> bool:
        """In the call of another room."""
        rows = await self._all(app, self._term(app, "busy", account))
        return any(row.value.room != room for row in rows)

    async def going_on(self, app: str, account: str) -> list[Row[Call]]:
        """Those that the account has to do with and that are not over."""
        return await self._all(app, self._term(app, "now", account))

    async def page(self, app: str, account: str, after: str | None, limit: int) -> list[Row[Call]]:
        """The newest first, beyond the id `after`."""
        term = self._term(app, "account", account)
        start = "" if after is None else turned(after)
        return await self._table(app).readable(app, term=term, after=start, limit=limit)

    async def of(self, app: str, *, account: str = "", room: str = "") -> list[Row[Call]]:
        """All, for erasure."""
        what, name = ("account", account) if account else ("room", room)
        return await self._all(app, self._term(app, what, name))

    async def delete(self, app: str, row: Row[Call]) -> None:
        await self._table(app).delete(app, row.key)

    async def _all(self, app: str, term: str) -> list[Row[Call]]:
        found: list[Row[Call]] = []
        while True:
            after = found[-1].key if found else ""
            rows = await self._table(app).readable(app, term=term, after=after, limit=100)
            found += rows
            if len(rows) < 100:
                return found
