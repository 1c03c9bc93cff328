"""Who of those that are subscribed to a room may be named to one who asks who is there.

Access tokens decide who may ask (`access`); whom the answer names is each account's own to say, by
the rule of `seeing`. A token that reads a room stands for somebody in it. Uuids that are no account
are the operator's own and are named. Many ask at once when a room fills, so what is found is kept
for `KEEP` seconds, or until it changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from signaling.accounts.signin import Directory
from signaling.chat.attendance import Place
from signaling.chat.moves import Move
from signaling.chat.people import People
from signaling.chat.presence import Presences
from signaling.chat.seeing import Facts, Viewer
from signaling.clock import Clock

KEEP = 5.0
MOST = 20_000
T = TypeVar("T")


class _Kept(Generic[T]):
    """What was found of accounts, for `KEEP` seconds."""

    def __init__(self, clock: Clock, find: Callable[[str, str], Awaitable[T]]) -> None:
        self._clock, self._find = clock, find
        self._held: OrderedDict[Place, tuple[float, T]] = OrderedDict()

    async def of(self, place: Place) -> T:
        found = self._held.get(place)
        if found is not None and found[0] > self._clock.monotonic():
            return found[1]
        value = await self._find(*place)
        self.drop(place)
        self._held[place] = (self._clock.monotonic() + KEEP, value)
        if len(self._held) > MOST:
            self._held.popitem(last=False)
        return value

    def drop(self, place: Place) -> None:
        self._held.pop(place, None)


class Bystanders:
    """One for each process."""

    def __init__(
        self, presences: Presences, people: People, directory: Directory, clock: Clock
    ) -> None:
        self._presences, self._directory = presences, directory
        self._facts = _Kept(clock, self._find)
        self._viewers = _Kept(clock, presences.viewer)
        self._circles = _Kept(clock, people.fellows)
        presences.moves.listeners.append(self._moved)

    async def __call__(
        self, app: str, viewer: str, uuids: tuple[str, ...], *, signed_in: bool
    ) -> tuple[str, ...]:
        """`viewer`: the account that asks, or for whom its token is."""
        looks = await self._viewers.of((app, viewer)) if viewer else Viewer()
        circle = await self._circles.of((app, viewer)) if signed_in else set()
        found = []
        for uuid in uuids:
            facts = await self._facts.of((app, uuid))
            shares = uuid in circle or not signed_in
            if facts is None or facts.names(looks, shares=shares):
                found.append(uuid)
        return tuple(found)

    async def _find(self, app: str, uuid: str) -> Facts | None:
        if await self._directory.view(app, uuid) is None:
            return None
        return await self._presences.facts(app, uuid)

    def _moved(self, move: Move) -> None:
        for kept in (self._facts, self._viewers, self._circles):
            kept.drop(move.place)
