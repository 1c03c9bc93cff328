"""Time as everything outside of a call sees it: an argument, never a global.

`SystemClock` is the one adapter that reads the real clocks; tests hold a `FakeClock` and move it.
Calls have timers beside it (`signaling.rtc.clock`).
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Both in seconds: `unix` for what is stored or sent, `monotonic` for intervals."""

    def unix(self) -> float: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clocks, with no step in between: every request asks several times."""

    unix = staticmethod(time.time)  # noqa: TID251 - the adapter through which everybody else asks
    monotonic = staticmethod(time.monotonic)


class FakeClock:
    """Stands still until `advance`; `step` moves the wall clock alone, as an operator would."""

    def __init__(self, unix: float = 1_800_000_000.0) -> None:
        self._unix = unix
        self._monotonic = 1000.0

    def unix(self) -> float:
        return self._unix

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._unix += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        self._unix += seconds
