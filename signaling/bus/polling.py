"""When the store is looked at although there is a bus, which may lose any of its hints.

Whoever follows something polls it beside: slowly while the bus works, faster while it is away, and
eagerly just after it came back, since what it lost meanwhile is there to be found. So a bus that
loses everything costs time and nothing else. Driven by whoever holds what is followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from signaling.bus.port import Bus, BusState, Reach
from signaling.clock import Clock

log = logging.getLogger(__name__)

# Seconds between two looks: a bus that works loses little, one that is away all.
POLL = {Reach.LOCAL: 5.0, Reach.SHARED: 3.0, Reach.LOST: 2.0}
EAGER_POLL, EAGER_SECONDS = 0.25, 5.0
# Polled at once: it must not crowd out everybody else.
AT_ONCE = 16


class Polled(Protocol):
    """Anything that can have missed a hint."""

    async def poll(self) -> None:
        """Look whether something is new. A store that is away is its own to bear."""


class Polling:
    """One for each holder. `followed` gives what there is to poll now."""

    def __init__(self, bus: Bus, clock: Clock, followed: Callable[[], Iterable[Polled]]) -> None:
        self._bus = bus
        self._clock = clock
        self._followed = followed
        self._eager_until = 0.0
        self._changed = asyncio.Event()
        bus.on_state(self._on_state)

    def _on_state(self, state: BusState) -> None:
        if state.reach is Reach.SHARED:
            self._eager_until = self._clock.monotonic() + EAGER_SECONDS
        self._changed.set()

    def interval(self) -> float:
        """Seconds until the next look."""
        if self._clock.monotonic() < self._eager_until:
            return EAGER_POLL
        return POLL[self._bus.state().reach]

    async def run(self) -> None:
        """Until it is cancelled; at once when the bus went or came."""
        while True:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self.interval())
            await self.poll()

    async def poll(self) -> None:
        """All of them, once. One that fails keeps no other from its turn."""
        followed = list(self._followed())
        for start in range(0, len(followed), AT_ONCE):
            turn = followed[start : start + AT_ONCE]
            done = await asyncio.gather(*(one.poll() for one in turn), return_exceptions=True)
            for error in done:
                if isinstance(error, Exception):
                    log.error("something could not be polled", exc_info=error)
