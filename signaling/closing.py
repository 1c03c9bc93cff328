"""What is closed when the server ends: last opened first, all of it within a bound.

A store that is away makes each closing wait for its own time-outs, one after the other; a service
manager would kill the process before the last. What does not end in time is cut and named.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

# Seconds that each closing gets although those before it took all there was.
LEAST = 1.0
# A cancellation may be lost on its way: asyncio.wait_for swallows one that comes in the same turn
# as its result (until Python 3.12), and the driver of MongoDB waits by it. So it is said again.
TRIES = 20
AGAIN = 0.1


@dataclass
class _Deadline:
    until: float | None = None


class Closing:
    """States: open, until `aclose`. `seconds` are shared by all closings."""

    def __init__(
        self, seconds: float, least: float = LEAST, *, within: Closing | None = None
    ) -> None:
        """`within`: to be adopted by that one, or closed alone when its opening failed."""
        self._seconds, self._least = seconds, least
        self._stack = contextlib.AsyncExitStack()
        self._deadline: _Deadline = _Deadline() if within is None else within._deadline

    def part(self) -> Closing:
        return Closing(self._seconds, self._least, within=self)

    def adopt(self, part: Closing) -> None:
        self._stack.push_async_exit(part._stack.pop_all())

    def callback(self, close: Callable[[], Any]) -> None:
        self._stack.callback(close)

    def push_async_callback(self, close: Callable[[], Awaitable[Any]]) -> None:
        self._stack.push_async_callback(self._bounded, close)

    async def aclose(self) -> None:
        """Raises what a closing raised, after all others ran."""
        self._deadline.until = asyncio.get_running_loop().time() + self._seconds
        try:
            await self._stack.aclose()
        finally:
            self._deadline.until = None

    async def _bounded(self, close: Callable[[], Awaitable[Any]]) -> None:
        now = asyncio.get_running_loop().time()
        until = self._deadline.until or now + self._seconds
        task = asyncio.ensure_future(close())
        try:
            await asyncio.wait({task}, timeout=max(until - now, self._least))
        finally:
            if not task.done():
                log.error("cut, since it did not end in time: %s", _name(close))
                await end([task])
        if not task.cancelled():
            task.result()


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancels until they have ended, or for two seconds; what they raise is not asked for."""
    waiting = set(tasks)
    for _ in range(TRIES):
        for task in waiting:
            task.cancel()
        if waiting:
            _, waiting = await asyncio.wait(waiting, timeout=AGAIN)
    for task in waiting:
        log.error("does not end: %r", task)


def _name(close: Callable[[], Awaitable[Any]]) -> str:
    return getattr(close, "__qualname__", type(close).__qualname__)
