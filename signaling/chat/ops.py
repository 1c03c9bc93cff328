"""Everything durable of a room, one struct for each kind of op, as it travels in sync and REST.

An op says what its author wants; who that is, when and with which standing is the server's to say
(`Entry`). What follows from all ops of a room is `reduce`'s, who may make which is `rights`'s.

    register      edit, react, pin, vote, set: the highest stamp (clock, ident, version) wins
    by seq        member, mode: the server's order decides, since a clock must not grant rights
    sticky        delete, close, erase: once is for good, whatever the order
    first         post, create: of two with one id the lower seq is the message

`void`, `erased`, `erase` and `call` come from the server only. Pure types with their limits. Long
because all that a log may hold is one union.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from signaling.chat.bodies import (
    AccountId,
    Body,
    FileId,
    MessageId,
    Plain,
    RoomId,
    Sealed,
)

MAX_MENTIONS = 100
MAX_CUSTOM = 32
# JSON of a post's custom fields.
MAX_CUSTOM_BYTES = 4096
MAX_ERASED = 1000
YEAR = 366 * 86400
# The highest clock that is exact in JavaScript.
MAX_CLOCK = 2**53 - 1
MAX_VERSION = 2**53 - 1


class Kind(StrEnum):
    """What a room is for. `direct` has two members for good and one room for each pair."""

    DIRECT = "direct"
    GROUP = "group"
    PRIVATE = "private"
    PUBLIC = "public"
    ANNOUNCEMENT = "announcement"


class Mode(StrEnum):
    """Chosen at creation. Searchable may become e2ee, once, for what follows."""

    SEARCHABLE = "searchable"
    E2EE = "e2ee"
    TRANSIENT = "transient"


class Part(StrEnum):
    """What an account is in a room. `none` has left or was removed; `guest` came by a guest link,
    `service` by an access token without being a member.
    """

    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"
    GUEST = "guest"
    SERVICE = "service"
    BANNED = "banned"
    NONE = "none"


class Who(StrEnum):
    MEMBERS = "members"
    MODERATORS = "moderators"


class Join(StrEnum):
    """How a stranger gets in: at once, by asking, or by invitation only."""

    OPEN = "open"
    REQUEST = "request"
    INVITE = "invite"


class CallPolicy(StrEnum):
    """Encryption of the room's calls. `required` is refused until the encryption issue."""

    NONE = "none"
    REQUIRED = "required"


class Lobby(StrEnum):
    """Who waits until a moderator lets them into a call: nobody, who is no member (guests), or
    everybody but moderators.
    """

    OFF = "off"
    GUESTS = "guests"
    EVERYBODY = "everybody"


class CallState(StrEnum):
    STARTED = "started"
    ENDED = "ended"
    MISSED = "missed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


