"""Rooms and messages as operations of the HTTP API: the same ops as sync, curl is enough."""

from __future__ import annotations

from signaling.chat.operations import messages, rooms
from signaling.chat.operations.common import Deps
from signaling.http.api.operation import Operation


def operations(deps: Deps) -> list[Operation]:
    return [*rooms.operations(deps), *messages.operations(deps)]
