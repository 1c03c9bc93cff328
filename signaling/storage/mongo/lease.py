"""Which node owns a room: so that it may remember the room's end instead of asking each time.

Only a matter of speed. A node that wrongly thinks it owns a room (it slept, its clock is wrong)
meets the unique `_id` of the op that the other wrote, forgets what it remembered and looks again.
The epoch grows with every change of owner: renewing an old epoch fails.
"""

from __future__ import annotations

from bson import Binary
from pymongo.asynchronous.collection import AsyncCollection

from signaling.clock import Clock
from signaling.storage.mongo.connect import Row

# Long enough to be renewed by a busy room a few times a minute, short enough that the rooms of a
# dead node are fast again soon; they are never closed meanwhile.
SECONDS = 15.0
# Renewed when less than this is left.
RENEW = 5.0


class Lease:
    """Of one room. States: none -> held -> none."""

    def __init__(self, where: str, node: Binary, clock: Clock) -> None:
        self._where = where
        self._node = node
        self._clock = clock
        self._until = 0.0
        self.epoch = 0

    @property
    def held(self) -> bool:
        return self._clock.monotonic() < self._until

    async def keep(self, rooms: AsyncCollection[Row]) -> bool:
        """Whether we own the room now and have without a break, so that memory may be trusted."""
        left = self._until - self._clock.monotonic()
        if left > RENEW:
            return True
        asked = self._clock.monotonic()
        wall = self._clock.unix()
        if left > 0:
            mine: Row = {"_id": self._where, "o": self._node, "p": self.epoch}
            renewed = await rooms.update_one(mine, {"$set": {"u": wall + SECONDS}})
            if renewed.matched_count:
                self._until = asked + SECONDS
                return True
        self._until = 0.0
        before = await rooms.find_one_and_update(
            {"_id": self._where, "$or": [{"u": {"$lte": wall}}, {"o": self._node}]},
            {"$set": {"o": self._node, "u": wall + SECONDS}, "$inc": {"p": 1}},
        )
        if before is not None:
            self.epoch = before["p"] + 1
            self._until = asked + SECONDS
        return False

    def drop(self) -> None:
        """After an error: what we know may be wrong."""
        self._until = 0.0
