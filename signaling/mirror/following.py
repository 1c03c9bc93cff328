"""From rooms' logs into the mirror: what entries are about is written as it stands now.

A stretch of the log is read, the messages that it changed are folded anew and written, then how far
it was read. Whatever dies in between does the stretch again, with the same outcome or a newer one.
Of a room that may not be mirrored, or is no more, nothing is left. Driven by `worker`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from signaling.chat.ops import CallOp, Delete, Entry, Erase, Pin, Post
from signaling.chat.reduce import Messages, MessageView, subject_of
from signaling.chat.room import STATE_OPS, Room
from signaling.chat.service import Chat
from signaling.chat.state import RoomState
from signaling.mirror.documents import message_document, refusal, room_document
from signaling.mirror.port import Document, MirrorStore, Place, Reason

log = logging.getLogger(__name__)

STRETCH = 200
MOST_ERASED = 50_000
"""Places of a room that are remembered as erased; the log has emptied older ones long ago."""
_OF_THE_ROOM = STATE_OPS | Pin
_NOTHING: frozenset[int] = frozenset()

Guarded = Callable[[RoomState], bool]
Still = Callable[[], Awaitable[None]]
"""Raises Unavailable when somebody else writes the mirror now."""
Told = Callable[[str, Reason], None]


class Touched(Struct, frozen=True):
    """What a stretch is about: entries by message; messages that were erased, and places."""

    about: dict[str, list[Entry]]
    gone: list[str]
    seqs: list[int]
    room: bool


class Follower:
    """One writer's memory of the mirror; `begin` when it becomes the writer."""

    def __init__(
        self,
        chat: Chat,
        store: MirrorStore,
        guarded: Guarded,
        still: Still,
        told: Told,
        *,
        bodies: bool,
        phi: bool,
    ) -> None:
        """`told` of rooms that are refused, once each."""
        self._chat, self._store, self._guarded = chat, store, guarded
        self._still, self._told = still, told
        self._bodies, self._phi = bodies, phi
        self._places: dict[str, Place] = {}
        self._refused: dict[str, Reason] = {}
        # The log is told of an erasure before it is emptied: what it still gives then is gone.
        self._erased: dict[str, set[int]] = {}

    async def begin(self, rooms: Sequence[str]) -> None:
        """Others wrote meanwhile; and what is named no longer leaves the mirror."""
        self._places.clear()
        self._erased.clear()
        await self._store.prepare()
        for ident in await self._store.rooms():
            if ident not in rooms:
                await self._leave(ident)

    async def follow(self, app: str, ident: str) -> bool:
        """One stretch; whether there is more."""
        room = await self._chat.rooms.find_there(app, ident)
        if room is None:
            await self._refuse(ident, Reason.ROOM_NOT_FOUND)
            return False
        reason = refusal(room.state, phi=self._phi, guarded=self._guarded(room.state))
        if reason is not None:
            await self._refuse(ident, reason)
            return False
        self._refused.pop(ident, None)
        place = await self._begun(room)
        floor = (await self._chat.rooms.head(room)).floor
        if floor > place.floor:
            await self._still()
            await self._store.purge(room.id, floor)
            if place.upto < floor:
                place = replace(place, upto=floor, chain="")
            place = replace(place, floor=floor)
            await self._set(room, place, facts=True)
        if place.upto >= room.state.seq:
            return False
        await self._stretch(room, place)
        return self._places[room.id].upto < room.state.seq

    async def _refuse(self, ident: str, reason: Reason) -> None:
        if self._refused.get(ident) is reason:
            return
        await self._leave(ident)
        self._refused[ident] = reason
        self._told(ident, reason)

    async def _leave(self, ident: str) -> None:
        await self._still()
        self._places.pop(ident, None)
        self._erased.pop(ident, None)
        count = await self._store.forget_room(ident)
        if count:
            log.info("%d messages of a room left the mirror", count)

    async def _begun(self, room: Room) -> Place:
        """Where to go on. What was written of another log, or by another rule, is written anew."""
        known = self._places.get(room.id)
        if known is None:
            known = await self._store.place(room.id) or Place(bodies=self._bodies)
            if not await self._fits(room, known):
                log.warning("a room is mirrored anew")
                await self._leave(room.id)
                known = Place(bodies=self._bodies)
            self._places[room.id] = known
        return known

    async def _fits(self, room: Room, place: Place) -> bool:
        """Whether the place is one of this log, as a restored store's may not be."""
        if place.bodies != self._bodies or not 0 <= place.upto <= room.state.seq:
            return False
        chain = await self._chat.chain(room.app, room.id, place.upto)
        return chain is None or not place.chain or chain.hex() == place.chain

    async def _stretch(self, room: Room, place: Place) -> None:
        stored = await room.log.read(room.app, room.id, after=place.upto, limit=STRETCH)
        if not stored:
            return  # it was cut meanwhile: the next look finds the floor
        entries = await self._chat.sealing.open(room.app, room.id, stored)
        upto, touched = stored[-1].seq, touched_by(entries)
        self._remember(room.id, touched.seqs)
        ids = await self._affected(room, touched)
        documents: list[Document] = []
        vanished: list[str] = []
        for ident in ids:
            found = await self._view(room, ident, touched.about.get(ident, ()))
            if found is None:
                vanished.append(ident)
                continue
            view, seqs = found
            if not view.deleted and self._chat.rooms.withheld(room.app, view.account or ""):
                continue  # kept where it is, and given to nobody (GDPR 18)
            documents.append(message_document(room.id, view, seqs, upto, bodies=self._bodies))
        await self._still()
        await self._store.bury(room.id, touched.gone, upto)
        await self._store.vanish(room.id, vanished, upto)
        await self._store.write(documents)
        place = replace(place, upto=upto, chain=stored[-1].chain.hex())
        await self._set(room, place, facts=touched.room)

    def _remember(self, room: str, seqs: Sequence[int]) -> None:
        if seqs:
            erased = self._erased.setdefault(room, set())
            if len(erased) > MOST_ERASED:
                erased.clear()
            erased.update(seqs)

    async def _set(self, room: Room, place: Place, *, facts: bool) -> None:
        given = room_document(room.state, bodies=self._bodies) if facts else None
        await self._store.set_place(room.id, place, given)
        self._places[room.id] = place

    async def _affected(self, room: Room, touched: Touched) -> list[str]:
        """Beside those that are named: what was made of erased places, and heads of threads."""
        ids: dict[str, None] = dict.fromkeys(touched.about)
        if touched.gone or touched.seqs:
            found = await self._store.reflecting(room.id, touched.seqs, touched.gone)
            ids |= dict.fromkeys(found)
        for ident, entries in touched.about.items():
            if any(isinstance(entry.op, Delete) for entry in entries):
                known = await self._chat.rooms.known(room, ident)
                if known is not None and known.parent is not None:
                    ids[known.parent] = None
        return [ident for ident in ids if ident not in touched.gone]

    async def _view(
        self, room: Room, ident: str, mine: Sequence[Entry]
    ) -> tuple[MessageView, set[int]] | None:
        """A message as it stands, and the places that say so."""
        rooms = self._chat.rooms
        post = next((entry for entry in mine if isinstance(entry.op, Post)), None)
        about = await rooms.about(room, ident, 0 if post is None else post.seq)
        seqs = {*about.seqs, *(entry.seq for entry in mine)}
        if post is None and not any(isinstance(entry.op, CallOp) for entry in mine):
            known = await rooms.known(room, ident)
            if known is not None:
                seqs.add(known.seq)
        erased = self._erased.get(room.id, _NOTHING)
        entries = await rooms.entries(room, seqs - erased)
        view = Messages(entries).message(ident)
        if view is None:
            return None
        return replace(view, thread=about.thread(erased)), seqs - erased


def touched_by(entries: Sequence[Entry]) -> Touched:
    """What entries are about; a reply changes the head of its thread too."""
    about: dict[str, list[Entry]] = {}
    gone: list[str] = []
    seqs: list[int] = []
    for entry in entries:
        op = entry.op
        if isinstance(op, Erase):
            gone += op.ids
            seqs += op.seqs
        subject = subject_of(entry)
        if subject is None:
            continue
        about.setdefault(subject, []).append(entry)
        if isinstance(op, Post) and op.parent is not None:
            about.setdefault(op.parent, [])
    room = any(isinstance(entry.op, _OF_THE_ROOM) for entry in entries)
    return Touched(about, gone, seqs, room)
