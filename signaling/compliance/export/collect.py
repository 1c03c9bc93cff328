"""Collects what an export holds: of a person what is theirs, of a room everything in it.

Others' things are left out of a person's export: their messages, their reactions, who else
is where. Bodies of encrypted rooms are ciphertext here as they are in the store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from signaling.accounts.registry import Registry
from signaling.chat.ops import CallOp, Entry, Post, React, Settings, Vote
from signaling.chat.reduce import MessageView
from signaling.chat.room import Room
from signaling.chat.service import Chat
from signaling.chat.state import RANK
from signaling.clock import Clock
from signaling.compliance.audit.operations import RecordShown, record_shown
from signaling.compliance.audit.reader import Filter, Reader
from signaling.compliance.export.archive import Archive, lines, whole
from signaling.compliance.export.contents import Contents, Wanted
from signaling.compliance.export.documents import (
    MemberOut,
    PersonOut,
    ReactionOut,
    RoomOut,
    VoteOut,
    schema,
)
from signaling.compliance.export.own import Own
from signaling.files.service import Files
from signaling.storage.port import Op as Stored

PAGE = 200
MOST_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class Collector:
    """One for each process."""

    chat: Chat
    registry: Registry
    own: Own
    files: Files
    reader: Reader
    clock: Clock

    async def person(self, app: str, account: str) -> AsyncIterator[bytes]:
        """The archive of an account that was looked up before."""
        archive, wanted = Archive(), Wanted()
        profile = await self.own.profile(app, account)
        async for data in archive.add("account.json", whole(msgspec.json.encode(profile))):
            yield data
        every = await self._every(app)
        rooms = [room for room in every if await self._concerns(room, account)]
        for room in rooms:
            async for data in self._room(archive, room, account, wanted):
                yield data
        for waiting in await self.own.scheduled(app, account):
            wanted.note(waiting.post)
        documents: dict[str, AsyncIterator[msgspec.Struct]] = {
            "reactions.ndjson": self._reactions(rooms, account),
            "votes.ndjson": self._votes(rooms, account),
            **self.own.documents(app, account, every),
            "audit.ndjson": self._records(app, account),
        }
        for name, items in documents.items():
            async for data in archive.add(name, lines(items)):
                yield data
        async for data in self._end(archive, app, wanted, f"account:{account}"):
            yield data

    async def room(self, app: str, room: Room) -> AsyncIterator[bytes]:
        archive, wanted = Archive(), Wanted()
        authors = set(room.state.members)
        async for data in self._room(archive, room, "", wanted, authors):
            yield data
        named = lines(self._named(app, authors))
        async for data in archive.add("people.ndjson", named):
            yield data
        async for data in self._end(archive, app, wanted, f"room:{room.id}"):
            yield data

    async def _end(
        self, archive: Archive, app: str, wanted: Wanted, about: str
    ) -> AsyncIterator[bytes]:
        async for data in Contents(self.files).add(archive, app, wanted):
            yield data
        async for data in archive.add("schema.json", whole(msgspec.json.encode(schema()))):
            yield data
        async for data in archive.end(about, _time(self.clock.unix())):
            yield data

    # Rooms

    async def _every(self, app: str) -> list[Room]:
        """All of the app's: somebody may have written in one that they left long ago."""
        found = [await self.chat.rooms.find_there(app, i) async for i in self.chat.rooms.every(app)]
        return [room for room in found if room is not None]

    async def _concerns(self, room: Room, account: str) -> bool:
        """Whether they are in it, or said or did anything there."""
        if room.state.part(account) in RANK:
            return True
        async for stored in self._stored(room):
            for entry in await self.chat.sealing.envelopes(room.app, room.id, stored):
                if _is_theirs(entry, account):
                    return True
        return False

    async def _room(
        self, archive: Archive, room: Room, account: str, wanted: Wanted,
        authors: set[str] | None = None,
    ) -> AsyncIterator[bytes]:  # fmt: skip
        """Of `account` alone, unless that is empty. Whoever wrote is added to `authors`."""
        about = msgspec.json.encode(_room_out(room, account))
        async for data in archive.add(f"rooms/{room.id}.json", whole(about)):
            yield data
        wrote = authors if authors is not None else set[str]()
        messages = lines(self._messages(archive, room, account, wanted, wrote))
        async for data in archive.add(f"rooms/{room.id}.ndjson", messages):
            yield data

    async def _messages(
        self, archive: Archive, room: Room, account: str, wanted: Wanted, authors: set[str]
    ) -> AsyncIterator[MessageView]:
        async for page in self._pages(room, account):
            posts = [entry for entry in page if _is_of(entry, account)]
            if not account:
                posts = [entry for entry in posts if not self._withheld(archive, room, entry)]
            for view in await self.chat.rooms.views(room, posts):
                if account and view.call is not None and account not in view.call.accounts:
                    continue
                wanted.note(view)
                authors.update((view.account or "", *_reacted(view), *_called(view)))
                yield _alone(view, account) if account else view

    def _withheld(self, archive: Archive, room: Room, entry: Entry) -> bool:
        """Of somebody who had processing restricted: that they wrote is told, not what."""
        author = entry.account or ""
        if not self.chat.rooms.withheld(room.app, author):
            return False
        archive.omitted[f"account:{author}"] = "processing is restricted"
        return True

    async def _reactions(self, rooms: Sequence[Room], account: str) -> AsyncIterator[ReactionOut]:
        async for room, entry in self._acts(rooms, account):
            op = entry.op
            if isinstance(op, React):
                yield ReactionOut(
                    room=room.id, message=op.id, emoji=op.emoji, at=entry.at, on=op.on
                )

    async def _votes(self, rooms: Sequence[Room], account: str) -> AsyncIterator[VoteOut]:
        async for room, entry in self._acts(rooms, account):
            op = entry.op
            if isinstance(op, Vote):
                yield VoteOut(room=room.id, message=op.id, choices=op.choices, at=entry.at)

    async def _acts(self, rooms: Sequence[Room], account: str) -> AsyncIterator[tuple[Room, Entry]]:
        for room in rooms:
            async for page in self._pages(room, account):
                for entry in page:
                    if entry.account == account:
                        yield room, entry

    async def _pages(self, room: Room, account: str) -> AsyncIterator[list[Entry]]:
        """Everybody's, or what is of an account: of others nothing is opened then."""
        async for stored in self._stored(room):
            some = stored
            if account:
                said = await self.chat.sealing.envelopes(room.app, room.id, stored)
                theirs = {entry.seq for entry in said if _is_theirs(entry, account)}
                some = [one for one in stored if one.seq in theirs]
            yield await self.chat.sealing.open(room.app, room.id, some)

    async def _stored(self, room: Room) -> AsyncIterator[Sequence[Stored]]:
        after = (await self.chat.rooms.head(room)).floor
        while stored := await room.log.read(room.app, room.id, after=after, limit=PAGE):
            yield stored
            after = stored[-1].seq

    # People

    async def _named(self, app: str, accounts: set[str]) -> AsyncIterator[PersonOut]:
        for account in sorted(accounts - {""}):
            found = await self.registry.view(app, account)
            yield PersonOut(id=account, name="" if found is None else found.name or found.login)

    async def _records(self, app: str, account: str) -> AsyncIterator[RecordShown]:
        """By the account, and about it."""
        who = f"account:{account}"
        for wanted in (Filter(actor=who), Filter(target=who)):
            async for record in self.reader.every(app, wanted, bound=MOST_RECORDS):
                if wanted.actor or record.actor != who:
                    yield record_shown(record)


