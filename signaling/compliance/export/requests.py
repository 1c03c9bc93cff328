"""Exports of others' data: asked for by one person of compliance, agreed to by another (row 2.3.5).

    asked --agree (another person)--> open --fetched once, or an hour later--> over

Of one room or account one at a time goes on, however many ask for it, at whichever instant: the id
follows from what it is about and how many there were before, so the second to write it finds it.
Kept for good, and shown to the people whom they are about: nobody is read in silence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.errors import ClientError, Code
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing, Row, Table

KIND = "compliance.export"
OPEN_SECONDS = 3600.0


class Request(Struct, frozen=True, kw_only=True):
    """Of a room or of an account."""

    id: str
    reason: str
    room: str
    account: str
    by: str
    asked: float
    approver: str = ""
    until: float = 0.0
    fetched: float | None = None

    def goes_on(self, now: float) -> bool:
        return self.fetched is None and (not self.approver or self.until >= now)


class Requests:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock) -> None:
        self._store, self._sealer, self._clock = store, sealer, clock

    def _table(self, app: str) -> Table[Request]:
        def terms(request: Request) -> Iterable[str]:
            return (self._term(app, request.room, request.account),)

        return Table(self._store, KIND, Request, self._sealer, terms=terms)

    def _term(self, app: str, room: str, account: str) -> str:
        return self._sealer.blind(app, f"export:{room}:{account}")

    async def ask(
        self, app: str, by: str, reason: str, room: str, account: str
    ) -> tuple[Request, bool]:
        """The one that goes on, begun now if none does; and whether it is new."""
        while True:
            now = self._clock.unix()
            known = await self.about(app, room=room, account=account)
            for request in known:
                if request.goes_on(now):
                    return request, False
            made = Request(
                id=self._sealer.blind(app, f"export:{room}:{account}:{len(known)}"),
                reason=reason, room=room, account=account, by=by, asked=now,
            )  # fmt: skip
            with contextlib.suppress(Conflict):  # somebody asked at this very instant
                await self._table(app).create(app, made.id, made)
                return made, True

    async def about(self, app: str, *, room: str = "", account: str = "") -> list[Request]:
        """Whom or what it is about is told of all of them, the oldest first."""
        rows: list[Row[Request]] = []
        term = self._term(app, room, account)
        while page := await self._table(app).scan(
            app, term=term, after=rows[-1].key if rows else "", limit=100
        ):
            rows += page
        return sorted((row.value for row in rows), key=lambda request: request.asked)

    async def page(self, app: str, after: str, limit: int) -> list[Request]:
        return [row.value for row in await self._table(app).scan(app, after=after, limit=limit)]

    async def agree(self, app: str, ident: str, by: str) -> Request:
        """Raises 409 for the one who asked."""

        def open_it(request: Request) -> Request:
            if request.by == by:
                message = "An export of others' data needs two different people."
                raise ClientError(Code.SECOND_APPROVER_NEEDED, 409, message)
            if request.approver:
                raise ClientError(Code.CONFLICT, 409, "Somebody agreed to it already.")
            return replace(request, approver=by, until=self._clock.unix() + OPEN_SECONDS)

        return await self._change(app, ident, open_it)

    async def fetch(self, app: str, ident: str, by: str) -> Request:
        """Once, by one of the two. Raises 409 before the second agreed, 410 when it is over."""

        def take(request: Request) -> Request:
            if by not in (request.by, request.approver):
                raise Missing(KIND)
            if not request.approver:
                message = "A second person has to agree first."
                raise ClientError(Code.SECOND_APPROVER_NEEDED, 409, message)
            if request.fetched is not None or request.until < self._clock.unix():
                raise ClientError(Code.LINK_INVALID, 410, "The export was fetched, or expired.")
            return replace(request, fetched=self._clock.unix())

        return await self._change(app, ident, take)

    async def _change(self, app: str, ident: str, change: Callable[[Request], Request]) -> Request:
        try:
            return (await self._table(app).change(app, ident, change)).value
        except Missing:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such export.") from None
