"""Who is in a room now: those subscribed to it under a uuid. A hint on the bus, never stored.

Rooms are named on the bus by a keyed digest. Entries lapse unless they are renewed, so a process
that died leaves nobody behind. Owned by the composition root; `subscriptions` drives it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from signaling.bus.port import Bus

log = logging.getLogger(__name__)

TOPIC = "access.here"
LAPSE_SECONDS = 60.0
RENEW_SECONDS = 20.0
# Rooms whose digests are known here; of a room that is not, changes are not told.
MOST_NAMES = 100_000

Listener = Callable[[str, str], Awaitable[None]]
Blind = Callable[[str, str], str]


class _Changed(msgspec.Struct, frozen=True):
    app: str
    key: str


class Here:
    """`run` renews what this process has entered, until it is cancelled."""

    def __init__(self, bus: Bus, blind: Blind, process: str) -> None:
        """`process` tells apart entries of two processes."""
        self._bus, self._blind, self._process = bus, blind, process
        self._entered: dict[tuple[str, str], tuple[str, str]] = {}
        self._names: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._listener: Listener | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription = bus.subscribe(TOPIC, self._heard)

    def listen(self, listener: Listener) -> None:
        """Told (app, room) of each change in a room that this process ever asked about."""
        self._listener = listener

    async def who(self, app: str, room: str) -> tuple[str, ...]:
        """Sorted; one who is there twice is named once."""
        key = self._key(app, room)
        members = await self._bus.presence_list(key)
        return tuple(sorted({member.partition("\n")[0] for member in members}))

    async def enter(self, app: str, room: str, who: tuple[str, ...], session: int) -> None:
        """Nobody in particular is nobody to be seen."""
        if not who:
            return
        key, member = self._key(app, room), self._member(who, session)
        self._entered[(key, member)] = (app, room)
        await self._bus.presence_set(key, member, LAPSE_SECONDS)
        await self._publish(app, key)

    async def leave(self, app: str, room: str, who: tuple[str, ...], session: int) -> None:
        key, member = self._key(app, room), self._member(who, session) if who else ""
        if self._entered.pop((key, member), None) is not None:
            await self._bus.presence_set(key, member, 0)
            await self._publish(app, key)

    def again(self, app: str, who: str) -> None:
        """Rooms that this process entered somebody into are told once more: who sees them there
        changed."""
        keys = {
            key
            for (key, member), (of, _) in self._entered.items()
            if of == app and member.partition("\n")[0] == who
        }
        for key in sorted(keys):
            self._spawn(self._publish(app, key))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            for key, member in list(self._entered):
                await self._bus.presence_set(key, member, LAPSE_SECONDS)

    def close(self) -> None:
        self._subscription.close()

    async def _publish(self, app: str, key: str) -> None:
        await self._bus.publish(TOPIC, msgspec.msgpack.encode(_Changed(app, key)))

    def _heard(self, payload: bytes) -> None:
        try:
            changed = msgspec.msgpack.decode(payload, type=_Changed)
        except msgspec.MsgspecError:
            log.warning("a hint about a room could not be read")
            return
        room = self._names.get((changed.app, changed.key))
        if room is None or self._listener is None:
            return
        self._spawn(self._listener(changed.app, room))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _key(self, app: str, room: str) -> str:
        key = f"{app}:here:{self._blind(app, f'here:{room}')}"
        self._names[(app, key)] = room
        self._names.move_to_end((app, key))
        if len(self._names) > MOST_NAMES:
            self._names.popitem(last=False)
        return key

    def _member(self, who: tuple[str, ...], session: int) -> str:
        return f"{who[0]}\n{self._process}-{session}"
