"""Presence as a partition of sync: how those are whom an account shares rooms with.

A `Partition` without a log: its head is always 0, its state is how everybody is now, and what
changes comes as `PresenceMoved`, which is in memory only and says the same for as long as nothing
is new. Each process looks for itself when somebody moved (`moves`), and at everybody who is watched
now and then, since hints are lost and devices lapse in silence. An account has one circle in a
process, however many devices follow it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from signaling.accounts.principal import InsufficientScope
from signaling.chat.attendance import Place
from signaling.chat.moves import Move, Why
from signaling.chat.people import People
from signaling.chat.ports import Actor, Batch, Cancel, Integrated, PresenceMoved, Watcher
from signaling.chat.presence import Presences
from signaling.chat.seeing import Facts, Shown, Viewer
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.storage.port import GENESIS, Head

PACE = 1.0
"""Seconds between two frames to one account's devices; the first after a pause goes at once."""
LOOK_SECONDS = 30.0
"""In which everybody who is watched is looked at once: this late is what the bus lost, or a process
that died, seen."""
LOOKS = 10
"""Of them until a circle's rooms are read again too."""
MOST_PEOPLE = 1000
"""Whom one account is told of; those of its smaller rooms first."""
SCOPE = "presence:read"
EMPTY = Head()


class PresenceState(Struct, frozen=True, kw_only=True):
    """Everybody of whom there is something to show; the others are offline."""

    people: Sequence[Shown]


class _Circle:
    """What one account is shown. `people`: whom it shares rooms with. Owned by `Circles`."""

    def __init__(self, place: Place) -> None:
        self.place, self.viewer = place, Viewer(account=place[1])
        self.people: set[str] = set()
        self.rooms: frozenset[str] = frozenset()
        self.shown: dict[str, Shown] = {}
        self.watchers: list[Watcher] = []
        self.loading: asyncio.Task[None] | None = None
        self.again = False
        self.failed: Unavailable | None = None
        self.is_new = True
        """Nobody was told anything yet: the state is the first word."""
        self._owed: dict[str, Shown] = {}
        self._pace: asyncio.TimerHandle | None = None

    def look(self, account: str, facts: Facts | None, pace: float) -> None:
        """`facts` None: it is nobody of this circle any more."""
        now = Shown(account=account)
        if facts is not None:
            now = facts.shown(self.viewer, shares=True)
        before = self.shown.pop(account, Shown(account=account))
        if now != Shown(account=account):
            self.shown[account] = now
        if now.differs(before) and not self.is_new:
            self._owed[account] = now
            if self._pace is None:
                self._tell(pace)

    def _tell(self, pace: float) -> None:
        self._pace = None
        if not self._owed:
            return
        told, self._owed = PresenceMoved(people=tuple(self._owed.values())), {}
        self._pace = asyncio.get_running_loop().call_later(pace, self._tell, pace)
        for watcher in tuple(self.watchers):
            watcher(told)

    def close(self) -> None:
        for held in (self._pace, self.loading):
            if held is not None:
                held.cancel()


