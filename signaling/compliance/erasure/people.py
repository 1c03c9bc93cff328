"""The steps that erase a person: the account and its key, what they wrote anywhere, their files.

    account -> rooms -> files -> own -> others -> key

Bodies are unreadable as soon as the account's key is destroyed, in every backup too; the steps
after that empty the places as well and take away what others kept about them. What remains in logs
of rooms is a random id: who was a member when, and who made the room.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from signaling.accounts.devices import Devices
from signaling.accounts.links import Links
from signaling.accounts.registry import Registry
from signaling.chat.erasing import erase
from signaling.chat.ops import (
    Close,
    Create,
    Delete,
    Entry,
    Erase,
    Erased,
    Member,
    Part,
    Post,
    Set,
    ToE2ee,
)
from signaling.chat.reduce import MODERATES, subject_of
from signaling.chat.room import Room
from signaling.chat.state import RANK, RoomState
from signaling.compliance.erasure.messages import COUNTED, is_message
from signaling.compliance.erasure.parts import BATCH, PAGE, Parts
from signaling.compliance.erasure.port import Progress, Step
from signaling.keys.port import KeyDestroyed

# What a room is made of: these say who, by a random id, and nothing else of the person.
_STAYS = Create | Member | Set | ToE2ee | Erase | Erased
CONSENTS = "oauth_consent"

AskRoom = Callable[[str, Room], Awaitable[None]]
"""Asks for the erasure of a room that nobody is left in."""
InRoom = Callable[[str, Room, str, Progress], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Who:
    """The accounts' side."""

    registry: Registry
    devices: Devices
    links: Links


@dataclass(slots=True)
class Theirs:
    """What somebody left in one room."""

    messages: list[tuple[str, int]] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    decided: list[Delete | Close] = field(default_factory=list)
    """As a moderator, of others' messages: the server says it in their stead, or what was deleted
    would be read again."""
    files: int = 0

    def counts(self) -> dict[str, int]:
        if not self.messages and not self.others:
            return {}
        counts = {"rooms": 1, "messages": len(self.messages), "files": self.files}
        return {**counts, "reactions": len(self.others)}


