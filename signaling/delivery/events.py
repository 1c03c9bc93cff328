"""What happened in a room, as others are told: CloudEvents 1.0 in JSON, and who wants which. Pure.

An event is made of one entry of the room's log: its op as sync and REST show it, without what the
receiver may not have. A key of a file never leaves; bodies leave by the room's mode.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from signaling.chat.bodies import Sealed
from signaling.chat.ops import (
    CallOp,
    Close,
    Create,
    Custom,
    Delete,
    Edit,
    Entry,
    Erase,
    Member,
    Mode,
    Part,
    Pin,
    Post,
    React,
    Set,
    ToE2ee,
    Vote,
    Word,
)

PREFIX = "sotto."
SPEC = "1.0"


class EventType(StrEnum):
    """Without the prefix of CloudEvents' `type`."""

    MESSAGE_POSTED = "message.posted"
    MESSAGE_EDITED = "message.edited"
    MESSAGE_DELETED = "message.deleted"
    MESSAGE_ERASED = "message.erased"
    MESSAGE_REACTED = "message.reacted"
    MESSAGE_PINNED = "message.pinned"
    POLL_VOTED = "poll.voted"
    POLL_CLOSED = "poll.closed"
    ROOM_CREATED = "room.created"
    ROOM_CHANGED = "room.changed"
    ROOM_ENCRYPTED = "room.encrypted"
    ROOM_ERASED = "room.erased"
    MEMBER_CHANGED = "member.changed"
    MEMBER_LEFT = "member.left"
    MEMBER_BANNED = "member.banned"
    CALL_STARTED = "call.started"
    CALL_ENDED = "call.ended"
    CALL_MISSED = "call.missed"
    CALL_REJECTED = "call.rejected"
    CALL_CANCELLED = "call.cancelled"
    # Of no log: told as they pass to who names them.
    RECEIPT_MOVED = "receipt.moved"
    PRESENCE_CHANGED = "presence.changed"
    # Of no log either: notices of GDPR 19, to whoever may hold something of the person.
    ACCOUNT_RECTIFIED = "account.rectified"
    ACCOUNT_ERASED = "account.erased"
    ACCOUNT_RESTRICTED = "account.restricted"
    ACCOUNT_RELEASED = "account.released"
    # Nor these, of `happenings`: kept until they are delivered, to who names them.
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_CHANGED = "account.changed"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    ACCOUNT_REMOVED = "account.removed"
    FILE_READY = "file.ready"
    FILE_REFUSED = "file.refused"
    FILE_DELETED = "file.deleted"
    PUSH_GONE = "push.gone"
    PUSH_REFUSED = "push.refused"


_TYPES: dict[type, EventType] = {
    Post: EventType.MESSAGE_POSTED,
    Edit: EventType.MESSAGE_EDITED,
    Delete: EventType.MESSAGE_DELETED,
    Erase: EventType.MESSAGE_ERASED,
    React: EventType.MESSAGE_REACTED,
    Pin: EventType.MESSAGE_PINNED,
    Vote: EventType.POLL_VOTED,
    Close: EventType.POLL_CLOSED,
    Create: EventType.ROOM_CREATED,
    Set: EventType.ROOM_CHANGED,
    ToE2ee: EventType.ROOM_ENCRYPTED,
}
_PARTS = {Part.NONE: EventType.MEMBER_LEFT, Part.BANNED: EventType.MEMBER_BANNED}

Wanted = Annotated[str, Meta(pattern=r"^[a-z]+\.([a-z]+|\*)$")]
AccountId = Annotated[str, Meta(min_length=1, max_length=256)]


