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

`session` tells the sessions of one socket apart; its errors carry it too.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from signaling.sync.partition import Change

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


class PartitionUpload(Struct, frozen=True, kw_only=True, tag="upload"):
    """Rising versions from the acknowledged one on; what was integrated already is skipped."""

    session: Number
    changes: Annotated[list[Change], Meta(min_length=1, max_length=MOST_CHANGES)]


class PartitionMark(Struct, frozen=True, kw_only=True, tag="mark"):
    """Answered by the same when everything that was there at its arrival has been sent."""

    session: Number
    request: Count


class PartitionUnbind(Struct, frozen=True, kw_only=True, tag="unbind"):
    """End a session; nothing of it comes after `unbound`, and its number is free again."""

    session: Number


class PartitionUnbound(Struct, frozen=True, kw_only=True, tag="unbound"):
    session: int


class Place(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One op. Without `op`: the receiver's own change of that version, as it sent it."""

    seq: int
    ident: str
    version: int
    account: str = ""
    at: int = 0
    op: msgspec.Raw | UnsetType = UNSET


class PartitionDownload(Struct, frozen=True, kw_only=True, tag="download"):
    """Ops after `from` up to `to`, oldest first; the receiver's cursor is `to` once it has them.

    `bootstrap`: collect until "last", then begin anew from all of it at once. `packed` stands
    instead of `changes`: their JSON, deflated (RFC 1950), in base64.
    """

    session: int
    upload_client_version: int
    """The client's upload cursor: what is at or below it is integrated, durably."""
    from_: int = msgspec.field(name="from")
    to: int
    head: int
    """The newest op known; progress is `to` of `head`."""
    floor: int
    """Ops at or below it are gone; what they posted is to be dropped."""
    chain: str
    """At `to`."""
    downloadable_bytes: int | UnsetType = UNSET
    """About what is still to come after this one."""
    bootstrap: Literal["more", "last"] | UnsetType = UNSET
    clock: int | UnsetType = UNSET
    """With a bootstrap: the newest hybrid clock of the log."""
    state: msgspec.Raw | UnsetType = UNSET
    """With a bootstrap: what remains of ops that are gone."""
    changes: list[Place] | UnsetType = UNSET
    packed: str | UnsetType = UNSET


RECEIVED = (PartitionBind, PartitionIdent, PartitionUpload, PartitionMark, PartitionUnbind)
SENT: tuple[tuple[type[Struct], str], ...] = (
    (PartitionDownload, "Ops of a partition, and how far the upload has come"),
    (PartitionUnbound, "The session on a partition ended"),
)