def _is_of(entry: Entry, account: str) -> bool:
    """A message of anybody, or of an account; of a call only its end knows who was there."""
    is_own = isinstance(entry.op, Post) and account in ("", entry.account)
    return is_own or isinstance(entry.op, CallOp)


def _is_theirs(entry: Entry, account: str) -> bool:
    if isinstance(entry.op, CallOp):
        return account in entry.op.accounts
    return entry.account == account and isinstance(entry.op, Post | React | Vote)


def _alone(view: MessageView, account: str) -> MessageView:
    """Without what others did to it; of a call that one took part."""
    call = None if view.call is None else replace(view.call, accounts=(account,))
    return replace(view, reactions=(), thread=None, poll=None, call=call)


def _reacted(view: MessageView) -> list[str]:
    return [account for reaction in view.reactions for account in reaction.accounts]


def _called(view: MessageView) -> tuple[str, ...]:
    return () if view.call is None else view.call.accounts


def _room_out(room: Room, account: str) -> RoomOut:
    """What a room is now is its members' to know; of who is none any more, only which it was."""
    state = room.state
    members = [
        MemberOut(account=one, part=member.part, since=member.at)
        for one, member in sorted(state.members.items())
        if account in ("", one)
    ]
    if account and state.part(account) not in RANK:
        return RoomOut(
            id=room.id, kind=state.kind, mode=state.mode, name="", topic="", settings=Settings(),
            creator=None, created_at=state.created_at, members=tuple(members),
        )  # fmt: skip
    return RoomOut(
        id=room.id, kind=state.kind, mode=state.mode, name=state.name, topic=state.topic,
        settings=state.settings, creator=state.creator, created_at=state.created_at,
        members=tuple(members),
    )  # fmt: skip


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)
