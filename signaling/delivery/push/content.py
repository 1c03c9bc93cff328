"""What a notification says, by what its room is: everything, ids, or that there is something. Pure.

transient                        that there is something; of a call also which
e2ee, phi                        ids of room and message
searchable                       those, and who
  ... with preview, and wished   names and the beginning of what was written
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from signaling.delivery.notify import Notice, RoomFacts

MAX_TEXT = 400  # characters; the whole stays below 4 kB in every script
MAX_NAME = 80
_CALLS = frozenset({"call", "missed", "over"})


class Content(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device gets, as JSON. `tag` is equal for what replaces each other."""

    kind: str
    tag: str
    room: str = ""
    id: str = ""
    seq: int = 0
    parent: str | None = None
    sender: str = ""
    sender_name: str = ""
    room_name: str = ""
    text: str = ""
    emoji: str = ""
    call: str = ""
    video: bool = False
    reject: str = ""
    expires_at: int = 0


def content(
    notice: Notice, facts: RoomFacts, tag: str, *, wished: bool, name: str = "", expires: float = 0
) -> Content:
    """`wished`: the recipient wants to see what was written; `name` is the sender's."""
    ring = notice.kind in _CALLS
    at = int(expires) if notice.kind == "call" else 0
    if facts.transient:
        kind = notice.kind if ring else "wake"
        room = notice.room if ring else ""
        said = Content(kind=kind, tag=tag, room=room, expires_at=at)
        return _ringing(said, notice) if ring else said
    said = Content(
        kind=notice.kind, tag=tag, room=notice.room, id=notice.id, seq=notice.seq,
        parent=notice.parent, expires_at=at,
    )  # fmt: skip
    said = _ringing(said, notice) if ring else said
    if not facts.open:
        return said
    said = msgspec.structs.replace(said, sender=notice.sender)
    if not shows(facts, wished=wished):
        return said
    return msgspec.structs.replace(
        said,
        sender_name=name[:MAX_NAME],
        room_name=facts.name[:MAX_NAME],
        text=_shortened(notice.preview or ""),
        emoji=notice.emoji,
    )


def _ringing(said: Content, notice: Notice) -> Content:
    """What a device needs to answer, whatever the room is."""
    return msgspec.structs.replace(said, call=notice.call, video=notice.video, reject=notice.reject)


def shows(facts: RoomFacts, *, wished: bool) -> bool:
    """May anything that people wrote be in it?"""
    return facts.open and facts.preview and wished and not facts.transient


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


encode = msgspec.json.Encoder().encode
