"""One room of an import while it is being filled: made once, and known by how far it came.

Every op has a number that follows from the archive alone, under an ident that does so too, and the
log takes each number once: so what a crash interrupts goes on, and what is repeated adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from signaling.chat.ops import Entry, Member, Part, Post
from signaling.chat.people import People
from signaling.chat.room import Room
from signaling.chat.sealing import from_ms
from signaling.chat.service import Chat
from signaling.chat.state import RoomState
from signaling.compliance.imports.bringing import Act, fits
from signaling.compliance.imports.jobs import Jobs
from signaling.compliance.imports.naming import PLACEHOLDER
from signaling.compliance.imports.port import Place
from signaling.keys.port import KeyDestroyed
from signaling.storage.port import Conflict

# Ops in one append, and those after which the room is written and taken out of memory.
BATCH = 200
SETTLE = 5000


class Filling:
    """A room. `version` is the number of the last op that was looked at, `cursor` that of the last
    that is in the log. `alone`: nothing is in it yet.
    """

    def __init__(self, chat: Chat, jobs: Jobs, place: Place, room: Room, ident: str, cursor: int):
        self._chat, self._jobs = chat, jobs
        self.place, self.app, self.id = place, room.app, room.id
        self.ident, self.cursor, self.version = ident, cursor, 0
        self.alone = room.state.created_at is None
        self._waiting: list[tuple[int, Act]] = []
        self._pending: set[str] = set()
        self._names: dict[str, str] = {}
        self._unsettled = 0

    async def room(self) -> Room:
        """Raises KeyDestroyed when it was erased meanwhile."""
        found = await self._chat.rooms.find(self.app, self.id)
        if found is None:
            raise KeyDestroyed
        return found

    async def has(self, message: str) -> bool:
        if message in self._pending:
            return True
        return await self._chat.rooms.has(await self.room(), message)

    def take(self, first: int, acts: Sequence[Act | None], names: dict[str, str]) -> int:
        """`acts` are numbered from `first` on; what the log has already is left out. How many no
        reader could read.
        """
        unfit = 0
        for version, act in enumerate(acts, first):
            if act is None or version <= self.cursor:
                continue
            if not fits(act[1]):
                unfit += 1
                continue
            account, op = act
            self._waiting.append((version, act))
            if isinstance(op, Post):
                self._pending.add(op.id)
            if account is not None and account.startswith(PLACEHOLDER):
                self._names[account] = names.get(account, account)
        return unfit

    def call(self, names: dict[str, str]) -> None:
        """Placeholders that are mentioned, beside those who wrote."""
        self._names |= {who: name for who, name in names.items() if who.startswith(PLACEHOLDER)}

    @property
    def full(self) -> bool:
        return len(self._waiting) >= BATCH

    async def flush(self) -> None:
        """What was taken is durable afterwards."""
        if self._names:
            await self._jobs.call(self.app, self.id, self._names)
            self._names = {}
        room = await self.room()
        while self._waiting:
            some = self._waiting[:BATCH]
            await self._chat.bring(room, [self._entry(room, *one) for one in some])
            del self._waiting[:BATCH]
            self.cursor = some[-1][0]
            self._unsettled += len(some)
        self._pending.clear()
        if self._unsettled >= SETTLE:
            await self.settle()

    async def settle(self) -> None:
        """Its rows are written; what it kept in memory goes."""
        room = await self.room()
        if not room.transient:
            await self._chat.rooms.save(room)
            self._chat.rooms.drop(self.app, self.id)
        self._unsettled = 0

    def _entry(self, room: Room, version: int, act: Act) -> Entry:
        account, op = act
        now = int(self._chat.clock.unix() * 1000)
        part = Part.SERVICE if account is None else Part.MEMBER
        life = op.ttl or room.state.settings.ttl if isinstance(op, Post) else None
        return Entry(
            seq=0, ident=self.ident, version=version, clock=max(now, room.state.clock + 1),
            at=from_ms(now), account=account, part=Part.OWNER if version == 1 else part, op=op,
            expires_at=None if life is None else from_ms(now + life * 1000),
        )  # fmt: skip


async def opened(
    chat: Chat, people: People, jobs: Jobs, app: str, place: Place, ids: tuple[str, str],
    acts: Sequence[Act | None],
) -> Filling | None:  # fmt: skip
    """The room, made unless it is there; None when it was erased, which is for good. `ids` are
    those of the room and of the archive in it; `acts` make it and let its members in.
    """
    ident, mine = ids
    room = await chat.rooms.find_there(app, ident)
    if room is None:
        try:
            room = await chat.rooms.create(app, ident, RoomState(kind=place.kind, mode=place.mode))
        except KeyDestroyed:
            return None
        except Conflict:
            room = await chat.rooms.find(app, ident)
            if room is None:
                return None
    cursor = await room.log.cursor(app, ident, mine)
    made = Filling(chat, jobs, place, room, mine, cursor)
    if made.alone or cursor:
        # What is another archive's room already is not made again, nor its members let in anew.
        for version, act in enumerate(acts, 1):
            if act is not None and version > cursor:
                account, op = act
                whom = op.account if isinstance(op, Member) else account
                await people.enter(app, ident, whom or "")
        made.take(1, acts, {})
        await made.flush()
    made.version = len(acts)
    return made
