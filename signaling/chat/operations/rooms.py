"""Rooms and their members over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.access.permissions import Operation as Act
from signaling.chat.bodies import AccountId
from signaling.chat.operations.common import (
    ROOM_ERRORS,
    TAG,
    WRITE_ERRORS,
    Deps,
    RoomAnswer,
    Uuid,
    actor_of,
    room_answer,
    room_reply,
)
from signaling.chat.ops import (
    Create,
    Custom,
    Kind,
    Member,
    Mode,
    Name,
    Part,
    Reason,
    RoomFields,
    Set,
    Settings,
    ToE2ee,
    Topic,
)
from signaling.chat.ports import Actor
from signaling.chat.room import Room
from signaling.chat.state import RANK
from signaling.errors import ClientError, Code
from signaling.http.api.operation import (
    Auth,
    Body,
    Call,
    Operation,
    Page,
    Query,
    Recording,
    Reply,
)

MOST_FIRST = 500


class NewRoom(Body, frozen=True, kw_only=True):
    """`members` join at once; a direct room names the one other."""

    kind: Kind = Kind.GROUP
    mode: Mode = Mode.SEARCHABLE
    name: Name = ""
    topic: Topic = ""
    settings: Settings = Settings()
    custom: Custom = msgspec.field(default_factory=dict)
    members: Annotated[tuple[AccountId, ...], Meta(max_length=MOST_FIRST)] = ()


class ChangedRoom(Body, RoomFields, frozen=True, kw_only=True):
    """What is named changes; null takes a limit away."""


class ModeWish(Body, frozen=True, kw_only=True):
    mode: Mode


class PartWish(Body, frozen=True, kw_only=True):
    part: Part = Part.MEMBER
    reason: Reason = ""


class MemberAnswer(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    part: Part
    since: datetime | None


class RoomFilter(Query, frozen=True, kw_only=True):
    kind: Kind | None = None


class Handlers:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._chat = deps, deps.chat

    async def create(self, call: Call[NewRoom]) -> Reply:
        wish = call.body
        actor = await actor_of(self._deps, call)
        op = Create(
            kind=wish.kind, mode=wish.mode, name=wish.name, topic=wish.topic,
            settings=wish.settings, custom=wish.custom,
        )  # fmt: skip
        room, fresh = await begun(self._deps, actor, op, wish.members)
        call.note.target = f"room:{room.id}"
        return room_reply(room, actor.account, 201 if fresh else 200)

    async def mine(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        rooms = await self._deps.people.rooms_of(actor.app, actor.account)
        kind = call.query.kind
        shown = [room for room in rooms if kind is None or room.state.kind is kind]
        return _page(shown, call, lambda room: room.id, lambda r: room_answer(r, actor.account))

    async def public(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        limit, after = call.page.limit, call.page.after or ""
        rooms = await self._deps.people.public_rooms(actor.app, after, limit + 1)
        shown = [room for room in rooms[:limit] if room.state.part(actor.account) != Part.BANNED]
        more = rooms[limit - 1].id if len(rooms) > limit else None
        return Page([room_answer(room, actor.account) for room in shown], next=more)

    async def get(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        room = await self._chat.room_for(actor, call.path["room_id"], Act.GET_CHANNEL)
        return room_reply(room, actor.account)

    async def change(self, call: Call[ChangedRoom]) -> Reply:
        actor = await actor_of(self._deps, call)
        act = _asked(actor, Act.SET_CHANNEL)
        room = await self._chat.room_for(actor, call.path["room_id"], act)
        call.expect(f'"{room.state.changed}"')
        op = Set(**msgspec.structs.asdict(call.body))
        await self._chat.act(actor, room.id, op)
        call.note.target = f"room:{room.id}"
        return room_reply(room, actor.account)

    async def encrypt(self, call: Call[ModeWish]) -> Reply:
        actor = await actor_of(self._deps, call)
        act = _asked(actor, Act.SET_CHANNEL)
        room = await self._chat.room_for(actor, call.path["room_id"], act)
        await self._chat.act(actor, room.id, ToE2ee(mode=call.body.mode))
        call.note.target = f"room:{room.id}"
        return room_reply(room, actor.account)

    async def members(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        room = await self._chat.room_for(actor, call.path["room_id"], Act.GET_CHANNEL_MEMBERS)
        manages = RANK.get(room.state.part(actor.account), 0) > 1
        shown = [
            MemberAnswer(account=account, part=member.part, since=member.at)
            for account, member in room.state.members.items()
            if member.part in RANK or (manages and member.part is Part.BANNED)
        ]
        shown.sort(key=lambda member: member.account)
        return _page(shown, call, lambda member: member.account, lambda member: member)

    async def set_member(self, call: Call[PartWish]) -> MemberAnswer:
        actor = await actor_of(self._deps, call)
        room_id, account = call.path["room_id"], call.path["account_id"]
        own = account == actor.account
        act = _asked(actor, Act.SET_MEMBERSHIPS if own else Act.SET_CHANNEL_MEMBERS)
        room = await self._chat.room_for(actor, room_id, act)
        if room.state.part(account) is Part.NONE and not actor.token:
            await self._deps.people.require_account(actor.app, account)
        if call.body.part in RANK:
            await self._deps.people.enter(actor.app, room_id, account)
        op = Member(account=account, part=call.body.part, reason=call.body.reason)
        await self._chat.act(actor, room_id, op)
        call.note.target = f"room:{room_id}"
        call.note.details.update(account=account, role=call.body.part.value)
        member = room.state.members[account]
        return MemberAnswer(account=account, part=member.part, since=member.at)

    async def remove_member(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        room_id, account = call.path["room_id"], call.path["account_id"]
        own = account == actor.account
        act = _asked(actor, Act.REMOVE_MEMBERSHIPS if own else Act.REMOVE_CHANNEL_MEMBERS)
        room = await self._chat.room_for(actor, room_id, act)
        if room.state.part(account) is Part.NONE:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such member.")
        await self._chat.act(actor, room_id, Member(account=account, part=Part.NONE))
        call.note.target = f"room:{room_id}"
        call.note.details.update(account=account)
        return Reply(status=204)

    async def join(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        act = _asked(actor, Act.SET_MEMBERSHIPS)
        room = await self._chat.room_for(actor, call.path["room_id"], act)
        if room.state.part(actor.account) not in RANK:
            await self._deps.people.enter(actor.app, room.id, actor.account)
            op = Member(account=actor.account, part=Part.MEMBER)
            await self._chat.act(actor, room.id, op)
        call.note.target = f"room:{room.id}"
        return room_reply(room, actor.account)


async def begun(deps: Deps, actor: Actor, op: Create, members: Sequence[str]) -> tuple[Room, bool]:
    """A new room with its members, or the direct room that a pair has; whether it is new."""
    asked = deps.wishes.may_begin if op.kind is Kind.DIRECT else deps.chat.addable
    for account in members:
        await asked(actor, account)
    room = await deps.people.begin(actor, op, members)
    fresh = room.state.seq == 0 and room.state.creator is None
    if fresh:
        await deps.chat.say_as(room, actor.account, Part.OWNER, op)
    # Whoever asks for a pair's room makes it whole: a process may have died in the middle of this.
    for account in sorted({actor.account, *members}) if fresh or op.kind is Kind.DIRECT else ():
        if room.state.part(account) is Part.NONE:
            member = Member(account=account, part=Part.MEMBER)
            await deps.chat.say_as(room, actor.account, Part.OWNER, member)
    return room, fresh


def _asked(actor: Actor, act: Act) -> Act:
    """An access token is asked for what it does and for nothing else, as the table says; whether a
    session may is judged with the room's own rules.
    """
    return act if actor.token else Act.GET_CHANNEL


def _page(found: Sequence[Any], call: Call[Any], key: Any, show: Any) -> Page:
    """A page of what is in memory, by a key that rises."""
    after, limit = call.page.after, call.page.limit
    rest = [one for one in found if after is None or key(one) > after]
    more = key(rest[limit - 1]) if len(rest) > limit else None
    return Page([show(one) for one in rest[:limit]], next=more)


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)
    either: dict[str, Any] = {"auth": Auth.EITHER, "query": Uuid, "tag": TAG}
    return [
        Operation(
            "POST", "/rooms", "createRoom", "Begin a room", do.create, body=NewRoom,
            answer=RoomAnswer, status=201, scope="rooms:write", rate="write", tag=TAG,
            recording=Recording.DURABLE,
            errors=(Code.NOT_FOUND, Code.ENCRYPTION_UNAVAILABLE, Code.NOT_PERMITTED),
            description="A direct room that the pair has already is answered with 200.",
        ),
        Operation(
            "GET", "/rooms", "listRooms", "The rooms that you are in", do.mine, query=RoomFilter,
            answer=RoomAnswer, paged=True, scope="rooms:read", tag=TAG,
        ),
        Operation(
            "GET", "/public-rooms", "listPublicRooms", "Rooms that anybody may join", do.public,
            answer=RoomAnswer, paged=True, scope="rooms:read", tag=TAG,
        ),
        Operation(
            "GET", "/rooms/{room_id}", "getRoom", "One room", do.get, answer=RoomAnswer,
            errors=ROOM_ERRORS, **either,
        ),
        Operation(
            "PATCH", "/rooms/{room_id}", "changeRoom", "Change a room's names and settings",
            do.change, body=ChangedRoom, answer=RoomAnswer, rate="write", if_match=True,
            recording=Recording.DURABLE, errors=WRITE_ERRORS, **either,
        ),
        Operation(
            "POST", "/rooms/{room_id}/mode", "changeRoomMode",
            "Make a searchable room end-to-end encrypted, for good", do.encrypt, body=ModeWish,
            answer=RoomAnswer, rate="write", recording=Recording.DURABLE, errors=WRITE_ERRORS,
            **either,
        ),
        Operation(
            "GET", "/rooms/{room_id}/members", "listMembers", "Who is in a room", do.members,
            answer=MemberAnswer, paged=True, errors=ROOM_ERRORS, **either,
        ),
        Operation(
            "PUT", "/rooms/{room_id}/members/{account_id}", "setMember",
            "Add somebody, change what they are, or ban them", do.set_member, body=PartWish,
            answer=MemberAnswer, rate="write", recording=Recording.DURABLE,
            errors=(*WRITE_ERRORS, Code.NOT_FOUND, Code.LAST_OWNER, Code.ROOM_FULL), **either,
        ),
        Operation(
            "DELETE", "/rooms/{room_id}/members/{account_id}", "removeMember",
            "Remove somebody, or leave", do.remove_member, status=204, rate="write",
            recording=Recording.DURABLE, errors=(*ROOM_ERRORS, Code.NOT_FOUND, Code.LAST_OWNER),
            **either,
        ),
        Operation(
            "POST", "/rooms/{room_id}/join", "joinRoom", "Join an open room", do.join,
            answer=RoomAnswer, rate="write", recording=Recording.DURABLE,
            errors=(*ROOM_ERRORS, Code.ROOM_FULL), **either,
        ),
    ]  # fmt: skip
