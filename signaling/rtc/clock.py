"""Time as the call domain sees it: two clocks and a timer, given from outside.

Rooms and participants take a `Clock`; `LoopClock` is the one adapter that reads the real time.
Tests use a virtual one, so that every time-out in this package runs in no time at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Something scheduled; `cancel` after it ran does nothing."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """`monotonic` for intervals, `unix` for what goes on the wire, both in seconds."""

    def monotonic(self) -> float: ...
    def unix(self) -> float: ...
    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer: ...


class LoopClock:
    """The real time, on the running event loop."""

    def monotonic(self) -> float:
        return time.monotonic()

    def unix(self) -> float:
        return time.time()  # noqa: TID251 - the adapter through which everybody else asks

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)
