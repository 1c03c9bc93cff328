"""A bus that drops, repeats and reorders what is published: what must not matter."""

from __future__ import annotations

import random

from signaling.bus.local import LocalBus
from signaling.clock import Clock


class LossyBus(LocalBus):
    """Seeded. `loss` is the share of messages that never arrive."""

    def __init__(self, seed: int, loss: float, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._source = random.Random(seed)
        self._loss = loss
        self._held: list[tuple[str, bytes]] = []

    async def publish(self, topic: str, payload: bytes) -> None:
        chance = self._source.random()
        if chance < self._loss:
            return
        self._held.append((topic, payload))
        if chance < self._loss + 0.2:
            self._held.append((topic, payload))
        while self._held and self._source.random() < 0.6:
            place = self._source.randrange(len(self._held))
            await super().publish(*self._held.pop(place))
