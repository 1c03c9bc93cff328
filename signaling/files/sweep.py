"""What nobody finishes or holds leaves the disk: uploads, files without a message, old quarantine.
What somebody began to post and did not end is settled by the room's log.

Every process may do so at the same time: removing twice is once. Driven by the composition root.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from signaling.errors import ClientError, Unavailable
from signaling.files.model import Stored
from signaling.files.port import State
from signaling.files.service import Files
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
# What was refused is told for so long.
REFUSED_SECONDS = 86400.0
# Beyond this nobody who attached a file is still about to append, however slow the store.
POSTING_SECONDS = 3600.0
RECOUNT_ROUNDS = 60
DAY = 86400.0


class Sweep:
    """One for each process."""

    def __init__(self, files: Files, app: str) -> None:
        self._files, self._app = files, app

    async def run(self) -> None:
        rounds = 0
        while True:
            try:
                await self.round()
                if rounds % RECOUNT_ROUNDS == 0:
                    await self.recount()
            except (Unavailable, ClientError, Conflict) as error:
                log.warning("files: not everything could be swept: %s", error)
            rounds += 1
            await asyncio.sleep(SWEEP_SECONDS)

    async def round(self) -> int:
        """How many files were removed."""
        settings, now = self._files.parts.settings, self._files.parts.clock.unix()

        def older(seconds: float) -> Callable[[Stored], bool]:
            return lambda stored: stored.touched + seconds < now

        removed = await self._remove(State.UPLOADING, older(settings.unfinished_seconds))
        removed += await self._remove(State.REFUSED, older(REFUSED_SECONDS))
        removed += await self._remove(State.QUARANTINED, older(settings.quarantine_days * DAY))
        removed += await self._begun(now - POSTING_SECONDS)
        removed += await self._unposted(older(settings.unposted_seconds))
        return removed + await self._remove(State.UPLOADED, older(settings.unfinished_seconds))

    async def _remove(self, state: State, is_over: Callable[[Stored], bool]) -> int:
        register, removed = self._files.parts.register, 0
        async for row in register.all_files(self._app, f"state:{state}"):
            if is_over(row.value):
                await self._files.delete(self._app, row.key)
                removed += 1
        return removed

    async def _begun(self, oldest: float) -> int:
        removed = 0
        async for row in self._files.parts.register.all_begun(self._app):
            if row.value.begun >= oldest:
                continue
            try:
                removed += await self._files.look_after(self._app, row)
            except ClientError as error:
                # Of a room whose key is disabled nobody can tell now.
                log.info("files: a message is not known now: %s", error.code)
        return removed

    async def _unposted(self, is_over: Callable[[Stored], bool]) -> int:
        """A message that is about to hold one keeps it."""
        register, removed = self._files.parts.register, 0
        async for row in register.all_files(self._app, "unposted"):
            if is_over(row.value) and not await register.held(self._app, row.key):
                await self._files.delete(self._app, row.key)
                removed += 1
        return removed

    async def recount(self) -> int:
        parts = self._files.parts
        return await parts.quotas.recount(self._app, parts.register.files)
