"""Transient rooms over several processes: what one takes, the others give to their devices.

Each process has a log of such a room in its own memory, with an epoch of its own. Whoever takes an
op passes it on over the bus, sealed; the others append it to their log under its ident and version,
so that one which comes twice is one, tell their devices and forget it. Nothing is kept anywhere:
what the bus publishes it does not store, and what it loses is lost. Who may be in the room stands
in its row, which all read again when they are told, and now and then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from signaling.chat.hub import Hub
from signaling.chat.ops import Entry, Part
from signaling.chat.ports import News, RightsChanged
from signaling.chat.room import STATE_OPS, Room
from signaling.chat.rooms import Rooms
from signaling.errors import ClientError, Unavailable
from signaling.keys.port import Sealer, bind
from signaling.storage.port import NewOp

log = logging.getLogger(__name__)

KIND = "chat.passing"
# Entries of one message on the bus, each up to some ten kilobytes.
AT_ONCE = 20
# Messages of one room that wait here; beyond, the oldest are lost as on a bus that lags.
MOST_WAITING = 1000


class Passing:
    """One for each process; the hub tells it what others passed on."""

    def __init__(self, hub: Hub, sealer: Sealer, rooms: Rooms) -> None:
        self._hub, self._sealer, self._rooms = hub, sealer, rooms
        self._decoder = msgspec.msgpack.Decoder(list[Entry])
        self._waiting: dict[tuple[str, str], deque[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        hub.passed, hub.moved = self._heard, self._moved
        rooms.transient.moved = self._tell

    async def on(self, room: Room, entries: Sequence[Entry]) -> None:
        """To the other processes. What was taken here stays taken when it cannot be passed on."""
        try:
            for start in range(0, len(entries), AT_ONCE):
                plain = msgspec.msgpack.encode(entries[start : start + AT_ONCE])
                aad = bind(room.app, KIND, room.id)
                sealed = await self._sealer.seal(room.app, f"room:{room.id}", aad, plain)
                await self._hub.pass_on(room.app, room.id, sealed)
        except (Unavailable, ClientError) as error:
            log.warning("a transient message stays in this process: %s", type(error).__name__)

    def _heard(self, app: str, name: str, sealed: bytes) -> None:
        place = (app, name)
        waiting = self._waiting.get(place)
        if waiting is not None:
            if len(waiting) >= MOST_WAITING:
                waiting.popleft()
            waiting.append(sealed)
            return
        self._waiting[place] = deque([sealed])
        task = asyncio.get_running_loop().create_task(self._drain(place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, place: tuple[str, str]) -> None:
        """In the order in which they came."""
        waiting = self._waiting[place]
        try:
            while waiting:
                await self._take(*place, waiting.popleft())
        finally:
            del self._waiting[place]

    async def _take(self, app: str, name: str, sealed: bytes) -> None:
        try:
            plain = await self._sealer.open(app, bind(app, KIND, name), sealed)
            room = await self._rooms.find(app, name)
            if room is not None and room.transient:
                await self._adopt(room, self._decoder.decode(plain))
        except (Unavailable, ClientError, msgspec.MsgspecError) as error:
            log.warning("a transient message was lost: %s", type(error).__name__)

    async def _adopt(self, room: Room, entries: Sequence[Entry]) -> None:
        """Into this process's own log, which forgets it at once, and to its devices."""
        entries = await self._of_the_admitted(room, entries)
        ops = [
            NewOp(entry.ident, entry.version, b"", isinstance(entry.op, STATE_OPS))
            for entry in entries
        ]
        appended = await room.log.append(room.app, room.id, ops)
        fresh = [
            replace(entry, seq=done.seq)
            for entry, done in zip(entries, appended, strict=True)
            if not done.duplicate
        ]
        if not fresh:
            return
        await room.log.purge(room.app, room.id, fresh[-1].seq)
        await self._rooms.advance(room, fresh)
        if any(isinstance(entry.op, STATE_OPS) for entry in fresh):
            await self._rooms.transient.refresh(room, now=True)
        self._hub.deliver(room.app, room.id, news_of(room, fresh, appended[-1].chain))

    async def _of_the_admitted(self, room: Room, entries: Sequence[Entry]) -> list[Entry]:
        """Who took something of somebody who was banned had not heard of it; here it is known."""
        if any(_is_banned(room, entry) for entry in entries):
            await self._rooms.transient.refresh(room, now=True)
        return [entry for entry in entries if not _is_banned(room, entry)]

    # Rights

    def _moved(self, app: str, name: str) -> None:
        """Another process says so: whoever asks next reads the row."""
        room = self._rooms.held(app, name)
        if room is not None:
            room.looked = float("-inf")

    def _tell(self, room: Room) -> None:
        """What was told got lost, and was found."""
        self._hub.deliver(room.app, room.id, RightsChanged())

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


def _is_banned(room: Room, entry: Entry) -> bool:
    return entry.account is not None and room.state.part(entry.account) is Part.BANNED


def news_of(room: Room, entries: Sequence[Entry], chain: bytes) -> News:
    first, last = entries[0].seq, entries[-1].seq
    return News(from_seq=first, to_seq=last, epoch=room.epoch, entries=entries, chain=chain)
