"""The bus's contract: publish and subscribe, presence, limits, a short cache. Pure types.

A hint only: a message may be lost, repeated or overtaken, and nothing may be wrong because of it.
Keys and topics name their app themselves (`f"{app}:..."`). None of these calls waits for a bus that
is away: they fall back to this process alone, apart from a strict limit.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

Callback = Callable[[bytes], None]


class Reach(StrEnum):
    """How far a hint goes now."""

    LOCAL = "local"  # one process, by configuration
    SHARED = "shared"  # every process on the bus
    LOST = "lost"  # the bus is away: this process only, and a poll of the store


class Limit(msgspec.Struct, frozen=True):
    """The answer of a rate limit; times in seconds from now."""

    allowed: bool
    remaining: int
    retry_after: float = 0.0
    reset_after: float = 0.0


class BusState(msgspec.Struct, frozen=True):
    """`losses` counts how often the bus went away; `since` is monotonic."""

    reach: Reach
    since: float = 0.0
    losses: int = 0


class Subscription(Protocol):
    """Ends with `close`, which may be called twice."""

    async def established(self) -> None:
        """Returns once other processes' messages arrive; at once where the bus is away."""

    def close(self) -> None: ...


class Bus(Protocol):
    """An open bus. Owned by the composition root."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Never raises because of the bus and never waits for it."""

    def subscribe(self, topic: str, callback: Callback) -> Subscription:
        """`callback` runs on the event loop, also for what this process publishes itself."""

    async def presence_set(self, key: str, member: str, seconds: float) -> None:
        """Present for so long, unless set again; 0 removes."""

    async def presence_list(self, key: str) -> list[str]:
        """Sorted. Without the bus: those that this process has set."""

    async def limit(
        self, key: str, rate: float, burst: int, *, cost: int = 1, strict: bool = False
    ) -> Limit:
        """GCRA: `rate` a second, `burst` at once. `strict` raises `Unavailable` when the bus is
        away (sign-in fails closed); otherwise each process then counts alone."""

    async def cache_get(self, key: str) -> bytes | None: ...
    async def cache_set(self, key: str, value: bytes, seconds: float) -> None: ...
    async def cache_delete(self, key: str) -> None: ...

    def state(self) -> BusState: ...
    def on_state(self, callback: Callable[[BusState], None]) -> None: ...
    async def close(self) -> None: ...