class EventFilter(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Which events: all that are named must hold, and what is empty holds always.

    `events` are types or groups (`message.*`); `accounts` who did it; `kinds` and `custom` are a
    post's own fields; `jsonpath` (RFC 9535) selects something of the event without its body.
    Filters read the envelope only, so they work in encrypted rooms.
    """

    events: Annotated[tuple[Wanted, ...], Meta(max_length=32)] = ()
    accounts: Annotated[tuple[AccountId, ...], Meta(max_length=100)] = ()
    kinds: Annotated[tuple[Word, ...], Meta(max_length=32)] = ()
    custom: Custom = {}
    jsonpath: Annotated[str, Meta(max_length=512)] = ""

    def __post_init__(self) -> None:
        if self.jsonpath:
            from signaling.delivery.paths import compiled  # brings a library that few need

            compiled(self.jsonpath)

    def hears_of_erasure(self) -> bool:
        """Of a whole room: whoever hears of messages or rooms may have copies."""
        names = {"message.erased", "message.*", "room.erased", "room.*"}
        return not self.events or not names.isdisjoint(self.events)

    def asks_for(self, kind: EventType, account: str) -> bool:
        """Of what is in no log: only by name."""
        group = kind.value.partition(".")[0] + ".*"
        if kind.value not in self.events and group not in self.events:
            return False
        return account in (self.accounts or (account,)) and not self.kinds and not self.custom

    def admits(self, entry: Entry) -> bool:
        kind = type_of(entry)
        if kind is None:
            return False
        group = kind.value.partition(".")[0] + ".*"
        if self.events and kind.value not in self.events and group not in self.events:
            return False
        if self.accounts and entry.account not in self.accounts:
            return False
        if not self.kinds and not self.custom:
            return True
        op = entry.op
        if not isinstance(op, Post) or (self.kinds and op.kind not in self.kinds):
            return False
        return all(name in op.custom and op.custom[name] == v for name, v in self.custom.items())

    def selects(self, event: CloudEvent) -> bool:
        """By the path alone. What was given before is called back whatever it selects."""
        if not self.jsonpath or event.type == PREFIX + EventType.MESSAGE_ERASED:
            return True
        from signaling.delivery.paths import selects

        envelope = msgspec.to_builtins(event)
        op = envelope["data"].get("op")
        if op is not None:
            op.pop("body", None)
        return selects(self.jsonpath, envelope)


class CloudEvent(Struct, frozen=True, kw_only=True):
    """CloudEvents 1.0, section 3, in the JSON format's order."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str
    data: Any
    specversion: str = SPEC
    datacontenttype: str = "application/json"


def type_of(entry: Entry) -> EventType | None:
    """None for what is told to nobody: ops without effect, and places of erased ones."""
    op = entry.op
    if isinstance(op, Member):
        return _PARTS.get(op.part, EventType.MEMBER_CHANGED)
    if isinstance(op, CallOp):
        return EventType(f"call.{op.state.value}")
    return _TYPES.get(type(op))


def event_of(
    base: str, room: str, mode: Mode, entry: Entry, *, ciphertext: bool, epoch: str = ""
) -> CloudEvent | None:
    """`base` is where the API is; `ciphertext` whether bodies that only members can read go along
    (they do on routes, not on webhooks). The id is the entry's place: the same each time.
    """
    kind = type_of(entry)
    if kind is None:
        return None
    op = msgspec.to_builtins(entry.op)
    sealed = mode is Mode.E2EE or isinstance(getattr(entry.op, "body", None), Sealed)
    if sealed and not ciphertext:
        op.pop("body", None)
    _without_keys(op.get("body"))
    place = f"{room}:{epoch}:{entry.seq}" if epoch else f"{room}:{entry.seq}"
    data: dict[str, Any] = {
        "room": room, "mode": mode.value, "seq": entry.seq, "account": entry.account,
        "part": entry.part.value, "op": op,
    }  # fmt: skip
    if entry.expires_at is not None:
        data["expires_at"] = entry.expires_at
    subject = op.get("id") or op.get("account") or room
    return CloudEvent(
        id=place, source=f"{base}/rooms/{room}", type=PREFIX + kind.value, time=entry.at,
        subject=subject, data=data,
    )  # fmt: skip


def _without_keys(body: Any) -> None:
    if isinstance(body, dict):
        for file in body.get("files", ()):
            file.pop("key", None)
