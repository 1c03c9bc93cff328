"""A bus that drops, repeats and reorders what is published: what must not matter."""

from __future__ import annotations

import random
from typing import Any

from signaling.bus.local import LocalBus
from signaling.bus.port import Bus
from signaling.clock import Clock


class Loss:
    """What becomes of messages. Seeded. `share` of them never arrive."""

    def __init__(self, seed: int, share: float) -> None:
        self._source = random.Random(seed)
        self._share = share
        self.held: list[tuple[str, bytes]] = []
        self.dropped = self.repeated = 0

    def of(self, topic: str, payload: bytes) -> list[tuple[str, bytes]]:
        """What arrives now, after this was published."""
        chance = self._source.random()
        if chance < self._share:
            self.dropped += 1
            return []
        self.held.append((topic, payload))
        if chance < self._share + 0.2:
            self.held.append((topic, payload))
            self.repeated += 1
        found = []
        while self.held and self._source.random() < 0.6:
            found.append(self.held.pop(self._source.randrange(len(self.held))))
        return found


class LossyBus(LocalBus):
    """Within one process, or several that a test has in one."""

    def __init__(self, seed: int, loss: float, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._loss = Loss(seed, loss)

    async def publish(self, topic: str, payload: bytes) -> None:
        for message in self._loss.of(topic, payload):
            await super().publish(*message)

    def forget(self) -> None:
        """What it still held is gone."""
        self._loss.held.clear()


class LossyShared:
    """Any bus, as one process has it; what that publishes goes astray."""

    def __init__(self, bus: Bus, seed: int, loss: float) -> None:
        self._bus = bus
        self.loss = Loss(seed, loss)

    async def publish(self, topic: str, payload: bytes) -> None:
        for message in self.loss.of(topic, payload):
            await self._bus.publish(*message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)
