"""Which node owns a room: so that it may remember the room instead of asking each time.

Everybody may write into every room at any time; the unique `_id` of an op keeps that exact. What a
lease adds is that the owner's memory holds the room's end as of the last look at its document:

- whoever is not the owner raises the epoch after its insert and before its answer, so the owner's
  next look tells it to read again;
- the owner raises nothing, and so must know, when it answers, that it was the owner a moment ago
  (`TRUST`); else it raises the epoch as everybody does;
- whoever takes a room from another owner remembers nothing for `SETTLE`: longer than that moment.

So no clock is compared with another's. `u`, by the wall clock, only says when a room may be taken.
"""

from __future__ import annotations

from bson import Binary
from pymongo.asynchronous.collection import AsyncCollection

from signaling.clock import Clock
from signaling.storage.mongo.connect import Row
from signaling.storage.mongo.turns import Look

# Long enough to be renewed by a busy room a few times a minute, short enough that the rooms of a
# dead node are fast again soon; they are never closed meanwhile.
SECONDS = 15.0
# Renewed when less than this is left.
RENEW = 5.0
# An owner's answer leaves within this of its last proof that it is the owner; twice as long is
# waited for it elsewhere, since clocks run at about the same speed.
TRUST = 5.0
SETTLE = 2 * TRUST


class Lease:
    """Of one room. States: none -> held -> none."""

    def __init__(self, where: str, node: Binary, clock: Clock) -> None:
        self._where = where
        self._node = bytes(node)  # a Binary never equals what is read
        self._clock = clock
        self._until = 0.0
        self._proved = 0.0
        self._settling = 0.0
        self._theirs = 0.0
        self._epoch = 0
        self.held = False

    @property
    def proved(self) -> bool:
        """Whether no other owner needs to be told of what was written until now."""
        return self.held and self._clock.monotonic() < self._proved + TRUST

    def agrees(self, look: Look) -> bool:
        """Whether what was remembered in this epoch is still all there is."""
        if look.epoch < self._epoch:
            return False  # asked before we took it
        if look.owner != self._node:
            self.held, self._theirs = False, look.until
            return False
        if not self.held:
            self._begin(settle=True)  # taken by a request whose answer was lost
        same, self._epoch = look.epoch == self._epoch, look.epoch
        self._proved = max(self._proved, look.asked)
        return self._is_settled() and same

    def _begin(self, *, settle: bool) -> None:
        self.held = True
        self._settling = self._clock.monotonic() + SETTLE if settle else 0.0

    def _is_settled(self) -> bool:
        """Not yet when it is found to be over: what is remembered may be from before."""
        if not self._settling:
            return True
        if self._clock.monotonic() >= self._settling:
            self._settling = 0.0
        return False

    async def keep(self, rooms: AsyncCollection[Row]) -> bool:
        """Whether we own the room and have without a break. Asks only when it is time to."""
        asked, wall = self._clock.monotonic(), self._clock.unix()
        if self.held:
            if self._until - asked > RENEW and asked < self._proved + TRUST / 2:
                return True
            mine: Row = {"_id": self._where, "o": self._node, "p": self._epoch}
            renewed = await rooms.update_one(mine, {"$set": {"u": wall + SECONDS}})
            if renewed.matched_count:
                self._until, self._proved = asked + SECONDS, asked
                return True
        if self.held or self._theirs <= wall:
            await self._take(rooms, asked, wall)
        return False

    async def _take(self, rooms: AsyncCollection[Row], asked: float, wall: float) -> None:
        before = await rooms.find_one_and_update(
            {"_id": self._where, "$or": [{"u": {"$lte": wall}}, {"o": self._node}]},
            {"$set": {"o": self._node, "u": wall + SECONDS}, "$inc": {"p": 1}},
        )
        if before is None:
            self.held = False
            return
        owner = bytes(before["o"])
        self._begin(settle=owner != b"" and not (self.held and owner == self._node))
        self._epoch = before["p"] + 1
        self._until, self._proved = asked + SECONDS, asked

    async def tell(self, rooms: AsyncCollection[Row]) -> None:
        """The owner, that somebody else wrote."""
        await rooms.update_one({"_id": self._where}, {"$inc": {"p": 1}})
