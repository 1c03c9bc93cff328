"""A cache of keys with a time to live, one load at a time for each, refreshed ahead of its end.

An entry past half its life is loaded again in the background: so an outage finds every key in use
with at least half of its time left, and after the whole time nothing is served (fail closed).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from signaling.clock import Clock
from signaling.errors import Unavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# Between two attempts to refresh an entry that still serves.
REFRESH_PAUSE = 5.0
# After a failure nobody else is made to wait for the same time-out, nor is the KMS pressed harder.
AWAY_PAUSE = 1.0


@dataclass
class _Entry(Generic[V]):
    value: V
    loaded: float
    tried: float


class Cache(Generic[K, V]):
    """Owned by the envelope. Entries stand in the order of their loading."""

    def __init__(
        self, load: Callable[[K], Awaitable[V]], clock: Clock, seconds: float, entries: int
    ) -> None:
        self._load = load
        self._clock = clock
        self._seconds = seconds
        self._bound = entries
        self._entries: dict[K, _Entry[V]] = {}
        self._loading: dict[K, asyncio.Task[V]] = {}
        self._away: tuple[float, Unavailable] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: K) -> V:
        """Raises what loading raises, once no entry serves any more."""
        entry = self._entries.get(key)
        now = self._clock.monotonic()
        if entry is None or now - entry.loaded >= self._seconds:
            if self._away is not None and now < self._away[0]:
                raise self._away[1]
            return await self._shared(key)
        stale = now - entry.loaded >= self._seconds / 2 and now - entry.tried >= REFRESH_PAUSE
        if stale and key not in self._loading:
            entry.tried = now
            self._start(key).add_done_callback(lambda task: self._refreshed(key, task))
        return entry.value

    def peek(self, key: K) -> V | None:
        """What was loaded last, even when it serves no more."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def forget(self, key: K) -> None:
        """The next call loads; a load under way serves those who wait for it and nobody later."""
        self._entries.pop(key, None)
        self._loading.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()
        self._loading.clear()

    def sweep(self) -> None:
        """Drops what has outlived its time, so that no key lies in memory for longer."""
        oldest = self._clock.monotonic() - self._seconds
        for key in [key for key, entry in self._entries.items() if entry.loaded <= oldest]:
            del self._entries[key]

    async def _shared(self, key: K) -> V:
        task = self._loading.get(key) or self._start(key)
        try:
            # One caller that gives up must not fail the others.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_observed)
            raise

    def _start(self, key: K) -> asyncio.Task[V]:
        task = asyncio.ensure_future(self._fill(key))
        self._loading[key] = task
        return task

    async def _fill(self, key: K) -> V:
        task = asyncio.current_task()
        try:
            value = await self._load(key)
        except Unavailable as error:
            self._away = (self._clock.monotonic() + AWAY_PAUSE, error)
            raise
        else:
            self._away = None
            if self._loading.get(key) is task:
                self._keep(key, value)
            return value
        finally:
            if self._loading.get(key) is task:
                del self._loading[key]

    def _keep(self, key: K, value: V) -> None:
        now = self._clock.monotonic()
        self._entries.pop(key, None)
        self._entries[key] = _Entry(value, now, now)
        while len(self._entries) > self._bound:
            del self._entries[next(iter(self._entries))]

    def _refreshed(self, key: K, task: asyncio.Task[V]) -> None:
        """An outage leaves the entry for its time; a key that was disabled leaves at once."""
        error = _observed(task)
        if error is not None and not isinstance(error, Unavailable):
            self._entries.pop(key, None)


def _observed(task: asyncio.Task[V]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
