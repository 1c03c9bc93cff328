"""Whether answers take the same time, however busy the machine is.

Load only ever adds to a time, so what is compared is the quickest of each kind, asked in turn.
Asking goes on until those are close together: load that was in the way passes, a difference that is
really there stays, and is what remains when there was enough of asking.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

EACH, MOST = 20, 800
"""Rounds before the first look, and before every other; and in all."""

Ask = Callable[[], Awaitable[object]]


async def apart(
    asks: Mapping[str, Ask],
    bound: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Empty when the quickest of all are within `bound` milliseconds of each other; else them."""
    quick = dict.fromkeys(asks, float("inf"))
    for number in range(1, MOST + 1):
        for kind, ask in asks.items():
            began = clock()
            await ask()
            quick[kind] = min(quick[kind], (clock() - began) * 1000)
        if number % EACH == 0 and max(quick.values()) - min(quick.values()) < bound:
            return {}
    return quick
