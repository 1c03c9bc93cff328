"""Done now and then: expired documents leave the disk, unused keys leave the memory."""

from __future__ import annotations

import asyncio
import logging

from signaling.compose.core import Core
from signaling.errors import Unavailable

log = logging.getLogger(__name__)

# Expiry is exact without it; this bounds how long the bytes stay.
SWEEP_SECONDS = 60.0


async def upkeep(core: Core) -> None:
    """Runs until it is cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        core.sealer.sweep()
        try:
            await core.store.sweep()
        except Unavailable as error:
            log.warning("the store was not swept: %s", error.message)
