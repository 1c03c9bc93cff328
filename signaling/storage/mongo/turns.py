"""What many rooms ask of the database in the same moment, asked at once.

One question and one insert are under way at a time; what comes meanwhile is the next, as commits
are grouped in the embedded store. Used from the event loop only; owned by `Rooms`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pymongo.errors import BulkWriteError

from signaling.clock import Clock
from signaling.storage.mongo.connect import Row
from signaling.storage.mongo.schema import Database
from signaling.storage.port import MAX_BATCH

Open = Callable[[], Awaitable[Database]]

# One insert command: below the driver's 48 MB, so that it stays one command.
INSERT_BYTES = 8 * 1024 * 1024
_SHOWN = {"f": 1, "o": 1, "p": 1, "u": 1}


@dataclass(frozen=True)
class Look:
    """What a room's document said when it was asked for at `asked`, on the monotonic clock."""

    asked: float
    floor: int = 0
    owner: bytes = b""
    epoch: int = 0
    until: float = 0.0


class Looks:
    """Reads rooms' documents. States: idle -> asking -> idle."""

    def __init__(self, database: Open, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[tuple[str, asyncio.Future[Look]]] = []
        self._fresh: dict[str, Look] = {}
        self._task: asyncio.Task[None] | None = None

    async def at(self, where: str) -> Look:
        """Not older than this call. Whoever asks in the very step of the loop in which an answer
        came gets that answer: nothing newer can have been heard of here. Raises PyMongoError.
        """
        found = self._fresh.get(where)
        if found is not None:
            return found
        future: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
        self._waiting.append((where, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                try:
                    found = await self._ask(sorted({where for where, _ in taken}))
                except Exception as error:
                    _fail([future for _, future in taken], error)
                else:
                    self._answer(taken, found)
        finally:
            self._task = None

    async def _ask(self, places: list[str]) -> dict[str, Look]:
        database, asked = await self._database(), self._clock.monotonic()
        rows = database["room"].find({"_id": {"$in": places}}, _SHOWN)
        found = dict.fromkeys(places, Look(asked))
        for row in await rows.to_list():
            found[row["_id"]] = Look(asked, int(row["f"]), bytes(row["o"]), int(row["p"]), row["u"])
        return found

    def _answer(
        self, taken: list[tuple[str, asyncio.Future[Look]]], found: dict[str, Look]
    ) -> None:
        self._fresh = found
        for where, future in taken:
            if not future.done():
                future.set_result(found[where])
        # After those who waited have gone on.
        asyncio.get_running_loop().call_soon(self._fresh.clear)


@dataclass
class _Insert:
    """The rows of one room, contiguous and rising."""

    rows: Sequence[Row]
    size: int
    future: asyncio.Future[None]


class Inserts:
    """Writes ops. States: idle -> writing -> idle."""

    def __init__(self, database: Open) -> None:
        self._database = database
        self._waiting: list[_Insert] = []
        self._task: asyncio.Task[None] | None = None

    async def insert(self, rows: Sequence[Row]) -> None:
        """Of one room, in order: of these all, or the first few and an error of the driver's."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Insert(rows, sum(len(row["d"]) for row in rows), future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._write(self._take())
        finally:
            self._task = None

    def _take(self) -> list[_Insert]:
        """As many as fit one command, at least one; by place, so that each shard is met once."""
        count, ops, size = 0, 0, 0
        for one in self._waiting:
            ops, size = ops + len(one.rows), size + one.size
            if count and (ops > MAX_BATCH or size > INSERT_BYTES):
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return sorted(taken, key=lambda one: one.rows[0]["_id"])

    async def _write(self, taken: list[_Insert]) -> None:
        try:
            database = await self._database()
            rows = [row for one in taken for row in one.rows]
            await database["op"].insert_many(rows, ordered=True)
        except BulkWriteError as error:
            self._part(taken, error)
        except Exception as error:
            _fail([one.future for one in taken], error)
        else:
            _done(taken)

    def _part(self, taken: list[_Insert], error: BulkWriteError) -> None:
        """An ordered insert ends at the first row that fails: rooms before that are written, rooms
        beyond it were not tried, and come again.
        """
        failed = [one["index"] for one in error.details.get("writeErrors", ())]
        if not failed or error.details.get("writeConcernErrors"):
            _fail([one.future for one in taken], error)
            return
        end = 0
        for place, one in enumerate(taken):
            end += len(one.rows)
            if failed[0] < end:
                _done(taken[:place])
                _fail([one.future], error)
                self._waiting[:0] = taken[place + 1 :]
                return


def _done(inserts: Sequence[_Insert]) -> None:
    for one in inserts:
        if not one.future.done():
            one.future.set_result(None)


def _fail(
    futures: Sequence[asyncio.Future[Look]] | Sequence[asyncio.Future[None]], error: Exception
) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
