"""Signal messages as WebSocket frames: protobuf in binary frames, JSON in text frames.

A client that sends JSON is answered in JSON, as LiveKit does. One message that goes to many is
encoded once for each form. Pure; the connection drives it.
"""

from __future__ import annotations

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from signaling.errors import ClientError, Code

_JSON_DEPTH = 32  # the deepest real request has 5 levels


class Outgoing:
    """A response, encoded when first needed and kept."""

    __slots__ = ("_binary", "_json", "response")

    def __init__(self, response: rtc.SignalResponse) -> None:
        self.response = response
        self._binary: bytes | None = None
        self._json: str | None = None

    def binary(self) -> bytes:
        if self._binary is None:
            self._binary = self.response.SerializeToString()
        return self._binary

    @property
    def size(self) -> int:
        """Bytes, counted once for all receivers."""
        return len(self.binary())

    def json(self) -> str:
        if self._json is None:
            self._json = json_format.MessageToJson(self.response, indent=None)
        return self._json


def decode(frame: bytes | str) -> rtc.SignalRequest:
    """Raises ClientError. A message of a case that we do not know has no `message` set."""
    request = rtc.SignalRequest()
    try:
        if isinstance(frame, str):
            if not frame.lstrip().startswith("{"):
                raise ValueError("not an object")
            json_format.Parse(
                frame, request, ignore_unknown_fields=True, max_recursion_depth=_JSON_DEPTH
            )
        else:
            request.ParseFromString(frame)
    except (DecodeError, json_format.ParseError, RecursionError, ValueError) as error:
        raise ClientError(Code.BAD_REQUEST, 400, "not a SignalRequest") from error
    return request
