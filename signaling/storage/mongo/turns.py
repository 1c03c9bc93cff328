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
from signaling.storage.mongo.queue import Queue, fail
from signaling.storage.mongo.schema import Database

Open = Callable[[], Awaitable[Database]]

_SHOWN = {"f": 1, "o": 1, "p": 1, "u": 1}


@dataclass(frozen=True)
class Look:
    """What a room's document said when it was asked for at `asked`, on the monotonic clock."""

    asked: float
    floor: int = 0
    owner: bytes = b""
    epoch: int = 0
    until: float = 0.0


@dataclass
class _Asked:
    """Somebody waits for the document of the room at `where`."""

    where: str
    future: asyncio.Future[Look]
    count: int = 1
    size: int = 0


class Looks:
    """Reads rooms' documents."""

    def __init__(self, database: Open, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._queue = Queue(self._tell)
        self._fresh: dict[str, Look] = {}

    async def at(self, where: str) -> Look:
        """Not older than this call. Whoever asks in the very step of the loop in which an answer
        came gets that answer: nothing newer can have been heard of here. Raises PyMongoError.
        """
        found = self._fresh.get(where)
        if found is not None:
            return found
        future: asyncio.Future[Look] = asyncio.get_running_loop().create_future()
        self._queue.put(_Asked(where, future))
        return await future

    async def _tell(self, asked: list[_Asked]) -> None:
        try:
            found = await self._ask(sorted({one.where for one in asked}))
        except Exception as error:
            fail([one.future for one in asked], error)
        else:
            self._answer(asked, found)

    async def _ask(self, places: list[str]) -> dict[str, Look]:
        database, asked = await self._database(), self._clock.monotonic()
        rows = database["room"].find({"_id": {"$in": places}}, _SHOWN)
        found = dict.fromkeys(places, Look(asked))
        for row in await rows.to_list():
            found[row["_id"]] = Look(asked, int(row["f"]), bytes(row["o"]), int(row["p"]), row["u"])
        return found

    def _answer(self, asked: list[_Asked], found: dict[str, Look]) -> None:
        self._fresh = found
        for one in asked:
            if not one.future.done():
                one.future.set_result(found[one.where])
        # After those who waited have gone on.
        asyncio.get_running_loop().call_soon(self._fresh.clear)


@dataclass
class _Insert:
    """The rows of one room, contiguous and rising."""

    rows: Sequence[Row]
    size: int
    future: asyncio.Future[None]

    @property
    def count(self) -> int:
        return len(self.rows)


class Inserts:
    """Writes ops."""

    def __init__(self, database: Open) -> None:
        self._database = database
        self._queue = Queue(self._write)

    async def insert(self, rows: Sequence[Row]) -> None:
        """Of one room, in order: of these all, or the first few and an error of the driver's."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(_Insert(rows, sum(len(row["d"]) for row in rows), future))
        await future

    async def _write(self, inserts: list[_Insert]) -> None:
        """By place, so that each shard is met once."""
        taken = sorted(inserts, key=lambda one: one.rows[0]["_id"])
        try:
            database = await self._database()
            rows = [row for one in taken for row in one.rows]
            await database["op"].insert_many(rows, ordered=True)
        except BulkWriteError as error:
            self._part(taken, error)
        except Exception as error:
            fail([one.future for one in taken], error)
        else:
            _done(taken)

    def _part(self, taken: list[_Insert], error: BulkWriteError) -> None:
        """An ordered insert ends at the first row that fails: rooms before that are written, rooms
        beyond it were not tried, and come again.
        """
        failed = [one["index"] for one in error.details.get("writeErrors", ())]
        if not failed or error.details.get("writeConcernErrors"):
            fail([one.future for one in taken], error)
            return
        end = 0
        for place, one in enumerate(taken):
            end += len(one.rows)
            if failed[0] < end:
                _done(taken[:place])
                fail([one.future], error)
                self._queue.put_back(taken[place + 1 :])
                return


def _done(inserts: Sequence[_Insert]) -> None:
    for one in inserts:
        if not one.future.done():
            one.future.set_result(None)
