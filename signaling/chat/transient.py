"""What a transient room is, in its row: the only thing of one that processes share.

Its log is in memory and each process has its own, so nothing there tells of what others changed.
Driven by `rooms` and `service`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from signaling.chat.ops import Entry
from signaling.chat.room import STATE_OPS, Room, RoomRow
from signaling.chat.state import RoomState
from signaling.clock import Clock
from signaling.errors import Unavailable
from signaling.storage.port import Conflict
from signaling.storage.table import Table

# How old what a process knows of such a room may be, when the bus lost what it was told.
LOOK_SECONDS = 1.0
ATTEMPTS = 16


class TransientRows:
    """One for each process. `moved` is told when a row was changed by another."""

    def __init__(self, rows: Table[RoomRow], clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self.moved: Callable[[Room], None] = _nobody

    async def refresh(self, room: Room, *, now: bool = False) -> None:
        """As the row says it; looks at most once in a while unless `now`."""
        if not now and self._clock.monotonic() < room.looked + LOOK_SECONDS:
            return
        room.looked = self._clock.monotonic()
        row = await self._rows.get(room.app, room.id)
        if row is None:
            room.gone = True
            return
        changed = row.version != room.version
        if now or changed:
            room.renew(_here(room, row.value.state))
            room.version = row.version
        if changed:
            self.moved(room)

    async def settle(self, room: Room, entries: Iterable[Entry]) -> None:
        """What this process did to the room itself, onto whatever others did."""
        ops = [entry for entry in entries if isinstance(entry.op, STATE_OPS)]
        for _ in range(ATTEMPTS):
            row = await self._rows.get(room.app, room.id)
            if row is None:
                return  # removed meanwhile
            state = _here(room, row.value.state)
            for entry in ops:
                state.apply(entry)
            try:
                written = await self._rows.replace(room.app, row, RoomRow(state.compacted()))
            except Conflict:
                continue
            room.renew(state)
            room.version = written.version
            return
        raise Unavailable("the room changes too fast", 1)


def _here(room: Room, state: RoomState) -> RoomState:
    """With the places of this process's own log."""
    known = room.state
    clock = max(known.clock, state.clock)
    return msgspec.structs.replace(state.anew(), seq=known.seq, clock=clock)


def _nobody(room: Room) -> None:
    """Until somebody listens."""
