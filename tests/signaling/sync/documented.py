"""Every frame of the tests is held to the AsyncAPI document that the server serves."""

from __future__ import annotations

import functools
from typing import Any, cast

import jsonschema  # type: ignore[import-untyped]
import msgspec

from signaling.access import subscriptions
from signaling.http.api.asyncapi import REFERENCE
from signaling.sync import frames, session_frames

CLIENT: tuple[type[msgspec.Struct], ...] = (
    frames.Ping,
    frames.Pong,
    frames.Pace,
    frames.PresenceAsk,
    session_frames.PartitionBind,
    session_frames.PartitionIdent,
    session_frames.PartitionUpload,
    session_frames.PartitionMark,
    session_frames.PartitionUnbind,
)
SERVER: tuple[type[msgspec.Struct], ...] = (
    frames.Hello,
    frames.Ping,
    frames.Pong,
    frames.PresenceAnswer,
    frames.Rights,
    frames.ErrorFrame,
    session_frames.PartitionIdent,
    session_frames.PartitionMark,
    subscriptions.Bound,
    subscriptions.HereNow,
    *(kind for kind, _ in session_frames.SENT),
)


@functools.cache
def _validators(sender: str) -> dict[str, Any]:
    kinds = CLIENT if sender == "client" else SERVER
    references, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    schemas = {"components": {"schemas": components}}
    return {
        cast("str", kind.__struct_config__.tag): jsonschema.Draft202012Validator(
            {**reference, **schemas}
        )
        for kind, reference in zip(kinds, references, strict=True)
    }


def checked(frame: dict[str, Any], sender: str) -> dict[str, Any]:
    """The frame. Fails when it is not as documented."""
    _validators(sender)[frame["type"]].validate(frame)
    return frame


def typed(frame: dict[str, Any], sender: str) -> dict[str, Any]:
    """`checked` by the types that the document is made of: for tests with very many frames."""
    kinds = CLIENT if sender == "client" else SERVER
    kind = next(kind for kind in kinds if kind.__struct_config__.tag == frame["type"])
    msgspec.convert(frame, kind)
    return frame
