"""Imports in the store: the job, the people of its archive, and the names of those without account.

A job is claimed by one process at a time (`storage.claims`), which says every few seconds that it
is still there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.compliance.imports.port import OVER, WORKED_ON, Crowd, Job, State
from signaling.errors import ClientError, Code
from signaling.keys.port import Sealer
from signaling.storage.claims import Claimed, Claims
from signaling.storage.port import Store
from signaling.storage.table import Missing, Row, Table

KIND = "compliance.import"
CROWD = "compliance.import_people"
PLACEHOLDERS = "compliance.placeholder"
OPEN, WORK, LEFT = "open", "work", "left"
CLAIM_SECONDS = 15.0
RENEW_SECONDS = 4.0
# Archives that lie here at once.
MOST_OPEN = 5


class Placeholders(Struct, frozen=True):
    """Of one room: how people were called who wrote there before it was imported."""

    names: dict[str, str] = {}


def _terms(job: Job) -> Iterable[str]:
    if job.state in OVER:
        # As long as its archive lies here.
        return (LEFT,) if job.key else ()
    return (OPEN, WORK) if job.state in WORKED_ON else (OPEN,)


class Jobs:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock, process: str) -> None:
        self._rows = Table(store, KIND, Job, sealer, terms=_terms)
        self._crowds = Table(store, CROWD, Crowd, sealer)
        self._names = Table(store, PLACEHOLDERS, Placeholders, sealer, lambda a, k, v: f"room:{k}")
        self._claims = Claims(self._rows, clock, process, CLAIM_SECONDS)

    async def ask(self, app: str, job: Job) -> Job:
        """Raises 409 while there are too many."""
        if len(await self._rows.scan(app, term=OPEN, limit=MOST_OPEN)) == MOST_OPEN:
            message = f"{MOST_OPEN} imports are not over; end one of them first."
            raise ClientError(Code.CONFLICT, 409, message)
        return (await self._rows.create(app, job.id, job)).value

    async def get(self, app: str, ident: str) -> Job:
        """Raises 404."""
        row = await self._rows.get(app, ident) if len(ident) <= 64 else None
        if row is None:
            raise _none()
        return row.value

    async def page(self, app: str, after: str, limit: int) -> list[Job]:
        return [row.value for row in await self._rows.scan(app, after=after, limit=limit)]

    async def change(self, app: str, ident: str, change: Callable[[Job], Job]) -> Job:
        """Raises 404, and what `change` raises."""
        try:
            return (await self._rows.change(app, ident, change)).value
        except Missing:
            raise _none() from None

    async def open(self, app: str, term: str) -> list[Row[Job]]:
        return await self._rows.scan(app, term=term, limit=MOST_OPEN * 2)

    async def claim(self, app: str, row: Row[Job]) -> Claimed[Job] | None:
        """None while another process has it."""
        mine = await self._claims.take(app, row)
        return None if mine is None else Claimed(app, self._claims, mine)

    # People

    async def crowd(self, app: str, ident: str) -> Crowd:
        row = await self._crowds.get(app, ident)
        return Crowd() if row is None else row.value

    async def know(self, app: str, ident: str, crowd: Crowd) -> None:
        row = await self._crowds.get(app, ident)
        if row is None:
            await self._crowds.create(app, ident, crowd)
        else:
            await self._crowds.replace(app, row, crowd)

    async def forget_crowd(self, app: str, ident: str) -> None:
        await self._crowds.delete(app, ident)

    async def placeholders(self, app: str, room: str) -> Mapping[str, str]:
        row = await self._names.get(app, room)
        return {} if row is None else row.value.names

    async def call(self, app: str, room: str, names: Mapping[str, str]) -> None:
        """Adds to the placeholders of a room."""
        row = await self._names.get(app, room)
        if row is None:
            await self._names.create(app, room, Placeholders(dict(names)))
        elif not names.items() <= row.value.names.items():
            await self._names.replace(app, row, Placeholders({**row.value.names, **names}))

    async def forget_room(self, app: str, room: str) -> bool:
        return await self._names.delete(app, room)


def over(job: Job, state: State, now: float) -> Job:
    return replace(job, state=state, finished=now, claim=0.0, worker="")


def _none() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such import.")
