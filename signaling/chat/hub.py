"""Who listens to a room or an account in this process, and the bus between processes.

Hints only: told here at once with the entries, to other processes as `{from_seq, to_seq, epoch}`
without them, so that the bus never holds what somebody said; they read the store. What is lost is
found again by polling heads. What is said in transient rooms goes sealed (`passing`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from signaling.bus.port import Bus, Subscription
from signaling.chat.ports import (
    Calling,
    Cancel,
    CursorMoved,
    Hint,
    News,
    Passed,
    RightsChanged,
    Typing,
    Watcher,
)

log = logging.getLogger(__name__)

Blind = Callable[[str, str], str]
# Names that are remembered; beyond, all are made anew.
MOST_TOPICS = 10_000
_HINTS = News | Typing | CursorMoved | Calling | RightsChanged | Passed


class _Told(msgspec.Struct, frozen=True, array_like=True):
    process: str
    hint: _HINTS


class Hub:
    """One for each process. `passed` hears what others said in transient rooms, `moved` of rooms
    whose rights changed elsewhere.
    """

    def __init__(self, bus: Bus, blind: Blind, process: str) -> None:
        self._bus, self._blind, self._process = bus, blind, process
        self._watchers: dict[tuple[str, str], list[Watcher]] = {}
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        self._topics: dict[tuple[str, str], str] = {}
        self._decoder = msgspec.msgpack.Decoder(_Told)
        self.passed: Callable[[str, str, bytes], None] = _to_nobody
        self.moved: Callable[[str, str], None] = _nothing

    def watch(self, app: str, name: str, watcher: Watcher) -> Cancel:
        place = (app, name)
        watchers = self._watchers.setdefault(place, [])
        watchers.append(watcher)
        if place not in self._subscriptions:

            def heard(payload: bytes) -> None:
                self._heard(place, payload)

            self._subscriptions[place] = self._bus.subscribe(self._topic(app, name), heard)

        def cancel() -> None:
            if watcher in watchers:
                watchers.remove(watcher)
            if not watchers and self._watchers.get(place) is watchers:
                del self._watchers[place]
                self._subscriptions.pop(place).close()

        return cancel

    async def tell(self, app: str, name: str, hint: Hint) -> None:
        self.deliver(app, name, hint)
        if isinstance(hint, News):
            hint = msgspec.structs.replace(hint, entries=())
        told = msgspec.msgpack.encode((self._process, hint))
        await self._bus.publish(self._topic(app, name), told)

    async def pass_on(self, app: str, name: str, sealed: bytes) -> None:
        """To other processes only."""
        told = msgspec.msgpack.encode((self._process, Passed(sealed=sealed)))
        await self._bus.publish(self._topic(app, name), told)

    def _heard(self, place: tuple[str, str], payload: bytes) -> None:
        try:
            told = self._decoder.decode(payload)
        except msgspec.MsgspecError:
            log.warning("a hint about a room could not be read")
            return
        if told.process == self._process:
            return
        if isinstance(told.hint, Passed):
            self.passed(*place, told.hint.sealed)
            return
        if isinstance(told.hint, RightsChanged):
            self.moved(*place)
        self.deliver(*place, told.hint)

    def deliver(self, app: str, name: str, hint: Hint) -> None:
        """In this process only."""
        for watcher in list(self._watchers.get((app, name), ())):
            watcher(hint)

    def _topic(self, app: str, name: str) -> str:
        topic = self._topics.get((app, name))
        if topic is None:
            if len(self._topics) >= MOST_TOPICS:
                self._topics.clear()
            topic = f"{app}:chat:{self._blind(app, f'chat:{name}')}"
            self._topics[app, name] = topic
        return topic

    def close(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.close()
        self._subscriptions.clear()


def _to_nobody(app: str, name: str, sealed: bytes) -> None:
    """Until somebody listens."""


def _nothing(app: str, name: str) -> None:
    """Until somebody listens."""
