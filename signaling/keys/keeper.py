"""What happens to keys by itself: old ones leave memory, data keys follow a new master, agreed
destructions take place. One task for each process, owned by the composition root.
"""

from __future__ import annotations

import asyncio
import logging

from signaling.errors import ClientError, Unavailable
from signaling.keys.custodian import Custodian
from signaling.keys.envelope import Envelope
from signaling.keys.rewrap import Rewrap

log = logging.getLogger(__name__)


class Keeper:
    """`seconds` between two rounds."""

    def __init__(
        self, envelope: Envelope, custodian: Custodian, rewrap: Rewrap, seconds: float = 30.0
    ) -> None:
        self._envelope = envelope
        self._custodian = custodian
        self._rewrap = rewrap
        self._seconds = seconds

    async def run(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(self._seconds)

    async def round(self) -> None:
        self._envelope.sweep()
        try:
            await self._custodian.sweep()
            moved = await self._rewrap.run()
        except (Unavailable, ClientError) as failed:
            log.warning("keys: %s", failed)
        else:
            if moved.done:
                log.info("keys: %d data keys follow the new master key", moved.done)
