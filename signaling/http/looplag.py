"""How late the event loop runs its timers: the first sign of too much work. Driven by `app`."""

from __future__ import annotations

import asyncio
from collections import deque

INTERVAL = 0.25
KEPT = 240  # one minute


class LoopLag:
    """The worst and the 99th percentile of the last minute, in seconds."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=KEPT)

    async def run(self) -> None:
        """Until it is cancelled. A timer without a task wakes the loop once for each look."""
        loop, never = asyncio.get_running_loop(), asyncio.Event()
        self._look_again(loop)
        try:
            await never.wait()
        finally:
            self._timer.cancel()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.record(max(0.0, loop.time() - self._timer.when()))
        self._look_again(loop)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(INTERVAL, self._look, loop)

    def record(self, late: float) -> None:
        self._late.append(late)

    def quantile(self, share: float) -> float:
        if not self._late:
            return 0.0
        ordered = sorted(self._late)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def worst(self) -> float:
        return max(self._late, default=0.0)
