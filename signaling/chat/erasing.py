"""How messages leave a room for good: told first, so that no reader misses it, then out of the log.

Not who may ask for it, nor when (`compliance.erasure`, `compliance.retention`, `later`). Every
place keeps its seq and its link of the chain; other devices get an `erase` op that names it.
Repeating any of it does no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from signaling.chat.ops import MAX_ERASED, Entry, Erase, Op, Pin
from signaling.chat.room import Room
from signaling.chat.rooms import Rooms


class Speaker(Protocol):
    """As much of the chat service as is needed here."""

    @property
    def rooms(self) -> Rooms: ...

    async def say(self, room: Room, *ops: Op) -> list[Entry]: ...


async def erase(
    chat: Speaker,
    room: Room,
    messages: Sequence[tuple[str, int]],
    others: Collection[int],
    reason: str,
) -> int:
    """`messages` by id and seq, with all that is about them; `others` are seqs of ops that go
    without a message (a reaction, a vote). How many places were emptied.
    """
    pinned = set(room.state.pinned())
    pins = [Pin(id=ident, on=False) for ident, _ in messages if ident in pinned]
    if pins:
        await chat.say(room, *pins)
    seqs = set(others)
    parents: list[tuple[str, int]] = []
    for ident, seq in messages:
        known = await chat.rooms.known(room, ident)
        if known is not None and known.parent is not None:
            parents.append((known.parent, known.seq))
        seqs |= {seq, *(await chat.rooms.about(room, ident, seq)).seqs}
    places, ids = sorted(seqs), [ident for ident, _ in messages]
    for some, named in zip(_parts(places), _padded(ids, len(places)), strict=True):
        await chat.say(room, Erase(seqs=some, ids=named, reason=reason))
    await room.log.erase(room.app, room.id, places)
    room.forget(seqs)
    for parent, seq in parents:
        room.left(parent, seq)
    for ident in ids:
        await chat.rooms.forget_message(room, ident)
    return len(places)


def _parts(places: Sequence[int]) -> list[tuple[int, ...]]:
    """As many as one op names."""
    return [tuple(places[at : at + MAX_ERASED]) for at in range(0, len(places), MAX_ERASED)]


def _padded(ids: Sequence[str], places: int) -> Iterable[tuple[str, ...]]:
    """Beside each part of the places: there are never more messages than places."""
    return (tuple(ids[at : at + MAX_ERASED]) for at in range(0, places, MAX_ERASED))
