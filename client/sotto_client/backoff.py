"""How long to wait before the next try: one second, doubling to five minutes, a quarter of jitter.

Pure: randomness is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

FIRST, LAST, JITTER = 1.0, 300.0, 0.25


class Backoff:
    """`random` gives numbers from 0 to 1."""

    def __init__(self, random: Callable[[], float], first: float = FIRST) -> None:
        self._random = random
        self._first = first
        self._next = first

    def wait(self) -> float:
        """Seconds until the next try."""
        base, self._next = self._next, min(LAST, self._next * 2)
        return base * (1 + JITTER * (2 * self._random() - 1))

    def reset(self) -> None:
        """It worked."""
        self._next = self._first
