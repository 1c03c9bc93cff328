"""Who is in a room that holds health data, as long as it does (row A7): their sessions rest less.

From memory: what this process appends is heard at once, what others did within `EVERY` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from signaling.chat.ops import Create, Entry, Member, Set
from signaling.chat.rooms import PHI, Rooms
from signaling.errors import ClientError, Unavailable

log = logging.getLogger(__name__)

EVERY = 10.0
PAGE = 100


class Health:
    """One for each process. `seconds` is what a session may rest at most."""

    def __init__(self, rooms: Rooms, seconds: float) -> None:
        self._rooms, self._seconds = rooms, seconds
        self._known: dict[str, set[str]] = {}

    def rests(self, app: str, account: str) -> float | None:
        return self._seconds if account in self._known.get(app, ()) else None

    async def committed(self, app: str, room: str, entries: Sequence[Entry]) -> None:
        """A hook of the log."""
        if any(isinstance(entry.op, Create | Member | Set) for entry in entries):
            found = self._rooms.held(app, room)
            if found is not None and found.state.settings.phi:
                self._known.setdefault(app, set()).update(found.state.accounts())

    async def load(self, app: str) -> None:
        found: set[str] = set()
        after = ""
        while page := await self._rooms.rows.readable(app, term=PHI, after=after, limit=PAGE):
            for row in page:
                found.update(row.value.state.accounts())
            after = page[-1].key
        self._known[app] = found

    async def run(self, app: str) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.load(app)
            except (Unavailable, ClientError) as error:
                log.warning("rooms with health data were not looked at: %s", type(error).__name__)
            await asyncio.sleep(EVERY)
