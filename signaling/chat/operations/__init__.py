"""Rooms and messages as operations of the HTTP API: the same ops as sync, curl is enough."""

from __future__ import annotations

from signaling.chat.doors import Doors
from signaling.chat.later import Later
from signaling.chat.operations import around, direct, messages, peeking, personal, rooms
from signaling.chat.operations.common import Deps
from signaling.chat.presence import Presences
from signaling.chat.receipts import Receipts
from signaling.chat.reports import Reports
from signaling.http.api.operation import Operation


def operations(
    deps: Deps,
    receipts: Receipts,
    doors: Doors,
    reports: Reports,
    presences: Presences,
    later: Later,
) -> list[Operation]:
    return [
        *rooms.operations(deps),
        *messages.operations(deps),
        *direct.operations(deps),
        *peeking.operations(deps),
        *personal.operations(deps, deps.accounts, receipts),
        *around.operations(deps, doors, reports, presences, later),
    ]
