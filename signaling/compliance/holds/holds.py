"""The register of legal holds: who placed which, on which rooms and people, and who released it.

    placed --ask--> asked --agree (another person)--> released
                    asked --cancel--> placed

Precedence (architecture decision 10): a hold stands above erasure, erasure above retention. A hold
of a person covers what they wrote in every room. Who may call is the operations' to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.errors import ClientError, Code
from signaling.ids import Ids
from signaling.keys.port import Sealer
from signaling.storage.port import Store
from signaling.storage.table import Missing, Table

KIND = "compliance.hold"
MOST_NAMED = 100


class Hold(Struct, frozen=True, kw_only=True):
    """`asked_by` wants it released; `released_by` is the second person who agreed."""

    id: str
    reason: str
    rooms: tuple[str, ...]
    accounts: tuple[str, ...]
    placed_by: str
    placed: float
    asked_by: str = ""
    released_by: str = ""
    released: float | None = None

    @property
    def stands(self) -> bool:
        return self.released is None


class Holds:
    """One for each process; `changed` are told of every release."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock, ids: Ids) -> None:
        self._store, self._sealer, self._clock, self._ids = store, sealer, clock, ids
        self.changed: list[Callable[[], None]] = []

    def _table(self, app: str) -> Table[Hold]:
        def terms(hold: Hold) -> Iterable[str]:
            if not hold.stands:
                return ()
            named = [self._term(app, "room", room) for room in hold.rooms]
            return named + [self._term(app, "account", account) for account in hold.accounts]

        return Table(self._store, KIND, Hold, self._sealer, terms=terms)

    def _term(self, app: str, kind: str, ident: str) -> str:
        return self._sealer.blind(app, f"hold:{kind}:{ident}")

    async def place(
        self, app: str, by: str, reason: str, rooms: Iterable[str], accounts: Iterable[str]
    ) -> Hold:
        hold = Hold(
            id=self._ids.new(), reason=reason, rooms=tuple(sorted(set(rooms))),
            accounts=tuple(sorted(set(accounts))), placed_by=by, placed=self._clock.unix(),
        )  # fmt: skip
        await self._table(app).create(app, hold.id, hold)
        return hold

    async def get(self, app: str, ident: str) -> Hold:
        """Raises 404."""
        row = await self._table(app).get(app, ident)
        if row is None:
            raise not_found()
        return row.value

    async def page(self, app: str, after: str, limit: int) -> list[Hold]:
        return [row.value for row in await self._table(app).scan(app, after=after, limit=limit)]

    async def ask(self, app: str, ident: str, by: str) -> Hold:
        """The first of two people wants it released."""
        return await self._change(app, ident, lambda hold: replace(hold, asked_by=by))

    async def cancel(self, app: str, ident: str) -> Hold:
        return await self._change(app, ident, lambda hold: replace(hold, asked_by=""))

    async def agree(self, app: str, ident: str, by: str) -> Hold:
        """The second person. Raises 409 for the one who asked, and while nobody did."""

        def release(hold: Hold) -> Hold:
            if not hold.asked_by:
                raise ClientError(Code.CONFLICT, 409, "Nobody asked for its release.")
            if hold.asked_by == by:
                raise ClientError(
                    Code.SECOND_APPROVER_NEEDED, 409, "Release needs two different people."
                )
            return replace(hold, released_by=by, released=self._clock.unix())

        released = await self._change(app, ident, release)
        for told in self.changed:
            told()
        return released

    async def _change(self, app: str, ident: str, change: Callable[[Hold], Hold]) -> Hold:
        def standing(hold: Hold) -> Hold:
            if not hold.stands:
                raise ClientError(Code.CONFLICT, 409, "The hold was released.")
            return change(hold)

        try:
            return (await self._table(app).change(app, ident, standing)).value
        except Missing:
            raise not_found() from None

    # What everybody who removes something asks first

    async def of_room(self, app: str, room: str) -> str:
        """The id of a hold of this room; empty when nobody holds it."""
        return await self._find(app, "room", room) if room else ""

    async def of_account(self, app: str, account: str) -> str:
        return await self._find(app, "account", account) if account else ""

    async def of_any(self, app: str, room: str, accounts: Iterable[str]) -> str:
        """Of the room, or of one of these people."""
        if found := await self.of_room(app, room):
            return found
        for account in accounts:
            if found := await self.of_account(app, account):
                return found
        return ""

    async def _find(self, app: str, kind: str, ident: str) -> str:
        term = self._term(app, kind, ident)
        found = await self._store.meta.scan(app, KIND, term=term, limit=1)
        return found[0].key if found else ""


def not_found() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such hold.")
