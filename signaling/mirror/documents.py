"""What a room looks like in the mirror: one document for each message, one for the room. Pure.

The envelope is everything but what people said: bodies, the room's name and topic, and reasons of
deletions go along only when the operator chose so, and what was encrypted never does.
docs/operations/mirror.md lists the fields; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from signaling.chat.bodies import Body, Plain
from signaling.chat.ops import Mode
from signaling.chat.reduce import MessageView
from signaling.chat.state import RoomState
from signaling.mirror.port import Document, Reason

# BSON's integers; what is beyond is written as text.
_MOST = 2**63 - 1
_DATES = (datetime,)


class MessageDocument(Struct, frozen=True, kw_only=True):
    """A message as it stands, with `_id` before it. `ops` are the places of the log that it was
    made of, `upto` how far the log was read for it.
    """

    room: str
    id: str
    seq: int
    upto: int
    ops: tuple[int, ...]
    account: str | None
    at: datetime
    kind: str
    parent: str | None
    reply_to: str | None
    mentions: dict[str, Any] | None
    attachments: tuple[dict[str, Any], ...]
    custom: dict[str, Any]
    silent: bool
    forwarded: dict[str, Any] | None
    expires_at: datetime | None
    edited_at: datetime | None
    deleted: dict[str, Any] | None
    pinned: bool
    reactions: tuple[dict[str, Any], ...]
    poll: dict[str, Any] | None
    thread: dict[str, Any] | None
    call: dict[str, Any] | None
    body: dict[str, Any] | None
    edits: tuple[dict[str, Any], ...]


class RoomDocument(Struct, frozen=True, kw_only=True):
    """A room, with `_id` before it and the mirror's own `upto`, `floor`, `chain`, `bodies`."""

    kind: str
    mode: str
    created_at: datetime | None
    creator: str | None
    members: tuple[dict[str, Any], ...]
    pinned: tuple[str, ...]
    name: str | None
    topic: str | None


# What stays of a message that was erased.
TOMBSTONE = ("room", "id", "upto", "parent", "seq")


def place_of(room: str, message: str) -> str:
    """The `_id` of a message: its own id is its author's choice, and only unique in its room."""
    return f"{room}/{message}"


def refusal(state: RoomState, *, phi: bool, guarded: bool) -> Reason | None:
    """Why a room is not to be mirrored. `guarded`: it is marked as one of health data."""
    if state.mode is Mode.TRANSIENT:
        return Reason.ROOM_TRANSIENT
    return Reason.ROOM_PHI if guarded and not phi else None


def message_document(
    room: str, view: MessageView, ops: Iterable[int], upto: int, *, bodies: bool
) -> Document:
    made = MessageDocument(
        room=room, id=view.id, seq=view.seq, upto=upto, ops=tuple(sorted(ops)),
        account=view.account, at=view.at, kind=view.kind, parent=view.parent,
        reply_to=view.reply_to, mentions=_plain(view.mentions),
        attachments=tuple(_fields(one) for one in view.attachments),
        custom=_custom(view.custom), silent=view.silent, forwarded=_plain(view.forwarded),
        expires_at=view.expires_at, edited_at=view.edited_at, deleted=_deleted(view, bodies=bodies),
        pinned=view.pinned,
        reactions=tuple({"emoji": one.emoji, "accounts": list(one.accounts)}
                        for one in view.reactions),
        poll=_plain(view.poll), thread=_plain(view.thread), call=_plain(view.call),
        body=_said(view.body) if bodies else None,
        edits=_edits(view) if bodies else (),
    )  # fmt: skip
    return {"_id": place_of(room, view.id), **_fields(made)}


def room_document(state: RoomState, *, bodies: bool) -> Document:
    made = RoomDocument(
        kind=state.kind.value,
        mode=state.mode.value,
        created_at=state.created_at,
        creator=state.creator,
        members=tuple(
            {"account": account, "part": state.part(account).value} for account in state.accounts()
        ),
        pinned=tuple(state.pinned()),
        name=state.name if bodies else None,
        topic=state.topic if bodies else None,
    )
    return _fields(made)


def _fields(made: Struct) -> Document:
    found: Document = msgspec.to_builtins(made, builtin_types=_DATES)
    return found


def _plain(value: Struct | None) -> dict[str, Any] | None:
    return None if value is None else _fields(value)


def _deleted(view: MessageView, *, bodies: bool) -> dict[str, Any] | None:
    found = _plain(view.deleted)
    if found is not None and not bodies:
        found.pop("reason", None)
    return found


def _custom(custom: dict[str, bool | int | float | str | None]) -> dict[str, Any]:
    return {name: _bounded(value) for name, value in custom.items()}


def _bounded(value: Any) -> Any:
    too_large = isinstance(value, int) and not -_MOST <= value <= _MOST
    return str(value) if too_large else value


def _said(body: Body | None) -> dict[str, Any] | None:
    """Never a sealed body, nor the key of a file."""
    if not isinstance(body, Plain):
        return None
    found = _fields(body)
    for file in found.get("files", ()):
        file.pop("key", None)
    return found


def _edits(view: MessageView) -> tuple[dict[str, Any], ...]:
    said = ((one, _said(one.body)) for one in view.edits)
    return tuple({"seq": one.seq, "at": one.at, "body": body} for one, body in said if body)
