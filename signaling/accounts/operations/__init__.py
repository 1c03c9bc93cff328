"""The HTTP operations of this room, for the composition root to collect."""

from __future__ import annotations

from signaling.accounts.operations import administering, own, signing_in
from signaling.accounts.service import Service
from signaling.http.api.operation import Operation


def operations(service: Service) -> list[Operation]:
    return [
        *signing_in.operations(service),
        *own.operations(service),
        *administering.operations(service),
    ]
