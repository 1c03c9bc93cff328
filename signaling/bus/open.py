"""Which bus the configuration asks for. Called by the composition root."""

from __future__ import annotations

from signaling.bus.local import LocalBus
from signaling.bus.port import Bus
from signaling.clock import Clock, SystemClock
from signaling.config.store import Bus as Settings
from signaling.errors import ConfigError
from signaling.ids import Entropy


async def open_bus(
    settings: Settings, clock: Clock | None = None, entropy: Entropy | None = None
) -> Bus:
    """Never waits for Redis: a bus that is away is `Reach.LOST`, and everything works without.

    Raises ConfigError for certificates that cannot be read.
    """
    if not settings.url:
        return LocalBus(clock or SystemClock())
    raise ConfigError("bus.url", "this version runs as one process")


def insecurities(settings: Settings) -> list[str]:
    """What `/readyz` and the log must show of the bus's configuration."""
    return ["insecure_bus_plaintext"] if settings.url and settings.insecure_plaintext else []
