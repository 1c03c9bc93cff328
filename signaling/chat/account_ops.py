"""An account's own data, the same on all its devices: the ops of the `account` partition.

Each is a register of its own (the highest stamp wins) or sticky, so devices may be offline for as
long as they like. Nobody else ever reads them. Read cursors are not here: the server keeps their
maximum and tells the devices. Pure types with their limits.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from signaling.chat.bodies import AccountId, Body, MessageId, RoomId
from signaling.chat.ops import Clock, Custom, Erased, Version, Void

# Of each sort. What is beyond is refused; what was given up counts no more.
MOST_DRAFTS = 1000
MOST_SAVED = 5000
MOST_HIDDEN = 20_000
MOST_BLOCKED = 2000
MOST_NOTIFY = 5000


class Visibility(StrEnum):
    """Who sees it, or may do it. `contacts` share a room with the account."""

    EVERYONE = "everyone"
    CONTACTS = "contacts"
    NOBODY = "nobody"


class Notify(StrEnum):
    """What of a room reaches its devices while they sleep."""

    ALL = "all"
    MENTIONS = "mentions"
    NOTHING = "nothing"


class _Op(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
    tag_field="type",
):  # fmt: skip
    """Base."""


class Draft(_Op, frozen=True, kw_only=True, tag="draft"):
    """What is being written in a room, or a thread of it; None when it was sent or given up."""

    room: RoomId
    parent: MessageId | None = None
    body: Body | None = None


class Save(_Op, frozen=True, kw_only=True, tag="save"):
    """A message to find again, with a note and perhaps a time to be reminded at."""

    room: RoomId
    id: MessageId
    on: bool = True
    note: Annotated[str, Meta(max_length=500)] = ""
    remind_at: Annotated[datetime, Meta(tz=True)] | None = None


class Hide(_Op, frozen=True, kw_only=True, tag="hide"):
    """Delete for me: sticky."""

    room: RoomId
    id: MessageId


class HideUpto(_Op, frozen=True, kw_only=True, tag="hide_upto"):
    """Clear a room's history for me, up to a seq: a maximum."""

    room: RoomId
    seq: Annotated[int, Meta(ge=1, le=2**53)]


class Block(_Op, frozen=True, kw_only=True, tag="block"):
    """From a blocked account nothing counts, rings or opens a direct room."""

    account: AccountId
    on: bool = True


class NotifyOp(_Op, frozen=True, kw_only=True, tag="notify"):
    room: RoomId
    level: Notify


class PreferenceFields(Struct, frozen=True, kw_only=True):
    """Of an account's preferences, each a register of its own."""

    read_receipts: bool | UnsetType = UNSET
    delivered_receipts: bool | UnsetType = UNSET
    typing: bool | UnsetType = UNSET
    presence: Visibility | UnsetType = UNSET
    last_seen: Visibility | UnsetType = UNSET
    status: Visibility | UnsetType = UNSET
    direct_from: Visibility | UnsetType = UNSET
    added_by: Visibility | UnsetType = UNSET
    calls_from: Visibility | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET


class Prefer(_Op, PreferenceFields, frozen=True, kw_only=True, tag="prefer"):
    """Changes what is named. Who does not show a thing does not see it of others either
    (receipts, typing, presence). `direct_from`, `added_by` and `calls_from`: who may begin a direct
    room, add the account to a room, and ring it.
    """


# What a device may send, and what may stand in an account's log.
AccountOp = Draft | Save | Hide | HideUpto | Block | NotifyOp | Prefer
AccountLogOp = AccountOp | Void | Erased


class AccountChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `ops.Change`, of the account partition."""

    version: Version
    clock: Clock
    op: AccountOp


class AccountEntry(Struct, frozen=True, kw_only=True):
    """One place of an account's log."""

    seq: int
    ident: str
    version: int
    clock: int
    at: datetime
    op: AccountLogOp

    @property
    def stamp(self) -> tuple[int, str, int]:
        return (self.clock, self.ident, self.version)