class Circles:
    """One for each process. `run` until cancelled."""

    def __init__(self, presences: Presences, people: People) -> None:
        self.pace_seconds = PACE
        self._presences, self._people = presences, people
        self._circles: dict[Place, _Circle] = {}
        self._watched: dict[Place, set[_Circle]] = {}
        self._facts: dict[Place, Facts] = {}
        self._looking: set[Place] = set()
        self._again: set[Place] = set()
        presences.moves.listeners.append(self._moved)

    # Partition

    async def may_read(self, actor: Actor, name: str) -> None:
        if actor.token or actor.account != name or not name:
            raise Refused(Code.NOT_PERMITTED, 403, "Presence is shown to who signed in.")
        scopes = actor.holder.scopes
        if scopes is not None and SCOPE not in scopes:
            raise InsufficientScope(SCOPE)

    async def integrate(
        self, actor: Actor, name: str, ident: str, changes: Sequence[Any]
    ) -> Integrated:
        raise Refused(Code.NOT_PERMITTED, 403, "How you are is said over REST.")

    async def read(self, actor: Actor, name: str, after: int, limit: int) -> Batch:
        await self.may_read(actor, name)
        return Batch(entries=(), chain=GENESIS, head=EMPTY)

    async def head(self, app: str, name: str) -> Head:
        return EMPTY

    async def epoch(self, app: str, name: str) -> str:
        return ""

    async def cursor(self, app: str, name: str, ident: str) -> int:
        return 0

    async def chain(self, app: str, name: str, seq: int) -> bytes | None:
        return None if seq else GENESIS

    async def state(self, actor: Actor, name: str) -> tuple[int, PresenceState]:
        """Nothing is awaited after the look, so that no change falls between it and the frames."""
        await self.may_read(actor, name)
        circle = self._circles.get((actor.app, name))
        if circle is None:
            return 0, PresenceState(people=())  # nobody follows it any more
        if circle.failed is not None:
            self._load(circle)
        if circle.loading is not None:
            await asyncio.shield(circle.loading)
        if circle.failed is not None:
            raise circle.failed
        return 0, PresenceState(people=tuple(circle.shown.values()))

    def watch(self, app: str, name: str, watcher: Watcher) -> Cancel:
        place = (app, name)
        circle = self._circles.get(place)
        if circle is None:
            circle = self._circles[place] = _Circle(place)
            self._load(circle)
        circle.watchers.append(watcher)

        def cancel() -> None:
            if watcher in circle.watchers:
                circle.watchers.remove(watcher)
            if not circle.watchers and self._circles.get(place) is circle:
                del self._circles[place]
                self._forget(circle, circle.people)
                circle.close()

        return cancel

    # Who is in it

    def _load(self, circle: _Circle) -> None:
        if circle.loading is not None and not circle.loading.done():
            circle.again = True
            return
        circle.loading = asyncio.get_running_loop().create_task(self._loaded(circle))

    async def _loaded(self, circle: _Circle) -> None:
        circle.again = True
        while circle.again:
            circle.again, circle.failed = False, None
            try:
                await self._find(circle)
            except Unavailable as error:
                circle.failed = error
        circle.is_new = False

    async def _find(self, circle: _Circle) -> None:
        app, account = circle.place
        rooms = await self._people.rooms_of(app, account)
        circle.viewer = await self._presences.viewer(app, account)
        people = {account}
        for room in sorted(rooms, key=lambda room: len(room.state.members)):
            people.update(room.state.accounts()[: max(0, MOST_PEOPLE - len(people))])
        circle.rooms = frozenset(room.id for room in rooms)
        self._forget(circle, circle.people - people)
        circle.people = people
        if self._circles.get(circle.place) is not circle:
            return  # nobody is left who follows it
        for one in sorted(people):
            await self._follow(circle, one)

    async def _follow(self, circle: _Circle, account: str) -> None:
        place = (circle.place[0], account)
        circle.people.add(account)
        self._watched.setdefault(place, set()).add(circle)
        facts = self._facts.get(place)
        if facts is None:
            await self._look(place)
        else:
            circle.look(account, facts, self.pace_seconds)

    def _forget(self, circle: _Circle, people: Iterable[str]) -> None:
        for one in tuple(people):
            place = (circle.place[0], one)
            watching = self._watched.get(place, set())
            watching.discard(circle)
            circle.look(one, None, self.pace_seconds)
            if not watching:
                self._watched.pop(place, None)
                self._facts.pop(place, None)

    # How they are

    async def _look(self, place: Place) -> None:
        """While one look runs, one more is enough for all who ask."""
        if place in self._looking:
            self._again.add(place)
            return
        self._looking.add(place)
        try:
            self._again.add(place)
            while place in self._again:
                self._again.discard(place)
                facts = await self._presences.facts(*place)
                if place in self._watched:
                    self._facts[place] = facts
                for circle in tuple(self._watched.get(place, ())):
                    circle.look(place[1], facts, self.pace_seconds)
        finally:
            self._looking.discard(place)
            self._again.discard(place)

    def _moved(self, move: Move) -> None:
        circle = self._circles.get(move.place)
        if circle is not None and move.why is not Why.DEVICES:
            self._load(circle)
        if move.why is Why.ROOM:
            self._presences.moves.spawn(self._regrouped(move))
        elif move.place in self._watched:
            self._presences.moves.spawn(self._looked(move.place))

    async def _regrouped(self, move: Move) -> None:
        """Somebody came into a room or left it: what that is to the others in it."""
        app, account = move.place
        others = [
            circle
            for circle in self._circles.values()
            if move.room in circle.rooms and circle.place[0] == app and circle.place != move.place
        ]
        try:
            is_in = bool(others) and await self._people.is_in(app, move.room, account)
            for circle in others:
                if circle.loading is not None and not circle.loading.done():
                    circle.again = True
                elif is_in and len(circle.people) < MOST_PEOPLE:
                    await self._follow(circle, account)
                elif not await self._people.meets(app, circle.rooms, account):
                    circle.people.discard(account)
                    self._forget(circle, [account])
        except (ClientError, Unavailable):
            return  # the rooms are read again before long

    async def _looked(self, place: Place) -> None:
        try:
            await self._look(place)
        except (ClientError, Unavailable):
            return  # the next look finds it

    async def run(self) -> None:
        """A status has an end, a process dies, a hint is lost: nobody says so."""
        for turn in itertools.count(1):
            places = tuple(self._watched)
            for place in places:
                await self._looked(place)
                await asyncio.sleep(LOOK_SECONDS / len(places))
            if not places:
                await asyncio.sleep(LOOK_SECONDS)
            if turn % LOOKS == 0:
                for circle in tuple(self._circles.values()):
                    self._load(circle)

    def close(self) -> None:
        for circle in self._circles.values():
            circle.close()
