"""A token bucket for each address.

Pure arithmetic, time is an argument. Driven by the middleware.
"""

from __future__ import annotations

from collections import OrderedDict

# Addresses remembered; the least recently seen are forgotten, which only ever favours them.
MAX_ADDRESSES = 50_000


class Buckets:
    """`take` is true while the address stays within `rate` a second after `burst` at once."""

    def __init__(self, rate: float, burst: int, size: int = MAX_ADDRESSES) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._size = size
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, now: float) -> bool:
        level, then = self._known.pop(who, (self._burst, now))
        level = min(self._burst, level + max(0.0, now - then) * self._rate)
        allowed = level >= 1.0
        self._known[who] = (level - 1.0 if allowed else level, now)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return allowed

    def __len__(self) -> int:
        return len(self._known)