Scalar = bool | int | float | Annotated[str, Meta(max_length=1024)] | None
FieldName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Custom = Annotated[dict[FieldName, Scalar], Meta(max_length=MAX_CUSTOM)]
Emoji = Annotated[str, Meta(min_length=1, max_length=64)]
Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_.-]+$")]
Reason = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(max_length=200)]
Topic = Annotated[str, Meta(max_length=2000)]
Seconds = Annotated[int, Meta(ge=1, le=10 * YEAR)]
Version = Annotated[int, Meta(ge=1, le=MAX_VERSION)]
Clock = Annotated[int, Meta(ge=0, le=MAX_CLOCK)]


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of an op."""


class _Op(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
    tag_field="type",
):  # fmt: skip
    """Base of all ops."""


class Mentions(_Part, frozen=True, kw_only=True):
    """Whom to tell although they read little: some accounts, or everybody (`room`)."""

    accounts: Annotated[tuple[AccountId, ...], Meta(max_length=MAX_MENTIONS)] = ()
    room: bool = False


class Attachment(_Part, frozen=True, kw_only=True):
    """What the server may know of a file. Of a plain body they name exactly its files."""

    id: FileId
    size: Annotated[int, Meta(ge=0, le=2**53)] = 0
    voice: bool = False


class Forwarded(_Part, frozen=True, kw_only=True):
    """Where a forwarded message was said first, and by whom."""

    room: RoomId
    id: MessageId
    account: AccountId | None = None


class Poll(_Part, frozen=True, kw_only=True):
    """The countable part of a poll; question and options are in the body."""

    options: Annotated[int, Meta(ge=2, le=20)]
    multiple: bool = False
    closes_at: Annotated[datetime, Meta(tz=True)] | None = None


class Settings(_Part, frozen=True, kw_only=True):
    """Of a room. `ttl` is the life of messages that name none; `preview` lets notifications tell
    what was written, to who wishes it; `since_join` hides what was said before one came;
    `retention` in seconds, None for the installation's rule; `receipts` whether anybody sees who
    has read; `phi` that it holds health data, of which nothing leaves; `peek` lets who is signed in
    look at the newest messages of a public room before joining it (`peeking`).
    """

    join: Join = Join.INVITE
    post: Who = Who.MEMBERS
    invite: Who = Who.MODERATORS
    pin: Who = Who.MODERATORS
    mention_room: Who = Who.MODERATORS
    preview: bool = False
    since_join: bool = False
    receipts: bool = True
    ttl: Seconds | None = None
    retention: Seconds | None = None
    call_encryption: CallPolicy = CallPolicy.NONE
    lobby: Lobby = Lobby.OFF
    phi: bool = False
    peek: bool = False


class Create(_Op, frozen=True, kw_only=True, tag="create"):
    """The first op of a room. Its author is the owner."""

    kind: Kind
    mode: Mode
    name: Name = ""
    topic: Topic = ""
    settings: Settings = Settings()
    custom: Custom = {}


class Post(_Op, frozen=True, kw_only=True, tag="post"):
    """A message. Everything but `body` is readable by the server.

    `parent` is the first message of the thread that it is in, `reply_to` the message it quotes;
    `ttl` its life in seconds; `silent` rings nobody and counts as read. `kind` is `text`, `poll` or
    a word of the application's own.
    """

    id: MessageId
    body: Body
    kind: Word = "text"
    parent: MessageId | None = None
    reply_to: MessageId | None = None
    mentions: Mentions | None = None
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=20)] = ()
    custom: Custom = {}
    silent: bool = False
    ttl: Seconds | None = None
    forwarded: Forwarded | None = None
    poll: Poll | None = None


class Edit(_Op, frozen=True, kw_only=True, tag="edit"):
    """Another body for one's own message; what it said before stays in `edits`. `attachments` are
    the files from here on: None for those of a plain body, or with a sealed one as they were.
    """

    id: MessageId
    body: Body
    mentions: Mentions | None = None
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=20)] | None = None


class Delete(_Op, frozen=True, kw_only=True, tag="delete"):
    """For everybody: one's own message, or anybody's for a moderator. For oneself alone: `Hide`."""

    id: MessageId
    reason: Reason = ""


class React(_Op, frozen=True, kw_only=True, tag="react"):
    """One register for each account, message and `emoji`. In encrypted rooms `emoji` is an opaque
    tag of the sender's making and the body says which it is.
    """

    id: MessageId
    emoji: Emoji
    on: bool = True
    body: Sealed | None = None


class Pin(_Op, frozen=True, kw_only=True, tag="pin"):
    id: MessageId
    on: bool = True


class Vote(_Op, frozen=True, kw_only=True, tag="vote"):
    """All choices of one account in a poll, by position; none takes the vote back."""

    id: MessageId
    choices: Annotated[tuple[Annotated[int, Meta(ge=0, le=19)], ...], Meta(max_length=20)] = ()


class Close(_Op, frozen=True, kw_only=True, tag="close"):
    """Ends a poll: its author, or a moderator."""

    id: MessageId


class RoomFields(Struct, frozen=True, kw_only=True):
    """Of a room, what can be changed; each is a register of its own."""

    name: Name | UnsetType = UNSET
    topic: Topic | UnsetType = UNSET
    avatar: FileId | UnsetType | None = UNSET
    custom: Custom | UnsetType = UNSET
    join: Join | UnsetType = UNSET
    post: Who | UnsetType = UNSET
    invite: Who | UnsetType = UNSET
    pin: Who | UnsetType = UNSET
    mention_room: Who | UnsetType = UNSET
    preview: bool | UnsetType = UNSET
    since_join: bool | UnsetType = UNSET
    receipts: bool | UnsetType = UNSET
    ttl: Seconds | UnsetType | None = UNSET
    retention: Seconds | UnsetType | None = UNSET
    call_encryption: CallPolicy | UnsetType = UNSET
    lobby: Lobby | UnsetType = UNSET
    phi: bool | UnsetType = UNSET
    peek: bool | UnsetType = UNSET


class Set(_Op, RoomFields, frozen=True, kw_only=True, tag="set"):
    """Changes what is named and leaves the rest."""


class Member(_Op, frozen=True, kw_only=True, tag="member"):
    """What `account` is from here on. With `part` none for oneself: leaving."""

    account: AccountId
    part: Part
    reason: Reason = ""


class ToE2ee(_Op, frozen=True, kw_only=True, tag="mode"):
    """From here on bodies are encrypted. There is no way back."""

    mode: Mode = Mode.E2EE


class CallOp(_Op, frozen=True, kw_only=True, tag="call"):
    """Server only. What became of a call; `ended` and the others outrank `started`. `accounts`: who
    called first, then who took part, or was rung when nobody came.
    """

    id: MessageId
    state: CallState
    accounts: Annotated[tuple[AccountId, ...], Meta(max_length=200)] = ()
    seconds: Annotated[int, Meta(ge=0)] = 0
    encryption: CallPolicy = CallPolicy.NONE


class Erase(_Op, frozen=True, kw_only=True, tag="erase"):
    """Server only. What stood at these places is gone for good; `ids` are the messages' among it.
    `reason` is `expired`, `retention`, `erasure` or `deleted`.
    """

    seqs: Annotated[tuple[int, ...], Meta(max_length=MAX_ERASED)]
    ids: Annotated[tuple[MessageId, ...], Meta(max_length=MAX_ERASED)] = ()
    reason: Word = "erasure"


class Void(_Op, frozen=True, kw_only=True, tag="void"):
    """Server only. An op that was not allowed keeps its place here; `code` says why."""

    code: str
    was: str = ""


class Erased(_Op, frozen=True, kw_only=True, tag="erased"):
    """Server only, never stored: what a reader is told of a place whose op was erased."""


# What a client may send, and what may stand in a log.
ClientOp = Post | Edit | Delete | React | Pin | Vote | Close | Set | Member | ToE2ee
Op = Create | ClientOp | CallOp | Erase | Void | Erased


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One op as a client uploads it. `version` counts within its ident from 1 without a gap;
    `clock` is its hybrid clock in ms, clamped by the server (`checks.clamp`).
    """

    version: Version
    clock: Clock
    op: ClientOp


class Entry(Struct, frozen=True, kw_only=True):
    """One place of a room's log as readers see it. `account` is None for the server itself; `part`
    is what the author was when the server took the op, and at least `moderator` for a delete or
    close by who might do so to anybody's. `expires_at` is the end of a post's life, by its own
    `ttl` or the room's.
    """

    seq: int
    ident: str
    version: int
    clock: int
    at: datetime
    account: str | None
    part: Part
    op: Op
    expires_at: datetime | None = None

    @property
    def stamp(self) -> tuple[int, str, int]:
        return (self.clock, self.ident, self.version)


def tag_of(op: Struct) -> str:
    """The `type` of an op."""
    tag = op.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def attachments_of(op: Post | Edit) -> tuple[Attachment, ...] | None:
    """What the message holds by this op; None when it leaves them as they were."""
    if isinstance(op, Edit) and isinstance(op.body, Plain):
        return files_of(op.body)
    return op.attachments


def files_of(body: Plain) -> tuple[Attachment, ...]:
    return tuple(Attachment(id=file.id, size=file.size, voice=file.voice) for file in body.files)


def to_json(value: Any) -> bytes:
    return msgspec.json.encode(value)
