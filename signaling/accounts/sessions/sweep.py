"""Seeing off guests whose session ran out: their account leaves with it (row C5)."""

from __future__ import annotations

import asyncio
import logging

from signaling.accounts.sessions.service import SessionService
from signaling.errors import Unavailable

log = logging.getLogger(__name__)

EVERY = 60.0


async def see_off_guests(service: SessionService, app: str) -> None:
    """Runs until it is cancelled."""
    while True:
        try:
            await service.sweep_guests(app)
        except Unavailable as error:
            log.warning("guests were not looked after: %s", error.message)
        await asyncio.sleep(EVERY)
