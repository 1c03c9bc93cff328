"""Whose devices are there: hints on the bus that lapse by themselves, never stored.

A device is there while a sync socket of it answers pings, or for `LAPSE` seconds after it said so
over REST. When the last socket of an account closed, the account stays for `LINGER` seconds more,
so that whoever comes back at once was never away. Accounts are named by keyed digests. What others
may see of this is not decided here (`seeing`). Driven by the sync door and by `presence`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct

from signaling.bus.port import Bus
from signaling.clock import Clock

LAPSE = 90.0
LINGER = 10.0
SEEN_SECONDS = 30 * 86400.0
"""How long the bus remembers when the last socket of somebody closed."""

_ACTIVE, _IDLE, _SAID, _LEAVING = "active", "idle", "said", "leaving"
# What one that was in the background leaves behind.
_AWAY = {(_LEAVING, "1")}
Blind = Callable[[str, str], str]
Place = tuple[str, str]


class Attending(Struct, frozen=True, kw_only=True):
    """`idle`: every device that is there is in the background. `opened`: when the newest socket
    did, in Unix seconds; 0 without one. `seen`: when the last one closed; 0 where nobody knows.
    """

    there: bool = False
    idle: bool = False
    opened: float = 0.0
    seen: float = 0.0


class Attendance:
    """One for each process. `moved` hears of each account whose devices here came, went, or went
    into the background.
    """

    def __init__(self, bus: Bus, blind: Blind, clock: Clock, process: str) -> None:
        self.linger = LINGER
        self.moved: Callable[[str, str], None] = _nobody
        self._bus, self._blind, self._clock, self._process = bus, blind, clock, process
        self._members: dict[str, str] = {}
        self._opened: dict[str, int] = {}
        self._timers: dict[tuple[str, str, str], asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # Sockets

    async def came(self, place: Place, device: str, socket: str, lapse: float) -> None:
        """A socket opened. It counts for `lapse` seconds, unless it is heard again."""
        self._opened[socket] = int(self._clock.unix() * 1000)
        await self._stand(place, device, socket, lapse, _ACTIVE)

    async def heard(
        self, place: Place, device: str, socket: str, lapse: float, *, idle: bool
    ) -> None:
        """One that closed meanwhile stays closed."""
        if socket in self._opened:
            await self._stand(place, device, socket, lapse, _IDLE if idle else _ACTIVE)

    async def _stand(self, place: Place, device: str, socket: str, lapse: float, how: str) -> None:
        key, member = self._key(place), f"{how} {self._opened[socket]} {socket} {device}"
        before, self._members[socket] = self._members.get(socket), member
        await self._bus.presence_set(key, member, lapse)
        if self._members.get(socket) != member:
            await self._bus.presence_set(key, member, 0)  # it changed while the bus was told
        elif before != member:
            if before is not None:
                await self._bus.presence_set(key, before, 0)
            self.moved(*place)

    async def gone(self, place: Place, socket: str) -> None:
        member = self._members.pop(socket, None)
        if self._opened.pop(socket, None) is None or member is None:
            return
        key, idle = self._key(place), member.startswith(_IDLE)
        leaving = f"{_LEAVING} {int(idle)} {self._process} -"
        await self._bus.presence_set(key, leaving, self.linger)
        await self._bus.presence_set(key, member, 0)
        seen = b"%d" % int(self._clock.unix() * 1000)
        await self._bus.cache_set(self._seen_key(key), seen, SEEN_SECONDS)
        self.moved(*place)
        self._after(place, leaving, self.linger)

    # REST

    async def said(self, place: Place, device: str, *, there: bool) -> None:
        """A device said that it is there, or that it is not. One with a socket needs not say so."""
        member = f"{_SAID} 0 - {device}"
        there = there and device not in await self.devices(place)
        await self._bus.presence_set(self._key(place), member, LAPSE if there else 0)
        if there:
            self._after(place, member, LAPSE)

    # Lapses

    def _after(self, place: Place, member: str, seconds: float) -> None:
        """The bus forgets by itself; somebody has to say that it did."""
        at = (*place, member)
        if (timer := self._timers.pop(at, None)) is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[at] = loop.call_later(seconds, self._lapsed, place, member)

    def _lapsed(self, place: Place, member: str) -> None:
        del self._timers[(*place, member)]
        self._spawn(self._lapse(place, member))

    async def _lapse(self, place: Place, member: str) -> None:
        await self._bus.presence_set(self._key(place), member, 0)
        self.moved(*place)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    # Looking

    async def of(self, place: Place) -> Attending:
        key = self._key(place)
        members = [member.split(" ", 2) for member in await self._bus.presence_list(key)]
        seen = await self._bus.cache_get(self._seen_key(key))
        sockets = [int(at) / 1000 for how, at, _ in members if how in (_ACTIVE, _IDLE)]
        return Attending(
            there=bool(members),
            idle=bool(members)
            and all((how, at) in _AWAY or how == _IDLE for how, at, _ in members),
            opened=max(sockets, default=0.0),
            seen=int(seen) / 1000 if seen else 0.0,
        )

    async def devices(self, place: Place) -> list[str]:
        """Those with a socket now."""
        members = [
            member.split(" ", 3) for member in await self._bus.presence_list(self._key(place))
        ]
        return sorted({member[3] for member in members if member[0] in (_ACTIVE, _IDLE)})

    async def forget(self, place: Place) -> None:
        """The account was erased."""
        await self._bus.cache_delete(self._seen_key(self._key(place)))

    def _key(self, place: Place) -> str:
        app, account = place
        return f"{app}:presence:{self._blind(app, f'presence:{account}')}"

    @staticmethod
    def _seen_key(key: str) -> str:
        return f"{key}:seen"


def _nobody(app: str, account: str) -> None:
    """Until somebody listens."""
