"""What of a log is over by its own time: nobody is given it, though its bytes may still be there.

A message with an end (`ttl`) is erased soon after it (`later`), or once nobody holds it any more
(`compliance.holds`). From its end on its places are empty to whoever reads the log, as they are
when it is erased: the post, its edits, reactions and votes. What deleted or pinned it says nothing
of it, and stays. Driven by `service`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from signaling.chat.ops import Edit, Entry, Post, React, Vote
from signaling.chat.room import Room
from signaling.chat.rooms import Rooms
from signaling.chat.sealing import emptied


def is_over(end: datetime | None, now: float) -> bool:
    return end is not None and end.timestamp() <= now


async def living(rooms: Rooms, room: Room, entries: Sequence[Entry], now: float) -> list[Entry]:
    """All of them, those empty that are over. Most are about a message beside them, or a recent
    one: nothing is looked up for these.
    """
    ends = {e.op.id: e.expires_at for e in reversed(entries) if isinstance(e.op, Post)}
    found = []
    for entry in entries:
        op, end = entry.op, entry.expires_at
        if isinstance(op, Edit | React | Vote):
            if op.id not in ends:
                ends[op.id] = await rooms.end_of(room, op.id)
            end = ends[op.id]
        found.append(emptied(entry) if is_over(end, now) else entry)
    return found
