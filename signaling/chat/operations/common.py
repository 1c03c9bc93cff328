"""What the chat's operations share: who acts (on either plane), the shapes of rooms, and tags."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.access.door import Door
from signaling.access.evaluate import Granted
from signaling.chat.accounts import Accounts
from signaling.chat.ops import CallPolicy, Kind, Mode, Part, Settings
from signaling.chat.people import People
from signaling.chat.ports import Actor
from signaling.chat.room import Room
from signaling.chat.service import Chat
from signaling.chat.wishes import Wishes
from signaling.clock import Clock
from signaling.errors import Code, Refused
from signaling.http.api.operation import Call, Query, Reply
from signaling.ids import Ids
from signaling.keys.port import Sealer

TAG = "Rooms"
MESSAGES = "Messages"
# What every operation on a room may answer.
ROOM_ERRORS = (
    Code.ROOM_NOT_FOUND, Code.BANNED, Code.NOT_PERMITTED, Code.ACCESS_DENIED,
    Code.ACCESS_TOKEN_EXPIRED, Code.ACCESS_TOKEN_REVOKED, Code.INSUFFICIENT_SCOPE,
)  # fmt: skip
WRITE_ERRORS = (
    *ROOM_ERRORS, Code.PLAINTEXT_REFUSED, Code.AUTHOR_MISMATCH, Code.ENCRYPTION_UNAVAILABLE,
    Code.CONFLICT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deps:
    """`chat` and what stands around it."""

    chat: Chat
    accounts: Accounts
    people: People
    door: Door
    sealer: Sealer
    clock: Clock
    ids: Ids
    wishes: Wishes


class Uuid(Query, frozen=True, kw_only=True):
    """For whom an access token is used; a session says that itself."""

    uuid: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class RoomAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`part` is what you are in it, `members` how many it has, `head` the seq of its newest op."""

    id: str
    kind: Kind
    mode: Mode
    name: str
    topic: str
    avatar: str | None
    custom: dict[str, bool | int | float | str | None]
    settings: Settings
    creator: str | None
    created_at: datetime | None
    part: Part
    members: int
    pins: list[str]
    head: int
    call_encryption: CallPolicy = CallPolicy.NONE


def room_answer(room: Room, account: str) -> RoomAnswer:
    state = room.state
    return RoomAnswer(
        id=room.id, kind=state.kind, mode=state.mode, name=state.name, topic=state.topic,
        avatar=state.avatar, custom=state.custom, settings=state.settings, creator=state.creator,
        created_at=state.created_at, part=state.part(account), members=len(state.accounts()),
        pins=state.pinned(), head=state.seq, call_encryption=state.settings.call_encryption,
    )  # fmt: skip


def room_etag(room: Room) -> str:
    return f'"{room.state.changed}"'


def etag_of(value: Any) -> str:
    """Of anything that is shown whole."""
    return f'"{hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:24]}"'


def room_reply(room: Room, account: str, status: int = 200) -> Reply:
    return Reply(room_answer(room, account), status=status, etag=room_etag(room))


async def actor_of(deps: Deps, call: Call[Any]) -> Actor:
    """Of an operation for either plane. Raises Refused: 403 for what has no account."""
    principal = call.principal
    if principal.known:
        if principal.account is None:
            raise Refused(Code.NOT_PERMITTED, 403, "Only an account takes part in rooms.")
        return await deps.people.actor(principal)
    uuid = getattr(call.query, "uuid", None)
    holder, who = await deps.door.holder_of(call.request, principal, uuid)
    assert isinstance(holder, Granted)
    account = uuid or holder.bound or f"token-{holder.ident[:16]}"
    return Actor(app=principal.app, account=account, holder=holder, who=who, token=True)


def ident_of(deps: Deps, actor: Actor, call: Call[Any], room: str) -> str | None:
    """The ident of an Idempotency-Key: the same request twice is one op, also after a crash."""
    if call.idempotency_key is None:
        return None
    said = f"idempotency:{actor.account}:{room}:{call.request.path}:{call.idempotency_key}"
    return "key:" + deps.sealer.blind(actor.app, said)
