"""Jobs of erasure in the store: asked for once, claimed by one process at a time, kept when done.

The id follows from what is to be erased, by the app's secret digest: asking twice is one job, and
whoever has the id was told it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from signaling.clock import Clock
from signaling.compliance.erasure.port import Job, Kind, State
from signaling.errors import ClientError, Code
from signaling.keys.port import Sealer
from signaling.storage import claims
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Row, Table

KIND = "compliance.erasure"
OPEN = "open"
# Longer than any single note of progress takes to come; what a dead process had waits so long.
CLAIM_SECONDS = 20.0


def _terms(job: Job) -> Iterable[str]:
    return (job.kind.value,) if job.state is State.DONE else (OPEN, job.kind.value)


class Jobs:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock, process: str) -> None:
        self._table = Table(store, KIND, Job, sealer, terms=_terms)
        self._claims = claims.Claims(self._table, clock, process, CLAIM_SECONDS)
        self._sealer = sealer

    def ident(self, app: str, kind: Kind, *parts: str) -> str:
        said = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return self._sealer.blind(app, f"erasure:{kind}:{said}")

    async def ask(self, app: str, job: Job) -> tuple[Job, bool]:
        """The job, and whether it is new."""
        try:
            return (await self._table.create(app, job.id, job)).value, True
        except Conflict:
            return await self.get(app, job.id), False

    async def again(self, app: str, job: Job, expires: float) -> tuple[Job, bool]:
        """As `ask`, but one that is done begins anew."""
        row = await self._table.get(app, job.id)
        if row is not None and row.value.state is not State.DONE:
            return row.value, False
        try:
            if row is None:
                return (await self._table.create(app, job.id, job, expires=expires)).value, True
            return (await self._table.extend(app, row, job, expires)).value, True
        except Conflict:
            return await self.get(app, job.id), False

    async def get(self, app: str, ident: str) -> Job:
        """Raises 404."""
        found = await self.find(app, ident)
        if found is None:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such erasure.")
        return found

    async def find(self, app: str, ident: str) -> Job | None:
        row = await self._table.get(app, ident) if len(ident) <= 64 else None
        return None if row is None else row.value

    async def page(self, app: str, after: str, limit: int) -> list[Job]:
        return [row.value for row in await self._table.scan(app, after=after, limit=limit)]

    async def open(self, app: str) -> list[Row[Job]]:
        """All that are not done."""
        found: list[Row[Job]] = []
        after = ""
        while rows := await self._table.scan(app, term=OPEN, after=after, limit=100):
            found += rows
            after = rows[-1].key
        return found

    async def claim(self, app: str, row: Row[Job]) -> Claimed | None:
        """None while another process has it."""
        mine = await self._claims.take(app, row)
        return None if mine is None else Claimed(app, self._claims, mine)


class Claimed(claims.Claimed[Job]):
    """Implements `port.Progress`."""

    async def note(
        self,
        counts: Mapping[str, int] | None = None,
        *,
        after: str = "",
        done: int = 0,
        total: int = 0,
    ) -> None:
        summed = dict(self.job.counts)
        for name, count in (counts or {}).items():
            summed[name] = summed.get(name, 0) + count
        await self.change(after=after, done=done, total=total, counts=summed)
