"""A batch that waits for more: until it is full, or its first item has waited long enough. Pure.

One for each lane in each process. What other processes put counts when the time is over.
"""

from __future__ import annotations


class Gathering:
    """Times are of one clock that only rises."""

    __slots__ = ("_short", "_until")

    def __init__(self) -> None:
        self._until, self._short = 0.0, 0

    def wait(self, now: float, have: int, size: int, seconds: float) -> float:
        """The seconds that a batch of `have` still waits; 0: it goes, and the next begins anew."""
        if have >= size or seconds <= 0 or (self._until and now >= self._until):
            self._until = 0.0
            return 0.0
        self._until = self._until or now + seconds
        self._short = size - have
        return self._until - now

    def lacks(self, now: float, more: int) -> bool:
        """So many came; whether the batch still waits."""
        self._short -= more
        return now < self._until and self._short > 0
