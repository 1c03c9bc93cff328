"""How late the event loop runs its timers: the first sign of too much work. Driven by `app`."""

from __future__ import annotations

import asyncio
from collections import deque

INTERVAL = 0.1
KEPT = 600  # one minute


class LoopLag:
    """The worst and the 99th percentile of the last minute, in seconds."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=KEPT)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self.record(max(0.0, loop.time() - due))

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
