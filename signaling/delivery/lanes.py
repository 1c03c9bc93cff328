"""A lane of items as one process knows it, the limits of its kind, and the pace of all.

No step is taken here: `worker` takes them, and `outcomes` those that follow a send.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from signaling.delivery.gathering import Gathering
from signaling.delivery.port import Item
from signaling.delivery.shelf import Lane, Shelf
from signaling.storage.table import Row

# Of one lane in memory: beyond it the oldest item is dropped and counted.
MOST_EPHEMERAL = 1000


class Limits(msgspec.Struct, frozen=True):
    """Of one kind. Fewer than `size` wait up to `window` seconds for more. What fails for
    `give_up_s` becomes a dead letter and is kept for `bury_s`. One send lasts at most `send_s`,
    which must be at most half of a lease.
    """

    batch: int = 1
    size: Callable[[str, str], int] | None = None
    window: Callable[[str, str], float] | None = None
    give_up_s: float = 3 * 86400.0
    bury_s: float = 30 * 86400.0
    send_s: float = 15.0
    retry_s: float = 1.0
    retry_most_s: float = 900.0


class Pace(msgspec.Struct, frozen=True):
    """Of the whole outbox, in seconds: a lease, a look at all lanes; and lanes at once."""

    lease_s: float = 30.0
    look_s: float = 10.0
    parallel: int = 16


@dataclass(slots=True)
class Unsure:
    """Sent to who may still lose it."""

    settles: float
    numbers: list[int]
    epoch: int


@dataclass(slots=True, eq=False)
class State:
    """A lane as this process knows it; `at` is when to look at it next, monotonic. `left`: the
    last batch was too much at once, and what is left of it waits for nothing.
    """

    shelf: Shelf
    app: str
    name: str
    at: float = 0.0
    row: Row[Lane] | None = None
    held: float = 0.0
    position: int = 0
    done: int = 0
    single: int = 0
    left: bool = False
    again: bool = False
    found: deque[tuple[int, Item]] = field(default_factory=deque)
    unsure: deque[Unsure] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    putting: asyncio.Lock = field(default_factory=asyncio.Lock)
    gathering: Gathering = field(default_factory=Gathering)

    def start_again(self) -> None:
        """From the first item that is still there."""
        self.position = 0
        self.found.clear()
        self.unsure.clear()


def backoff(limits: Limits, failures: int, noise: float) -> float:
    """Doubles from `retry_s` to `retry_most_s`; half of it is left to chance (`noise`, 0 to 1)."""
    whole = min(limits.retry_most_s, limits.retry_s * 2.0 ** min(failures, 30))
    return whole * (0.5 + noise / 2)


def fresh(lane: Lane) -> Lane:
    return replace(lane, failures=0, failing=0.0, due=0.0)
