"""Readiness: do store, keys and audit work now, and what is weaker than it should be."""

from __future__ import annotations

import asyncio

from signaling.bus import open as bus
from signaling.bus.port import Reach
from signaling.compose.core import Core
from signaling.errors import Unavailable
from signaling.storage import open as storage

# A load balancer's own patience is a few seconds.
PROBE_SECONDS = 3.0


class CoreStanding:
    """The `Standing` of the operator's listener."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def reasons(self) -> list[str]:
        found = []
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._core.store.ready()
        except (Unavailable, TimeoutError):
            found.append("store: does not answer")
        if not self._core.audit.healthy:
            found.append("audit: cannot be written")
        return found

    def notes(self) -> list[str]:
        config = self._core.config
        weak = [*storage.insecurities(config), *bus.insecurities(config.bus)]
        lost = self._core.bus.state().reach is Reach.LOST
        return [*(f"insecure: {name}" for name in weak), *(["bus: away"] if lost else [])]
