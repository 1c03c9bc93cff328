"""The bus inside one process: dicts and `call_soon`. The default, and what `redis` falls back to.

Bounded: expired entries are dropped as new ones come, so that keys made by strangers cannot fill
the memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from signaling.bus.gcra import gcra
from signaling.bus.port import BusState, Callback, Limit, Reach
from signaling.clock import Clock, SystemClock

log = logging.getLogger(__name__)

# Entries kept of limits and of the cache, each; the oldest go first. 100,000 are about 20 MB.
MAX_ENTRIES = 100_000


class Topics:
    """Who listens to what, in this process."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}

    def add(self, topic: str, callback: Callback) -> bool:
        """Whether it is the first of its topic."""
        callbacks = self._callbacks.setdefault(topic, [])
        callbacks.append(callback)
        return len(callbacks) == 1

    def remove(self, topic: str, callback: Callback) -> bool:
        """Whether it was the last of its topic."""
        callbacks = self._callbacks.get(topic, [])
        if callback in callbacks:
            callbacks.remove(callback)
        if callbacks or topic not in self._callbacks:
            return False
        del self._callbacks[topic]
        return True

    def names(self) -> list[str]:
        return list(self._callbacks)

    def deliver(self, topic: str, payload: bytes) -> None:
        """On the loop, after the publisher's own step; one that fails harms no other."""
        loop = asyncio.get_running_loop()
        for callback in self._callbacks.get(topic, ()):
            loop.call_soon(self._call, topic, callback, payload)

    def _call(self, topic: str, callback: Callback, payload: bytes) -> None:
        if callback not in self._callbacks.get(topic, ()):
            return
        try:
            callback(payload)
        except Exception:
            log.exception("a subscriber failed", extra={"topic": topic.partition(":")[0]})


V = TypeVar("V")


class Expiring(Generic[V]):
    """A dict whose entries end; at most `MAX_ENTRIES`, the oldest written go first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[float, V]] = {}

    def get(self, key: str) -> V | None:
        found = self._entries.get(key)
        if found is None:
            return None
        if found[0] <= self._clock.monotonic():
            del self._entries[key]
            return None
        return found[1]

    def set(self, key: str, value: V, seconds: float) -> None:
        self._entries.pop(key, None)
        if seconds <= 0:
            return
        self._entries[key] = (self._clock.monotonic() + seconds, value)
        self._trim()

    def _trim(self) -> None:
        """Two looks at the oldest for every write: expired ones leave faster than they come."""
        for _ in range(2):
            oldest = next(iter(self._entries))
            if len(self._entries) <= MAX_ENTRIES and not self._ended(oldest):
                return
            if len(self._entries) == 1:
                return
            del self._entries[oldest]

    def _ended(self, key: str) -> bool:
        return self._entries[key][0] <= self._clock.monotonic()

    def pop(self, key: str) -> None:
        self._entries.pop(key, None)

    def live(self) -> list[str]:
        now = self._clock.monotonic()
        return [key for key, (end, _) in self._entries.items() if end > now]

    def left(self, key: str) -> float:
        """Seconds."""
        found = self._entries.get(key)
        return max(0.0, found[0] - self._clock.monotonic()) if found else 0.0

    def __len__(self) -> int:
        return len(self._entries)


class Presence:
    """Who is present where, as this process has set it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[str, Expiring[bool]] = {}

    def set(self, key: str, member: str, seconds: float) -> None:
        members = self._keys.setdefault(key, Expiring(self._clock))
        members.set(member, True, seconds)
        if not members.live():
            del self._keys[key]

    def list(self, key: str) -> list[str]:
        members = self._keys.get(key)
        return sorted(members.live()) if members else []

    def everybody(self) -> Sequence[tuple[str, str, float]]:
        """Key, member and seconds left, of all that this process has set."""
        return [
            (key, member, members.left(member))
            for key, members in self._keys.items()
            for member in members.live()
        ]


class Limits:
    """GCRA counted in this process. A full entry is forgotten: it is as good as a new one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._arrivals: dict[str, float] = {}

    def take(self, key: str, rate: float, burst: int, cost: int) -> Limit:
        now = self._clock.monotonic()
        known = self._arrivals.pop(key, None)
        arrival, answer = gcra(known or 0.0, now, rate, burst, cost)
        self._arrivals[key] = arrival
        if known is None:
            self._trim(now)
        return answer

    def _trim(self, now: float) -> None:
        """As `Expiring` does, with one look at the clock, and only when one more came."""
        for _ in range(2):
            oldest = next(iter(self._arrivals))
            ended = self._arrivals[oldest] <= now
            if (not ended and len(self._arrivals) <= MAX_ENTRIES) or len(self._arrivals) == 1:
                return
            del self._arrivals[oldest]


class LocalSubscription:
    """Ends when closed."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close: Callable[[], None] | None = close

    async def established(self) -> None:
        return None

    def close(self) -> None:
        if self._close is not None:
            self._close()
            self._close = None


class LocalBus:
    """A `Bus` that reaches this process only, and never fails."""

    def __init__(self, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._topics = Topics()
        self._presence = Presence(clock)
        self._limits = Limits(clock)
        self._cache: Expiring[bytes] = Expiring(clock)
        self._state = BusState(Reach.LOCAL, clock.monotonic())

    async def publish(self, topic: str, payload: bytes) -> None:
        self._topics.deliver(topic, payload)

    def subscribe(self, topic: str, callback: Callback) -> LocalSubscription:
        self._topics.add(topic, callback)
        return LocalSubscription(lambda: _drop(self._topics, topic, callback))

    async def presence_set(self, key: str, member: str, seconds: float) -> None:
        self._presence.set(key, member, seconds)

    async def presence_list(self, key: str) -> list[str]:
        return self._presence.list(key)

    async def limit(
        self, key: str, rate: float, burst: int, *, cost: int = 1, strict: bool = False
    ) -> Limit:
        return self._limits.take(key, rate, burst, cost)

    async def cache_get(self, key: str) -> bytes | None:
        return self._cache.get(key)

    async def cache_set(self, key: str, value: bytes, seconds: float) -> None:
        self._cache.set(key, value, seconds)

    async def cache_delete(self, key: str) -> None:
        self._cache.pop(key)

    def state(self) -> BusState:
        return self._state

    def on_state(self, callback: Callable[[BusState], None]) -> None:
        """It never changes."""

    async def close(self) -> None:
        return None


def _drop(topics: Topics, topic: str, callback: Callback) -> None:
    topics.remove(topic, callback)
