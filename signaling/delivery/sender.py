"""Sends events to whoever subscribed: the `Sender` of webhooks and of routes.

Looks up the subscription, makes the events, hands them to the sink of its kind, and keeps watch: a
receiver that says it is gone, or that has failed for days, is disabled and the audit says so.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import structs
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.delivery.port import Dead, Delivered, Gone, Item, Outcome, Retry
from signaling.delivery.subscriptions import Subscription, Subscriptions
from signaling.delivery.telling import Event, Told

log = logging.getLogger(__name__)

Events = Callable[[str, Subscription, Sequence[Item]], Awaitable[Told]]


def group_of(first: Item, event: Event) -> str:
    """By what receivers that keep an order by key order an event of a batch that begins with
    `first`: its room; without one whose account it is, of a room that is no more what it is about.
    """
    if first.room:
        return first.room
    told = event if isinstance(event, dict) else structs.asdict(event)
    return str(told["data"].get("account") or told["subject"])


class Sink(Protocol):
    """One kind of receiver. Never raises for what the other side does."""

    async def send(
        self, one: Subscription, items: Sequence[Item], events: Sequence[Event]
    ) -> Outcome:
        """`events` are those of `items` that are still to be told, at least one."""

    def epoch(self, ident: str) -> int:
        """See `port.Settling`."""

    async def close(self) -> None: ...


class EventSender:
    """Implements `port.Settling`. One for webhooks and routes alike."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        events: Events,
        sinks: Mapping[type, Sink],
        audit: Audit,
        clock: Clock,
        disable_after_s: float,
    ) -> None:
        self._subscriptions, self._events, self._sinks = subscriptions, events, sinks
        self._audit, self._clock, self._patience = audit, clock, disable_after_s

    async def send(self, app: str, target: str, items: Sequence[Item]) -> Outcome:
        one = await self._subscriptions.find(app, target)
        if one is None:
            return Gone("it was removed")
        if one.disabled:
            return Dead(f"disabled: {one.reason}")
        told = await self._events(app, one, items)
        if not told.events:
            return Delivered(taken=told.taken)
        outcome = await self._sinks[type(one.to)].send(one, items[: told.taken], told.events)
        if isinstance(outcome, Delivered):
            await self._worked(app, one)
            return replace(outcome, taken=told.taken)
        if isinstance(outcome, Gone):
            await self._disable(app, one, outcome.reason)
        elif isinstance(outcome, Retry):
            return await self._failed(app, one, outcome)
        return outcome

    def size(self, app: str, target: str) -> int:
        """Items of one batch."""
        for one in self._subscriptions.of(app):
            if one.id == target:
                return one.batch
        return 1

    def window(self, app: str, target: str) -> float:
        """The seconds that a batch waits for more."""
        for one in self._subscriptions.of(app):
            if one.id == target:
                return one.batch_seconds
        return 0.0

    def epoch(self, app: str, target: str) -> int:
        for one in self._subscriptions.of(app):
            if one.id == target:
                return self._sinks[type(one.to)].epoch(target)
        return 0

    async def close(self) -> None:
        for sink in dict.fromkeys(self._sinks.values()):
            await sink.close()

    async def _worked(self, app: str, one: Subscription) -> None:
        if one.failing:
            await self._subscriptions.change(app, one.id, lambda old: replace(old, failing=0.0))

    async def _failed(self, app: str, one: Subscription, outcome: Retry) -> Outcome:
        now = self._clock.unix()
        log.info("a %s was not reached: %s", one.kind, outcome.reason)
        if not one.failing:
            await self._subscriptions.change(app, one.id, lambda old: replace(old, failing=now))
        elif now - one.failing >= self._patience:
            await self._disable(app, one, outcome.reason)
            return Dead(f"disabled: {outcome.reason}")
        return outcome

    async def _disable(self, app: str, one: Subscription, reason: str) -> None:
        def off(old: Subscription) -> Subscription:
            return replace(old, disabled=True, reason=reason, failing=0.0)

        await self._subscriptions.change(app, one.id, off)
        details: dict[str, Any] = {"reason": reason}
        if one.room is not None:
            details["room"] = one.room
        await self._audit.record(
            AuditEvent(
                at=self._clock.unix(), app=app, actor="system:delivery",
                action=f"delivery.{one.kind}_disabled", target=f"{one.kind}:{one.id}",
                result="failed", details=details,
            )
        )  # fmt: skip
