"""What was said in the last days, in figures of which none is of fewer than `LEAST` people.

Read from the logs' envelopes when somebody asks; who said what is forgotten with the answer. A
figure of too few people is left out, and so are the next ones of its kind until those left out are
of enough people together: no sum tells of them. Rooms with health data, and people whose processing
is restricted or who object, are not counted at all. Days are whole and over, in UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from signaling.chat.ops import CallOp, CallState, Entry, Post
from signaling.chat.room import Room
from signaling.chat.sealing import to_ms
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.keys.port import KeyDestroyed

LEAST = 5
"""People behind every figure: k-anonymity (row C20)."""
DAY = 86400
PAGE = 500

Objects = Callable[[str, str], Awaitable[bool]]
"""Whether an account of an app is not to be counted."""


@dataclass(slots=True)
class Cell:
    """How many, and who: the people never leave it."""

    count: int = 0
    people: set[str] = field(default_factory=set)

    def add(self, person: str, count: int = 1) -> None:
        self.count += count
        self.people.add(person)


class Figure(Struct, frozen=True, kw_only=True):
    """`people`: how many different ones."""

    count: int
    people: int


class Grouped(Struct, frozen=True, kw_only=True):
    """`withheld`: how many groups had too few people, or would have told of one that had."""

    groups: Mapping[str, Figure]
    withheld: int


class Statistics(Struct, frozen=True, kw_only=True):
    """Days are `YYYY-MM-DD`; `until` is the first that is not counted."""

    least: int
    since: str
    until: str
    messages_by_day: Grouped
    messages_by_mode: Grouped
    messages_by_kind: Grouped
    files_by_day: Grouped
    calls_by_day: Grouped


@dataclass(slots=True)
class _Tally:
    """One answer under way."""

    cells: dict[str, dict[str, Cell]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Cell))
    )
    left_out: dict[str, bool] = field(default_factory=dict)


class Counting:
    """One for each process; holds nothing of an answer."""

    def __init__(
        self, chat: Chat, clock: Clock, objects: Objects, named: Callable[[float], str]
    ) -> None:
        """`named`: the day of a time."""
        self._chat, self._clock, self._objects, self._named = chat, clock, objects, named

    async def of(self, app: str, days: int) -> Statistics:
        end = int(self._clock.unix()) // DAY * DAY
        start, tally = end - days * DAY, _Tally()
        async for ident in self._chat.rooms.every(app):
            try:
                room = await self._chat.rooms.find_there(app, ident)
                if room is not None and not room.transient and not room.state.settings.phi:
                    await self._room(app, room, start, end, tally)
            except KeyDestroyed:
                continue  # it is being erased
        found = {name: grouped(cells) for name, cells in tally.cells.items()}
        nothing = Grouped(groups={}, withheld=0)
        return Statistics(
            least=LEAST, since=self._named(start), until=self._named(end),
            messages_by_day=found.get("day", nothing), messages_by_mode=found.get("mode", nothing),
            messages_by_kind=found.get("kind", nothing), files_by_day=found.get("files", nothing),
            calls_by_day=found.get("calls", nothing),
        )  # fmt: skip

    async def _room(self, app: str, room: Room, start: int, end: int, tally: _Tally) -> None:
        """Backwards, up to what is older: times of a log rise with its places."""
        before: int | None = None
        while stored := await room.log.read(app, room.id, before=before, limit=PAGE):
            for entry in reversed(await self._chat.sealing.envelopes(app, room.id, stored)):
                at = to_ms(entry.at) / 1000
                if 0 < at < start:  # what was erased has no time
                    return
                if start <= at < end:
                    await self._count(app, room, entry, at, tally)
            before = stored[0].seq

    async def _count(self, app: str, room: Room, entry: Entry, at: float, tally: _Tally) -> None:
        who, op, day = entry.account or "", entry.op, self._named(at)
        if isinstance(op, CallOp) and op.state is CallState.ENDED:
            people = [one for one in op.accounts if not await self._is_left_out(app, one, tally)]
            for number, one in enumerate(people):
                tally.cells["calls"][day].add(one, int(number == 0))
        if not isinstance(op, Post) or not who or await self._is_left_out(app, who, tally):
            return
        tally.cells["day"][day].add(who)
        tally.cells["mode"][room.state.mode.value].add(who)
        tally.cells["kind"][room.state.kind.value].add(who)
        if op.attachments:
            tally.cells["files"][day].add(who, len(op.attachments))

    async def _is_left_out(self, app: str, account: str, tally: _Tally) -> bool:
        known = tally.left_out.get(account)
        if known is None:
            withheld = self._chat.rooms.withheld(app, account)
            known = withheld or await self._objects(app, account)
            tally.left_out[account] = known
        return known


def grouped(cells: Mapping[str, Cell]) -> Grouped:
    """Without those of too few, and without so many more that those left out are of enough."""
    shown: dict[str, Figure] = {}
    hidden, people = 0, set[str]()
    for name, cell in sorted(cells.items(), key=lambda one: (len(one[1].people), one[0])):
        if len(cell.people) < LEAST or (hidden and len(people) < LEAST):
            hidden, people = hidden + 1, people | cell.people
        else:
            shown[name] = Figure(count=cell.count, people=len(cell.people))
    return Grouped(groups=dict(sorted(shown.items())), withheld=hidden)
