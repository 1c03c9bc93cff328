"""Tells every process that an account's presence is to be looked at again, and by whom it changed.

On the bus goes only whose it is and why, never how somebody is: each process looks for itself.
Devices that come and go are told at once and then at most once in `PACE` seconds for each account,
so that a socket that flaps costs nobody more than one that stays. What is lost here is found by
looking now and then (`circles`). Owned by `Presences`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

import msgspec

from signaling.bus.port import Bus
from signaling.chat.attendance import Place

log = logging.getLogger(__name__)

TOPIC = "chat.presence"
PACE = 1.0


class Why(StrEnum):
    DEVICES = "devices"  # came, went, or are in the background
    SAID = "said"  # how they are, what they show, whom they block
    ROOM = "room"  # came into a room or left it


class Move(msgspec.Struct, frozen=True, array_like=True):
    """`room` only with `Why.ROOM`."""

    process: str
    app: str
    account: str
    why: Why
    room: str = ""

    @property
    def place(self) -> Place:
        return self.app, self.account


Listener = Callable[[Move], None]


class Moves:
    """One for each process. `listeners` run on the event loop; `is_own` says where it happened."""

    def __init__(self, bus: Bus, process: str) -> None:
        self.pace_seconds = PACE
        self.listeners: list[Listener] = []
        self._bus, self._process = bus, process
        self._resting: dict[Place, asyncio.TimerHandle] = {}
        self._again: set[Place] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._decoder = msgspec.msgpack.Decoder(Move)
        self._subscription = bus.subscribe(TOPIC, self._heard)

    def is_own(self, move: Move) -> bool:
        return move.process == self._process

    def devices(self, app: str, account: str) -> None:
        place = (app, account)
        if place in self._resting:
            self._again.add(place)
            return
        loop = asyncio.get_running_loop()
        self._resting[place] = loop.call_later(self.pace_seconds, self._rested, place)
        self._tell(Move(self._process, app, account, Why.DEVICES))

    def _rested(self, place: Place) -> None:
        del self._resting[place]
        if place in self._again:
            self._again.discard(place)
            self.devices(*place)

    def said(self, app: str, account: str) -> None:
        """At once: somebody may have hidden."""
        self._tell(Move(self._process, app, account, Why.SAID))

    def room(self, app: str, account: str, room: str) -> None:
        self._tell(Move(self._process, app, account, Why.ROOM, room))

    def _tell(self, move: Move) -> None:
        self._listened(move)
        self.spawn(self._bus.publish(TOPIC, msgspec.msgpack.encode(move)))

    def _heard(self, payload: bytes) -> None:
        try:
            move = self._decoder.decode(payload)
        except msgspec.MsgspecError:
            log.warning("a hint about presence could not be read")
            return
        if not self.is_own(move):
            self._listened(move)

    def _listened(self, move: Move) -> None:
        for listener in self.listeners:
            listener(move)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        self._subscription.close()
        for timer in self._resting.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
