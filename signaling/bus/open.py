"""Which bus the configuration asks for. Called by the composition root."""

from __future__ import annotations

from signaling.bus.local import LocalBus
from signaling.bus.port import Bus
from signaling.clock import Clock, SystemClock
from signaling.config.store import Bus as Settings
from signaling.ids import Entropy, SystemEntropy


async def open_bus(
    settings: Settings, clock: Clock | None = None, entropy: Entropy | None = None
) -> Bus:
    """Never waits for Redis: a bus that is away is `Reach.LOST`, and everything works without.

    Raises ConfigError for certificates that cannot be read.
    """
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    if not settings.url:
        return LocalBus(clock)
    from signaling.bus.redis import RedisBus

    bus = RedisBus(settings, clock, entropy)
    bus.start()
    return bus


def insecurities(settings: Settings) -> list[str]:
    """What `/readyz` and the log must show of the bus's configuration."""
    return ["insecure_bus_plaintext"] if settings.url and settings.insecure_plaintext else []
