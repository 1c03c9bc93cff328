"""What happens to calls at a time: rings that nobody answered, calls that nobody is in.

Every open call has a time at which something is due; this looks at it then. Now and then it reads
all open calls of the store: those of a process that is gone are ended or go on here, and messages
that a crash kept from the timeline are written. Run by the composition root.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from signaling.calls.following import Following
from signaling.calls.machine import due
from signaling.calls.records import NoCall
from signaling.calls.verbs import Tick
from signaling.errors import ClientError, Unavailable
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

STEP = 0.25
# Between two looks at the whole: a fraction of the lease of who has a call's media.
LOOK_SECONDS = 5.0
# A message that waits longer was left behind by a process that is gone.
LEFT_BEHIND = 5.0


class Keeper:
    """One for each process. `look` makes the media server say who is in."""

    def __init__(self, following: Following, look: Callable[[], None]) -> None:
        self._following, self._look = following, look

    async def tick(self, app: str) -> None:
        """What is due by now."""
        now = self._following.clock.unix()
        for place, when in list(self._following.due.items()):
            if place[0] != app or when > now:
                continue
            try:
                call = await self._following.do(app, place[1], Tick())
            except (NoCall, ClientError):
                self._following.due.pop(place, None)
                continue
            after = due(call, self._following.rules)
            if after is None:
                self._following.due.pop(place, None)
            elif self._following.due.get(place) == when:
                self._following.due[place] = after

    async def catch_up(self, app: str) -> None:
        """All open calls of the store, whoever began them."""
        self._look()
        now = self._following.clock.unix()
        for row in await self._following.records.open(app):
            call = row.value
            when = due(call, self._following.rules)
            if when is not None:
                self._following.due[(app, call.id)] = when
            says = min((say.at for say in call.says), default=call.ended)
            if (call.says or call.end is not None) and says + LEFT_BEHIND < now:
                await self._following.write(app, call.id)

    async def run(self, app: str) -> None:
        """Until it is cancelled."""
        looked = float("-inf")
        while True:
            try:
                if self._following.clock.monotonic() >= looked + LOOK_SECONDS:
                    looked = self._following.clock.monotonic()
                    await self.catch_up(app)
                await self.tick(app)
            except (Unavailable, Conflict) as error:
                log.info("calls wait: %s", type(error).__name__)
            except Exception:
                log.exception("calls could not be looked after")
            await asyncio.sleep(STEP)
