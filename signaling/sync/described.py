"""The sync socket in the AsyncAPI document: the frames, versions and close codes as they are."""

from __future__ import annotations

import msgspec

from signaling.http.api.asyncapi import Channel, CloseCode, Frame, Sender
from signaling.sync import frames, session_frames, version
from signaling.sync.door import PATH
from signaling.sync.errors import MEANINGS
from signaling.sync.registry import Registry

_BOTH = (
    frames.Ping,
    frames.Pong,
    session_frames.PartitionIdent,
    session_frames.PartitionMark,
)
_SENT: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (frames.Hello, "The first frame: what was agreed on"),
    (frames.PresenceAnswer, "Who is there"),
    (frames.Rights, "Your rights changed"),
    (frames.ErrorFrame, "Something was wrong"),
)


def channel(registry: Registry) -> Channel:
    taken = [
        Frame(entry.kind, Sender.BOTH if entry.kind in _BOTH else Sender.CLIENT, entry.summary)
        for entry in registry.entries()
    ]
    sent = [Frame(kind, Sender.SERVER, summary) for kind, summary in [*_SENT, *registry.sent()]]
    return Channel(
        id="sync",
        path=PATH,
        title="The sync socket",
        description=(
            "Open it with a one-time ticket (`?ticket=`), a bearer header, or the session cookie"
            " from an allowed origin. Text frames with one JSON object each."
        ),
        frames=[*taken, *sent],
        subprotocols=version.supported(),
        close_codes=[CloseCode(int(code), meaning) for code, meaning in MEANINGS.items()],
    )
