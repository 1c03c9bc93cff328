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

from signaling.accounts.devices import Devices
from signaling.accounts.registry import Registry
from signaling.accounts.sessions.service import SessionService
from signaling.chat.accounts import Accounts
from signaling.chat.ops import CallOp, Entry, Post, React
from signaling.chat.people import People
from signaling.chat.reduce import MessageView
from signaling.chat.room import Room
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.compliance.audit.operations import RecordShown, record_shown
from signaling.compliance.audit.reader import Filter, Reader
from signaling.compliance.export.archive import Archive, lines, whole
from signaling.compliance.export.contents import Contents, Wanted
from signaling.compliance.export.documents import (
    AccountOut,
    DeviceOut,
    MemberOut,
    PersonOut,
    PushOut,
    ReactionOut,
    RoomOut,
    SessionOut,
    schema,
)
from signaling.compliance.requests.operations import RequestAnswer, request_answer
from signaling.compliance.requests.tracker import Tracker
from signaling.delivery.push.model import Subscription
from signaling.files.service import Files
from signaling.storage.table import Table

PAGE = 200
MOST_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class Collector:
    """One for each process."""

    chat: Chat
    people: People
    accounts: Accounts
    registry: Registry
    devices: Devices
    sessions: SessionService
    files: Files
    reader: Reader
    clock: Clock
    woken: Table[Subscription]
    tracker: Tracker

    async def person(self, app: str, account: str) -> AsyncIterator[bytes]:
        """The archive of an account that was looked up before."""
        archive, wanted = Archive(), Wanted()
        profile = await self._profile(app, account)
        async for data in archive.add("account.json", whole(msgspec.json.encode(profile))):
            yield data
        rooms = await self.people.rooms_of(app, account)
        for room in rooms:
            async for data in self._room(archive, room, account, wanted):
                yield data
        reacted = lines(self._reactions(rooms, account))
        async for data in archive.add("reactions.ndjson", reacted):
            yield data
        woken = lines(self._pushes(app, account))
        async for data in archive.add("push.ndjson", woken):
            yield data
        asked = lines(self._asked(app, account))
        async for data in archive.add("requests.ndjson", asked):
            yield data
        async for data in archive.add("audit.ndjson", lines(self._records(app, account))):
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
        async for page in self._pages(room):
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
        for room in rooms:
            async for page in self._pages(room):
                for entry in page:
                    op = entry.op
                    if isinstance(op, React) and entry.account == account:
                        yield ReactionOut(
                            room=room.id, message=op.id, emoji=op.emoji, at=entry.at, on=op.on
                        )

    async def _pages(self, room: Room) -> AsyncIterator[list[Entry]]:
        after = (await self.chat.rooms.head(room)).floor
        while stored := await room.log.read(room.app, room.id, after=after, limit=PAGE):
            yield await self.chat.sealing.open(room.app, room.id, stored)
            after = stored[-1].seq

    # The account

    async def _profile(self, app: str, account: str) -> AccountOut:
        found = await self.registry.require(app, account)
        factors = ["totp"] if found.totp is not None else []
        factors += [f"passkey: {passkey.name}" for passkey in found.passkeys]
        return AccountOut(
            id=found.id, login=found.login, name=found.name, mail=found.mail, roles=found.roles,
            created_at=_time(found.created), second_factors=tuple(factors),
            providers=tuple(one.provider for one in found.identities),
            devices=tuple([
                DeviceOut(
                    id=device.id, name=device.name, network=device.network,
                    first_seen=_time(device.created), last_seen=_time(device.seen),
                )
                for device in await self.devices.list(app, account)
            ]),
            sessions=tuple([
                SessionOut(
                    id=one.id, label=one.label, device=one.device,
                    created_at=_time(one.created_at), last_used_at=_time(one.last_used_at),
                )
                for one in await self.sessions.list(app, account)
            ]),
            own=await self.accounts.state_of(app, account),
        )  # fmt: skip

    async def _named(self, app: str, accounts: set[str]) -> AsyncIterator[PersonOut]:
        for account in sorted(accounts - {""}):
            found = await self.registry.view(app, account)
            yield PersonOut(id=account, name="" if found is None else found.name or found.login)

    async def _pushes(self, app: str, account: str) -> AsyncIterator[PushOut]:
        for row in await self.woken.scan(app, term=f"account:{account}"):
            one = row.value
            yield PushOut(
                id=one.id, kind=one.kind.value, device=one.device, session=one.session,
                endpoint=one.endpoint, token=one.token, created_at=_time(one.created),
            )  # fmt: skip

    async def _asked(self, app: str, account: str) -> AsyncIterator[RequestAnswer]:
        for request in await self.tracker.of(app, account):
            yield request_answer(request, self.clock.unix())

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


def _alone(view: MessageView, account: str) -> MessageView:
    """Without what others did to it; of a call that one took part."""
    call = None if view.call is None else replace(view.call, accounts=(account,))
    return replace(view, reactions=(), thread=None, poll=None, call=call)


def _reacted(view: MessageView) -> list[str]:
    return [account for reaction in view.reactions for account in reaction.accounts]


def _called(view: MessageView) -> tuple[str, ...]:
    return () if view.call is None else view.call.accounts


def _room_out(room: Room, account: str) -> RoomOut:
    state = room.state
    members = [
        MemberOut(account=one, part=member.part, since=member.at)
        for one, member in sorted(state.members.items())
        if account in ("", one)
    ]
    return RoomOut(
        id=room.id, kind=state.kind, mode=state.mode, name=state.name, topic=state.topic,
        settings=state.settings, creator=state.creator, created_at=state.created_at,
        members=tuple(members),
    )  # fmt: skip


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)
