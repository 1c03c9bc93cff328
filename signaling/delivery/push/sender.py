"""The outbox's sender of kind `push`: one subscription's parcels, each looked at again, one by one.

A batch that fails in the middle is tried again as a whole, so what went out is remembered for a
while; the receiver's key against doubles is the tag anyway. Never logs an endpoint or a token.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from signaling.clock import Clock
from signaling.delivery.port import Dead, Delivered, Gone, Item, Outcome, Retry
from signaling.delivery.push.model import Parcel, PushKind, Subscription
from signaling.delivery.push.notifier import decode
from signaling.delivery.push.register import Lives, Register
from signaling.delivery.push.ways import Way
from signaling.errors import Unavailable

log = logging.getLogger(__name__)

Wanted = Callable[[str, Subscription, Parcel], Awaitable[bool]]
Failed = Callable[[str, Subscription, Gone | Dead, str], Awaitable[None]]
"""The subscription of an app that a service did not take something for, why, and the id of that:
told again with it when the process dies before it is dealt with. Durable when it returns.
"""
REMEMBERED = 10_000


async def _unheard(app: str, one: Subscription, outcome: Gone | Dead, ident: str) -> None:
    """By anybody."""


class PushSender:
    """A `Sender`. `counters` are for who looks after the server."""

    def __init__(
        self, register: Register, ways: Mapping[PushKind, Way], wanted: Wanted, lives: Lives,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._register, self._ways, self._clock = register, ways, clock
        self._wanted, self._lives = wanted, lives
        self._sent: OrderedDict[str, None] = OrderedDict()
        self.counters: Counter[str] = Counter()
        self.failed: Failed = _unheard

    async def send(self, app: str, target: str, items: Sequence[Item]) -> Outcome:
        try:
            return await self._send(app, target, items)
        except Unavailable as error:
            return Retry(float(error.retry_after or 0), "the store does not answer")

    async def _send(self, app: str, target: str, items: Sequence[Item]) -> Outcome:
        one = await self._register.get(app, target)
        if one is None:
            return Gone("there is no such subscription")
        if await self._lives(app, one.session) is None:
            await self._register.remove(app, one.account, one.id)
            return Gone("its session is over")
        way = self._ways.get(one.kind)
        if way is None:
            return Dead(f"{one.kind.value} is not configured")
        outcome: Outcome = Delivered()
        for item in items:
            outcome = await self._one(app, one, way, item)
            if isinstance(outcome, Gone):
                # Told first: of a subscription that is removed no service says anything again.
                await self.failed(app, one, outcome, one.id)
                await self._register.remove(app, one.account, one.id)
                self.counters["gone"] += 1
                return outcome
            if isinstance(outcome, Retry):
                self.counters["retried"] += 1
                return outcome
        # One that is never taken must not hold back, nor take with it, those around it.
        return outcome if len(items) == 1 else Delivered()

    async def _one(self, app: str, one: Subscription, way: Way, item: Item) -> Outcome:
        if item.id in self._sent:
            return Delivered()
        try:
            parcel = decode(item.body)
        except msgspec.MsgspecError:
            return Dead("the parcel cannot be read")
        now = self._clock.unix()
        expired = item.expires is not None and item.expires <= now
        if expired or not await self._wanted(app, one, parcel):
            self.counters["superfluous"] += 1
            return Delivered()
        ttl = 0 if item.expires is None else max(1, int(item.expires - now))
        outcome = await way.send(one, parcel, item.id, ttl)
        if isinstance(outcome, Delivered):
            self.counters["sent"] += 1
            self._sent[item.id] = None
            if len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
        elif isinstance(outcome, Dead):
            self.counters["dead"] += 1
            log.warning("a notification was not taken: %s", outcome.reason)
            if parcel.room or not item.room:  # nothing is told of a transient room
                await self.failed(app, one, outcome, item.id)
        return outcome

    async def close(self) -> None:
        for way in {id(way): way for way in self._ways.values()}.values():
            await way.close()
