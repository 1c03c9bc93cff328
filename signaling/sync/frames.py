"""The frames of the socket itself: JSON objects in text frames, told apart by `type`. Pure.

The same types decode the wire and are the AsyncAPI document. Chat's frames are registered beside
them (`registry`); unknown fields of a known type pass, so that a newer client is understood.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from signaling.chat.seeing import Shown
from signaling.sync.errors import Body

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Hello(Struct, frozen=True, kw_only=True, tag="hello"):
    """The first frame: what was agreed on, and the bounds of this socket."""

    version: int
    connection: str
    account: str | None
    device: str | None
    session: str | None
    scopes: list[str]
    roles: list[str]
    server_time: float
    ping_seconds: float
    pong_seconds: float
    background_seconds: float
    frame_bytes: int
    messages_per_second: float
    messages_burst: int


class Ping(Struct, frozen=True, tag="ping"):
    """Either side may send one; the other answers with the same id at once. `rtt_ms` is what the
    sender measured last time."""

    id: Number
    rtt_ms: Number | None = None


class Pong(Struct, frozen=True, tag="pong"):
    """The answer to a ping."""

    id: Number


class Pace(Struct, frozen=True, kw_only=True, tag="pace"):
    """In the background a client may be pinged less often, up to `background_seconds`."""

    background: bool
    seconds: Annotated[float, Meta(gt=0, le=300)] | None = None


class PresenceAsk(Struct, frozen=True, kw_only=True, tag="presence"):
    """Who of these is there? Answered by `present` with the same `id`."""

    id: Id
    accounts: Annotated[list[Id], Meta(min_length=1, max_length=100)]


class PresenceAnswer(Struct, frozen=True, kw_only=True, tag="present"):
    """Those who are there, as far as they show it: the others were not asked about, are away, or
    hide. `devices`: one's own that are there, when one's own account was named."""

    id: str
    people: list[Shown]
    devices: list[str]


class Rights(Struct, frozen=True, kw_only=True, tag="rights"):
    """The rights of this socket changed; from now on these hold."""

    scopes: list[str]
    roles: list[str]


class ErrorFrame(Struct, frozen=True, kw_only=True, tag="error"):
    """`session` 0: about the socket itself. `reply_to`: the `id` of the frame that it answers."""

    code: int
    name: str
    session: int = 0
    status: int = 0
    reply_to: str | None = None
    body: Body


class Peek(Struct, frozen=True):
    """What tells whose a frame is."""

    type: str
    path: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    session: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_peek_decoder = msgspec.json.Decoder(Peek)
encode = msgspec.json.Encoder().encode


def peek(data: str) -> Peek:
    """Raises msgspec.DecodeError, RecursionError or ValueError for what is no object with a type.

    Everything is parsed here once, so bad UTF-8, bad numbers and bottomless nesting end here.
    """
    return _peek_decoder.decode(data)
