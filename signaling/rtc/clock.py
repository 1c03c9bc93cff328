"""Time as the call domain sees it: the clock of everybody, and timers on it.

Rooms and participants take a `TimerClock`; `LoopClock` is its adapter on the event loop. Tests use
a virtual one, so that every time-out in this package runs in no time at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from signaling.clock import Clock, SystemClock


class Timer(Protocol):
    """Something scheduled; `cancel` after it ran does nothing."""

    def cancel(self) -> None: ...


class TimerClock(Clock, Protocol):
    """`call_later` never calls before it returns."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer: ...


class LoopClock(SystemClock):
    """The machine's clocks, and timers of the running event loop."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)
