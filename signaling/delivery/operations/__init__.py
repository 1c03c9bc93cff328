"""Delivery on the HTTP API: webhooks out and in, routes, what waits and what is dead."""

from __future__ import annotations

from signaling.delivery.operations import incoming, routes, webhooks
from signaling.delivery.operations.common import Deps
from signaling.http.api.operation import Operation


def operations(deps: Deps, inlets: incoming.Deps) -> list[Operation]:
    return [*webhooks.operations(deps), *routes.operations(deps), *incoming.operations(inlets)]
