"""Jobs that one process at a time works on: rows of a `Table` that say until when who has them.

    free -> claimed, each change claims it anew -> free again when nobody changed it for `seconds`

A process that died keeps nobody waiting longer than that. Who changed the row meanwhile, or took it
over, wins: the one that worked on it hears of it with its next change.
"""

from __future__ import annotations

import asyncio
from typing import Any, Generic, Protocol, TypeVar

from msgspec.structs import replace

from signaling.clock import Clock
from signaling.storage.port import Conflict
from signaling.storage.table import Row, Table


class Claimable(Protocol):
    """A Struct with these two: `claim` is until when (Unix time) `worker` has it to itself."""

    @property
    def claim(self) -> float: ...
    @property
    def worker(self) -> str: ...


J = TypeVar("J", bound=Claimable)


class Lost(Exception):  # noqa: N818 - names what happened
    """Somebody changed the job, or another process took it over: leave it."""


class Claims(Generic[J]):
    """One for each process and kind of job; `process` is its name among the others."""

    def __init__(self, table: Table[J], clock: Clock, process: str, seconds: float) -> None:
        self._table, self._clock = table, clock
        self._process, self._seconds = process, seconds

    async def take(self, app: str, row: Row[J]) -> Row[J] | None:
        """None while another process has it."""
        job = row.value
        if job.claim > self._clock.unix() and job.worker != self._process:
            return None
        try:
            return await self._table.replace(app, row, self._mine(job))
        except Conflict:
            return None

    async def change(self, app: str, row: Row[J], **fields: Any) -> Row[J]:
        """Claimed anew, unless the fields say otherwise. Raises Lost."""
        try:
            return await self._table.replace(app, row, self._mine(row.value, **fields))
        except Conflict:
            raise Lost from None

    def _mine(self, job: J, **fields: Any) -> J:
        given = {"claim": self._clock.unix() + self._seconds, "worker": self._process, **fields}
        changed: J = replace(job, **given)  # type: ignore[type-var]
        return changed


class Claimed(Generic[J]):
    """A job that this process has to itself. `kept` runs beside work that changes nothing."""

    def __init__(self, app: str, claims: Claims[J], row: Row[J]) -> None:
        self._app, self._claims, self._row = app, claims, row
        self._lock = asyncio.Lock()

    @property
    def job(self) -> J:
        return self._row.value

    async def change(self, **fields: Any) -> None:
        """Durable before it returns. Raises Lost."""
        async with self._lock:
            self._row = await self._claims.change(self._app, self._row, **fields)

    async def kept(self, every: float) -> None:
        """Until it is cancelled. Raises Lost."""
        while True:
            await asyncio.sleep(every)
            await self.change()
