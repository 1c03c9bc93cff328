"""Handshakes take turns, so that a crowd that comes at once is not all that a server does.

The first step of a TLS handshake signs, a millisecond and more of the event loop, and a request
follows it. Two thousand of them ready in one step of the loop would keep everybody else's messages
waiting for seconds; a few for each step let both go on. Nobody holds a turn: who stalls later in a
handshake delays no one. Owned by a listener.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

AT_ONCE = 2
"""In one step of the loop."""


class Turns:
    """See the module. Whose turn comes after it is gone must bear that."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._taken = 0
        self._counting = False

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, work: Callable[[], None]) -> None:
        """At once where nobody waits, else in the order of coming."""
        self._waiting.append(work)
        if not self._counting:
            self._step()
        elif len(self._waiting) == 1 and self._taken < AT_ONCE:
            self._go()

    def _step(self) -> None:
        self._taken, self._counting = 0, True
        try:
            while self._waiting and self._taken < AT_ONCE:
                self._go()
        finally:
            # A step in which nothing was taken is the last.
            self._counting = self._taken > 0
            if self._counting:
                asyncio.get_running_loop().call_soon(self._step)

    def _go(self) -> None:
        self._taken += 1
        self._waiting.popleft()()
