"""The frames of sync sessions, as they are on the wire and in the AsyncAPI document. Pure.

    client                                   server
    bind(path)                        ->
                                      <-     ident (when asked for: a new file ident and its salt)
    ident(ident, salt, cursors)       ->
                                      <-     download ... download
    upload(changes)                   ->
                                      <-     download (its upload cursor is the acknowledgement)
    mark                              ->
                                      <-     mark (everything present at the request was sent)
    unbind                            ->
                                      <-     unbound

`session` tells the sessions of one socket apart; its errors carry it too. Paths: `room:<id>`,
`account`, the account's own data, and `presence`, which has no log: its state, then `presence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from signaling.chat.account_ops import AccountOp
from signaling.chat.ops import CallPolicy, ClientOp, Clock, Op, Part, Version
from signaling.chat.seeing import Shown

MOST_CHANGES = 1000
Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Path = Annotated[str, Meta(min_length=1, max_length=200)]
Digits = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,18}$")]
Chain = Annotated[str, Meta(pattern=r"^(?:[A-Za-z0-9_-]{43})?$")]
Salt = Annotated[str, Meta(min_length=1, max_length=128)]


class PartitionBind(Struct, frozen=True, kw_only=True, tag="bind"):
    """Begin a session on one partition. `token`: an access token; without, as who opened the
    socket. Told from a subscription by its `path`."""

    session: Number
    path: Path
    token: Annotated[str, Meta(max_length=256)] | None = None
    uuid: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    """With a token that names nobody: who its bearer says to be."""
    need_client_file_ident: bool = False


class PartitionIdent(Struct, frozen=True, kw_only=True, tag="ident"):
    """From the server: keep these before anything else. From the client: who this file is, and how
    far it has come. `chain` is that of `download_server_version`; `upload_client_version` the
    newest version that was acknowledged to it."""

    session: Number
    client_file_ident: Digits
    client_file_ident_salt: Salt
    download_server_version: Count = 0
    chain: Chain = ""
    upload_client_version: Count = 0
    window: Count = 0
    """A bootstrap brings so many of the newest ops; 0: all that are kept."""
    compress: bool = False
    """The client reads `packed`."""


class RawUpload(Struct, frozen=True, kw_only=True, tag="upload"):
    """An upload as it is taken in: whose changes they are decides how each is read."""

    session: Number
    changes: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MOST_CHANGES)]


class UploadedChange(Struct, frozen=True, kw_only=True):
    """One op. `version` counts within the file from 1, without gaps; `clock` is a hybrid clock in
    milliseconds, clamped by the server to five minutes from now, or to one above its log's."""

    version: Version
    clock: Clock
    op: ClientOp | AccountOp


class PartitionUpload(Struct, frozen=True, kw_only=True, tag="upload"):
    """Rising versions from the acknowledged one on; what was integrated already is skipped."""

    session: Number
    changes: Annotated[list[UploadedChange], Meta(min_length=1, max_length=MOST_CHANGES)]


class PartitionMark(Struct, frozen=True, kw_only=True, tag="mark"):
    """Answered by the same when everything that was there at its arrival has been sent."""

    session: Number
    request: Count


class PartitionUnbind(Struct, frozen=True, kw_only=True, tag="unbind"):
    """End a session; nothing of it comes after `unbound`, and its number is free again."""

    session: Number


class PartitionUnbound(Struct, frozen=True, kw_only=True, tag="unbound"):
    session: int


class Place(Struct, frozen=True, kw_only=True):
    """One place of a log. Without `op`: the receiver's own change of that version, as it sent it.
    `account` and `part` (of a room): whose it is and what they were there, by the server's word."""

    seq: int
    ident: str
    version: int
    clock: int
    at: datetime
    account: str | UnsetType | None = UNSET
    part: Part | UnsetType = UNSET
    op: Op | AccountOp | UnsetType = UNSET


class DownloadHead(Struct, frozen=True, kw_only=True, tag="download"):
    """A download without its changes, which are encoded once for all who get them."""

    session: int
    upload_client_version: int
    from_: int = msgspec.field(name="from")
    to: int
    head: int
    floor: int
    chain: str
    downloadable_bytes: int | UnsetType = UNSET
    bootstrap: Literal["more", "last"] | UnsetType = UNSET
    state: msgspec.Raw | UnsetType = UNSET
    packed: str | UnsetType = UNSET


class PartitionDownload(Struct, frozen=True, kw_only=True, tag="download"):
    """Ops after `from` up to `to`, oldest first; the receiver's cursor is `to` once it has them.

    `upload_client_version`: the receiver's upload cursor; what is at or below it is integrated,
    durably. `head`: the newest op known. `floor`: ops at or below it are gone, and what they posted
    is to be dropped. `chain` is that at `to`. `bootstrap`: collect until "last", then begin anew
    from all of it at once, with `state`. `packed` stands instead of `changes`: their JSON, deflated
    (RFC 1950), in base64. `downloadable_bytes`: about what is still to come after this one.
    """

    session: int
    upload_client_version: Count
    from_: Count = msgspec.field(name="from")
    to: Count
    head: Count
    floor: Count
    chain: Chain
    downloadable_bytes: Count | UnsetType = UNSET
    bootstrap: Literal["more", "last"] | UnsetType = UNSET
    state: dict[str, Any] | UnsetType = UNSET
    changes: list[Place] | UnsetType = UNSET
    packed: str | UnsetType = UNSET


class PartitionTyping(Struct, frozen=True, kw_only=True, tag="typing"):
    """`account` writes for so many seconds more; 0: stopped. A hint, never stored."""

    session: int
    account: str
    seconds: int
    parent: str | None = None


class PartitionCursor(Struct, frozen=True, kw_only=True, tag="cursor"):
    """Somebody read or got `room` up to here. A hint; the REST API has the state."""

    session: int
    room: str
    account: str
    read: int = 0
    delivered: int = 0
    parent: str | None = None


class PartitionCall(Struct, frozen=True, kw_only=True, tag="call"):
    """Of `account`, the own data: a call rings, or what became of it. `event`: `ring`; of a callee
    (`account`) `accepted`, `rejected`, `busy`, `not_supported`, `timed_out`, `cancelled`; `ended`;
    of a lobby `knock`, `admitted`, `denied`. `elsewhere`: on another device than this. A hint; the
    REST API has the state (`listCalls`)."""

    session: int
    call: str
    room: str
    event: str
    caller: str
    account: str
    elsewhere: bool = False
    video: bool = False
    encryption: CallPolicy = CallPolicy.NONE
    until: datetime | UnsetType = UNSET


class PartitionPresence(Struct, frozen=True, kw_only=True, tag="presence"):
    """Of `presence`: how these are from now on, as far as they show it. Who was never named is
    offline. Never stored; of several changes of one account within a second the last is told."""

    session: int
    people: Sequence[Shown]


SENT: tuple[tuple[type[Struct], str], ...] = (
    (PartitionDownload, "Ops of a partition, and how far the upload has come"),
    (PartitionUnbound, "The session on a partition ended"),
    (PartitionTyping, "Somebody writes"),
    (PartitionCursor, "Somebody read, or got, up to here"),
    (PartitionCall, "A call rings, or what became of it"),
    (PartitionPresence, "How people are whom one shares a room with"),
)