class PersonErasing:
    """Holds nothing of a job."""

    def __init__(self, parts: Parts, who: Who, ask_room: AskRoom) -> None:
        self._parts, self._who, self._ask_room = parts, who, ask_room
        self._chat = parts.chat

    def steps(self) -> Sequence[Step]:
        return (self._account, self._rooms, self._files, self._own, self._others, self._key)

    def dry(self) -> Sequence[Step]:
        """What would go, counted; nothing is changed."""
        return (self._dry_account, self._dry_rooms)

    async def _dry_account(self, app: str, progress: Progress) -> None:
        account, register = progress.job.account, self._parts.files.parts.register
        uploads = 0
        async for row in register.all_files(app, f"owner:{account}"):
            uploads += await self._outlives(app, account, row.key)
        devices = len(await self._who.devices.list(app, account))
        await progress.note({"devices": devices, "uploads": uploads, "keys": 1})

    async def _outlives(self, app: str, account: str, file: str) -> bool:
        """Whether a file would still be there once its owner's messages are gone."""
        held = await self._parts.files.parts.register.held(app, file)
        for reference in held:
            room = await self._chat.rooms.find_there(app, reference.room)
            if room is None:
                continue
            known = await self._chat.rooms.known(room, reference.message)
            if known is not None and known.account != account:
                return True
        return not held

    async def _dry_rooms(self, app: str, progress: Progress) -> None:
        await self._each_room(app, progress, self._dry_room)

    async def _dry_room(self, app: str, room: Room, account: str, progress: Progress) -> None:
        counts = (await self._find(app, room, account, progress)).counts()
        if room.state.accounts() == [account]:
            counts["rooms_left_empty"] = 1
        await progress.note(counts, after=room.id)

    async def _account(self, app: str, progress: Progress) -> None:
        account = progress.job.account
        await progress.note({"devices": await self._who.devices.clear(app, account)})
        await self._who.links.withdraw_all(app, f"account:{account}")
        with contextlib.suppress(KeyDestroyed):
            found = await self._who.registry.get(app, account)
            if found is not None:
                await self._who.registry.forget(app, found)
        await self._who.registry.tables.accounts.delete(app, account)
        await self._parts.sealer.shred(app, f"account:{account}")
        self._chat.sealing.forget()

    async def _rooms(self, app: str, progress: Progress) -> None:
        await self._each_room(app, progress, self._in_room)

    async def _each_room(self, app: str, progress: Progress, do: InRoom) -> None:
        """All of the app's: somebody may have written in one that they left long ago."""
        account = progress.job.account
        place, _, counted = progress.job.after.partition(":")
        done = 0
        async for ident in self._chat.rooms.every(app):
            if ident < place or (ident == place and not counted):
                continue
            done += 1
            room = await self._chat.rooms.find_there(app, ident)
            if room is not None:
                await do(app, room, account, progress)
            await progress.note(after=ident, done=done)

    async def _in_room(self, app: str, room: Room, account: str, progress: Progress) -> None:
        theirs = await self._find(app, room, account, progress)
        counted = f"{room.id}:{COUNTED}"
        if theirs.messages or theirs.others:
            if progress.job.after != counted:
                await progress.note(theirs.counts(), after=counted)
            await self._erase(app, room, theirs, progress, counted)
        await self._parts.receipts.forget_account(app, room.id, account)
        await self._parts.doors.forget_account(app, room.id, account)
        await self._parts.reports.forget_about(app, room.id, account=account)
        await self._leave(app, room, account)

    async def _find(self, app: str, room: Room, account: str, progress: Progress) -> Theirs:
        theirs, head = Theirs(), await room.log.head(app, room.id)
        mine: set[str] = set()
        after = head.floor
        while stored := await room.log.read(app, room.id, after=after, limit=PAGE):
            for entry in await self._chat.sealing.envelopes(app, room.id, stored):
                if entry.account == account:
                    _note(theirs, mine, entry)
            after = stored[-1].seq
            # Nothing new is known, but others must see that somebody is at it.
            await progress.note(after=progress.job.after, done=after, total=head.seq)
        return theirs

    async def _erase(
        self, app: str, room: Room, theirs: Theirs, progress: Progress, counted: str
    ) -> None:
        for at in range(0, len(theirs.messages), BATCH):
            some = theirs.messages[at : at + BATCH]
            await erase(self._chat, room, some, (), "erasure")
            await progress.note(after=counted, done=at, total=len(theirs.messages))
        for at in range(0, len(theirs.decided), BATCH):
            await self._chat.say(room, *theirs.decided[at : at + BATCH])
        await erase(self._chat, room, (), theirs.others, "erasure")
        ids = frozenset(ident for ident, _ in theirs.messages)
        for member in room.state.accounts():
            await self._parts.forget_own(app, member, room.id, ids)

    async def _leave(self, app: str, room: Room, account: str) -> None:
        """A room keeps an owner; one that nobody else is in goes too."""
        state = room.state
        if state.part(account) is Part.NONE:
            return
        if state.accounts() == [account]:
            await self._ask_room(app, room)
            return
        if state.owners() == [account]:
            await self._chat.say(room, Member(account=heir(state, account), part=Part.OWNER))
        await self._chat.say(room, Member(account=account, part=Part.NONE))

    async def _files(self, app: str, progress: Progress) -> None:
        gone = await self._parts.files.erase_account(app, progress.job.account)
        await progress.note({"uploads": gone})

    async def _own(self, app: str, progress: Progress) -> None:
        parts, account = self._parts, progress.job.account
        await parts.accounts.forget(app, account)
        await parts.presences.forget(app, account)
        gone = await parts.later.forget(app, account)
        await parts.people.forget_account(app, account)
        # The sync socket keeps an account's own data in a log of its own.
        head = await parts.store.log.head(app, f"account:{account}")
        await parts.store.log.purge(app, f"account:{account}", head.seq)
        meta = parts.store.meta
        while rows := await meta.scan(app, CONSENTS, term=f"account:{account}", limit=100):
            for row in rows:
                gone += await meta.delete(app, CONSENTS, row.key)
        await progress.note({"rows": gone})

    async def _others(self, app: str, progress: Progress) -> None:
        account = progress.job.account
        await progress.note(await self._parts.ask_others(app, account=account))

    async def _key(self, app: str, progress: Progress) -> None:
        """Again, at the end: nothing was written under it meanwhile."""
        await self._parts.sealer.shred(app, f"account:{progress.job.account}")
        self._chat.sealing.forget()
        await progress.note({"keys": 1})


def heir(state: RoomState, leaving: str) -> str:
    """The highest of the others; of several the one who came first."""
    others = [(account, state.members[account]) for account in state.accounts()]
    ranked = sorted(
        (-RANK[member.part], member.since, account)
        for account, member in others
        if account != leaving
    )
    return ranked[0][2]


def _note(theirs: Theirs, mine: set[str], entry: Entry) -> None:
    if isinstance(entry.op, _STAYS):
        return
    subject = subject_of(entry)
    if is_message(entry) and subject is not None and subject not in mine:
        mine.add(subject)
        theirs.messages.append((subject, entry.seq))
        if isinstance(entry.op, Post):
            theirs.files += len(entry.op.attachments)
    elif subject is None or subject not in mine:
        theirs.others.append(entry.seq)
        if isinstance(entry.op, Delete | Close) and entry.part in MODERATES:
            theirs.decided.append(type(entry.op)(id=entry.op.id))
