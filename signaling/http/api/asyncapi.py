"""AsyncAPI 3 of the sockets: each is one channel, its frames are messages told apart by `type`.

The frames' owner registers them as msgspec types, the same that decode the wire. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

REFERENCE = "#/components/schemas/{name}"


class Sender(StrEnum):
    CLIENT = "client"
    SERVER = "server"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Frame:
    """One kind of frame: a struct whose tag is its `type` on the wire."""

    kind: type[msgspec.Struct]
    sender: Sender
    summary: str

    @property
    def name(self) -> str:
        tag = self.kind.__struct_config__.tag
        return str(tag) if tag is not None else self.kind.__name__


@dataclass(frozen=True, slots=True)
class CloseCode:
    code: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One socket. `content_type` of its frames: `application/json` or `application/msgpack`."""

    id: str
    path: str
    title: str
    description: str
    frames: Sequence[Frame]
    subprotocols: Sequence[str] = ()
    close_codes: Sequence[CloseCode] = ()
    content_type: str = "application/json"


def document(channels: Sequence[Channel], host: str = "localhost") -> dict[str, Any]:
    kinds = list({frame.kind: None for channel in channels for frame in channel.frames})
    _, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    messages = {
        key: _message(frame, channel) for channel in channels for key, frame in _keyed(channel)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Sotto", "version": "1", "license": {"name": "Apache-2.0"}},
        "servers": {"this": {"host": host, "protocol": "wss"}},
        "channels": {channel.id: _channel(channel) for channel in channels},
        "operations": {
            name: operation for channel in channels for name, operation in _operations(channel)
        },
        "components": {"schemas": dict(sorted(components.items())), "messages": messages},
    }


def _keyed(channel: Channel) -> list[tuple[str, Frame]]:
    """Each frame under its `type`; a type that two kinds share, under the names of both."""
    counts = Counter(frame.name for frame in channel.frames)
    return [
        (frame.name if counts[frame.name] == 1 else f"{frame.name}_{frame.kind.__name__}", frame)
        for frame in channel.frames
    ]


def _message(frame: Frame, channel: Channel) -> dict[str, Any]:
    return {
        "name": frame.name,
        "summary": frame.summary,
        "contentType": channel.content_type,
        "payload": {"$ref": REFERENCE.format(name=frame.kind.__name__)},
    }


def _channel(channel: Channel) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "address": channel.path,
        "title": channel.title,
        "description": channel.description,
        "messages": {key: {"$ref": f"#/components/messages/{key}"} for key, _ in _keyed(channel)},
        "bindings": {"ws": {"method": "GET"}},
    }
    if channel.subprotocols:
        shown["x-subprotocols"] = list(channel.subprotocols)
    if channel.close_codes:
        shown["x-close-codes"] = {str(c.code): c.meaning for c in channel.close_codes}
    return shown


def _operations(channel: Channel) -> list[tuple[str, dict[str, Any]]]:
    """Actions are the server's: what it sends and what it receives."""
    found = []
    for action, senders in (
        ("receive", (Sender.CLIENT, Sender.BOTH)),
        ("send", (Sender.SERVER, Sender.BOTH)),
    ):
        keys = [key for key, frame in _keyed(channel) if frame.sender in senders]
        if keys:
            there = f"#/channels/{channel.id}/messages/"
            operation = {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel.id}"},
                "messages": [{"$ref": there + key} for key in keys],
            }
            found.append((f"{action}_{channel.id}", operation))
    return found
