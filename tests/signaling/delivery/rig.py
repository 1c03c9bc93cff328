"""Outboxes on one ground, senders that the test leads, and a store that dies between two steps."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from signaling.clock import Clock
from signaling.delivery.lanes import Limits, Pace
from signaling.delivery.outbox import DurableOutbox
from signaling.delivery.port import Delivered, Item, Outcome
from signaling.keys.port import Sealer
from signaling.storage.port import Store
from tests.signaling.access.rig import APP, Ground

_TURNS = itertools.count(1)


@dataclass
class Recorder:
    """Keeps what it was sent; `answers` come first, then `always`."""

    answers: list[Outcome] = field(default_factory=list)
    always: Outcome = field(default_factory=Delivered)
    batches: list[tuple[str, list[str]]] = field(default_factory=list)
    before: Callable[[Sequence[Item]], Awaitable[None]] | None = None
    lost: int = 0

    async def send(self, app: str, target: str, items: Sequence[Item]) -> Outcome:
        if self.before is not None:
            await self.before(items)
        self.batches.append((target, [item.id for item in items]))
        return self.answers.pop(0) if self.answers else self.always

    def epoch(self, app: str, target: str) -> int:
        return self.lost

    @property
    def ids(self) -> list[str]:
        return [ident for _, batch in self.batches for ident in batch]


def outbox(
    ground: Ground, sender: Any, limits: Limits | None = None, pace: Pace | None = None
) -> DurableOutbox:
    """One process."""
    return outbox_on(ground.store, ground.sealer, ground.clock, sender, limits, pace)


def outbox_on(
    store: Any, sealer: Sealer, clock: Clock, sender: Any, limits: Limits | None = None,
    pace: Pace | None = None,
) -> DurableOutbox:  # fmt: skip
    holder = f"process-{next(_TURNS)}"
    made = DurableOutbox(store, sealer, clock, lambda: 1.0, holder, [APP], pace)
    made.register("route", sender, limits)
    return made


def item(ident: str, lane: str = "route:r:a", **more: Any) -> Item:
    given: dict[str, Any] = {
        "app": APP, "lane": lane, "kind": "route", "target": "r", "body": ident.encode(),
        "id": ident, **more,
    }  # fmt: skip
    return Item(**given)


def items(*idents: str, lane: str = "route:r:a", **more: Any) -> list[Item]:
    return [item(ident, lane, **more) for ident in idents]


def first_of_each(idents: Sequence[str]) -> list[str]:
    """As a receiver makes it by id."""
    return list(dict.fromkeys(idents))


class Killed(BaseException):
    """The process died here. Nothing catches it."""


class Mortal:
    """A store whose calls may be the last of the process: before they are done, or after.

    `chance` of each call; the seed decides. Implements `Store` for what an outbox uses.
    """

    def __init__(self, store: Store, seed: int, chance: float) -> None:
        self._inner, self._random, self.chance = store, random.Random(seed), chance
        self.deaths: dict[str, int] = defaultdict(int)
        self.dead = False
        self.meta: Any = self
        self.log: Any = store.log
        self.blobs: Any = store.blobs

    def fate(self, where: str) -> None:
        """Raises Killed; after that everything of the process does."""
        if self.dead or self._random.random() < self.chance:
            if not self.dead:
                self.deaths[where] += 1
            self.dead = True
            raise Killed(where)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner.meta, name)

        async def mortal(*args: Any, **more: Any) -> Any:
            self.fate(f"before {name}")
            done = await call(*args, **more)
            self.fate(f"after {name}")
            return done

        return mortal


def numbered(first: int, last: int, lane: str = "route:r:a", **more: object) -> list[Item]:
    return items(*(f"{lane[-1]}{n:04d}" for n in range(first, last)), lane=lane, **more)


def ids(listed: Sequence[Item]) -> list[str]:
    return [one.id for one in listed]


async def rows_of(store: Store, kind: str) -> int:
    return len(await store.meta.scan(APP, kind, limit=10_000))
