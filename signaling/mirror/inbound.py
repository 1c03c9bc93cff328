"""A document that somebody put into the inbox: read without trusting a byte of it. Pure.

Bytes are BSON, which a driver checks when it is asked to and a server does not: text that is no
UTF-8, numbers that are none, any depth. What is not exactly a `NewPost` is refused with a reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import bson
import msgspec
from bson import ObjectId, json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from msgspec import Meta, Struct

from signaling.chat.bodies import MAX_TEXT, AccountId, MessageId, Plain, RoomId
from signaling.chat.ops import Custom, Mentions, Post, Seconds, Word
from signaling.mirror.port import Quarantined, Reason, Waiting

MAX_DOCUMENT = 64 * 1024
# Of a document that is shown in the quarantine, as extended JSON; and of why it is there.
MAX_SOURCE = 16 * 1024
MAX_DETAIL = 200
# MongoDB's own bound for nesting is 100; a post has no use for more than this.
MAX_DEPTH = 8

# What is no UTF-8 becomes lone surrogates, which no text has: found by `_checked`.
_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="surrogateescape",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
# What the driver raises for bytes that are no document.
_BROKEN = (BSONError, ValueError, OverflowError, RecursionError, TypeError)
_ID = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class NewPost(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What lies in the inbox, with `_id` (text, or an ObjectId) before it. `author` is a bot's
    account; `text` is Markdown, as in the app.
    """

    room: RoomId
    author: AccountId
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    kind: Word = "text"
    parent: MessageId | None = None
    reply_to: MessageId | None = None
    mentions: Mentions | None = None
    custom: Custom = {}
    silent: bool = False
    ttl: Seconds | None = None

    def post(self, ident: str) -> Post:
        return Post(
            id=ident, body=Plain(text=self.text), kind=self.kind, parent=self.parent,
            reply_to=self.reply_to, mentions=self.mentions, custom=self.custom,
            silent=self.silent, ttl=self.ttl,
        )  # fmt: skip


class Read(Struct, frozen=True, kw_only=True):
    """`id` is the document's, as text that no other kind of id has."""

    id: str
    post: NewPost


class Malformed(Exception):  # noqa: N818 - names what happened
    """`detail` may quote the document and goes back to where that came from, nowhere else."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason.value)
        self.reason, self.detail = reason, detail


def read(data: bytes) -> Read:
    """Raises Malformed."""
    if len(data) > MAX_DOCUMENT:
        message = f"It has {len(data)} bytes; {MAX_DOCUMENT} are the most."
        raise Malformed(Reason.TOO_LARGE, message)
    found = _decoded(data)
    ident = id_of(found.pop("_id", None))
    if ident is None:
        raise Malformed(Reason.SHAPE, "`_id` is an ObjectId, or text of 1 to 200 characters.")
    try:
        post = msgspec.convert(_checked(found, 0), NewPost, strict=True)
    except (msgspec.ValidationError, TypeError, OverflowError) as error:
        raise Malformed(Reason.SHAPE, str(error)) from error
    return Read(id=ident, post=post)


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return bson.decode(data, _OPTIONS)
    except _BROKEN as error:
        raise Malformed(Reason.UNREADABLE, f"It is not BSON: {type(error).__name__}") from error


def id_of(value: Any) -> str | None:
    """Apart by kind: a text that looks like an ObjectId is another document."""
    if isinstance(value, ObjectId):
        return f"oid:{value}"
    if isinstance(value, str) and _ID.fullmatch(value) and _is_text(value):
        return f"text:{value}"
    return None


def _checked(value: Any, depth: int) -> Any:
    """The plain kinds only, as plain Python. Raises Malformed."""
    if depth > MAX_DEPTH:
        raise Malformed(Reason.SHAPE, f"It is nested deeper than {MAX_DEPTH}.")
    if isinstance(value, str):
        if not _is_text(value):
            raise Malformed(Reason.UNREADABLE, "It has text that is not UTF-8.")
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)  # the driver's 64-bit integers are a kind of their own
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Malformed(Reason.SHAPE, "It has a number that JSON cannot say.")
        return value
    if isinstance(value, list):
        return [_checked(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {_checked(name, depth): _checked(one, depth + 1) for name, one in value.items()}
    raise Malformed(Reason.SHAPE, f"It has a {type(value).__name__}, which a post cannot.")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def quarantined(one: Waiting, reason: str, detail: str, now: float) -> Quarantined:
    """`document` names it for whoever put it there; `id` is the digest of the whole."""
    name: str = ""
    source: str | None = None
    with contextlib.suppress(*_BROKEN):
        name = id_of(bson.decode(one.name, _OPTIONS)["_id"]["$eq"]) or ""
    if len(one.data) <= MAX_DOCUMENT:
        with contextlib.suppress(*_BROKEN):  # then its size and the reason must do
            source = _shown(bson.decode(one.data, _OPTIONS))
    return Quarantined(
        id=hashlib.sha256(one.data).hexdigest()[:32],
        document=name,
        reason=reason,
        detail=detail[:MAX_DETAIL],
        at=datetime.fromtimestamp(now, UTC),
        size=len(one.data),
        source=source,
    )


def _shown(found: dict[str, Any]) -> str | None:
    """ASCII: what was no UTF-8 is escaped, so that any tool can show it."""
    text = json_util.dumps(found)
    return text if len(text) <= MAX_SOURCE else None


# Sizes of BSON's values by kind (bsonspec.org 1.1); those that are not here say their own.
_SIZES = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16,
    0x7F: 0, 0xFF: 0,
}  # fmt: skip
_TEXTS, _DOCUMENTS = (0x02, 0x0D, 0x0E), (0x03, 0x04, 0x0F)
_BINARY, _REGEX, _POINTER = 0x05, 0x0B, 0x0C
_HEAD, _FIRST = 4, b"_id\0"


def name_of(data: bytes) -> bytes:
    """The condition that finds exactly this document again, as BSON, made of its own bytes: an id
    that no driver could write, or that looks like an operator, is found as well. Raises ValueError.
    """
    kind, start = data[_HEAD], _HEAD + 1
    if data[start : start + len(_FIRST)] != _FIRST:
        raise ValueError("a document begins with its _id")
    start += len(_FIRST)
    value = data[start : start + _size(kind, data, start)]
    return _document(0x03, b"_id", _document(kind, b"$eq", value))


def _size(kind: int, data: bytes, at: int) -> int:
    if kind in _SIZES:
        return _SIZES[kind]
    if kind == _REGEX:
        return data.index(0, data.index(0, at) + 1) + 1 - at
    said = int.from_bytes(data[at : at + 4], "little", signed=True)
    more = {
        **dict.fromkeys(_TEXTS, 4),
        **dict.fromkeys(_DOCUMENTS, 0),
        _BINARY: 5,
        _POINTER: 16,
    }.get(kind)
    if more is None or said < 0 or at + said + more > len(data):
        raise ValueError("an _id of no kind that can be one")
    return said + more


def _document(kind: int, name: bytes, value: bytes) -> bytes:
    inside = bytes([kind]) + name + b"\0" + value + b"\0"
    return (len(inside) + _HEAD).to_bytes(4, "little") + inside
