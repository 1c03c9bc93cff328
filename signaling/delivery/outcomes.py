"""What becomes of a batch that was sent: removed, tried again, buried, or sent once more.

A receiver that acknowledges nothing may lose what it took: what it was sent stays `unsure` until
it settles, and goes again when the receiver's epoch changed before. `worker` holds the lane's lease
and drives this; Conflict says that the lease went to somebody else.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec.structs import replace

from signaling.clock import Clock
from signaling.delivery.lanes import Limits, State, Unsure, backoff, fresh
from signaling.delivery.port import Dead, Delivered, Gone, Item, Outcome, Retry, Sender
from signaling.delivery.shelf import Lane, Letter, Shelf
from signaling.storage.port import Conflict
from signaling.storage.table import Missing

log = logging.getLogger(__name__)


class Dropping(Protocol):
    def __call__(self, app: str, *, target: str) -> Awaitable[int]: ...


class Outcomes:
    """Of one worker, for all its lanes. `lasting` is the shelf whose dead are kept."""

    def __init__(
        self,
        lasting: Shelf,
        clock: Clock,
        noise: Callable[[], float],
        holder: str,
        sender: Callable[[str], tuple[Sender, Limits]],
        drop: Dropping,
        counters: Counter[str],
    ) -> None:
        self._lasting, self._clock, self._noise = lasting, clock, noise
        self._holder, self._sender, self._drop = holder, sender, drop
        self._counters = counters

    async def judge(self, state: State, batch: list[tuple[int, Item]], outcome: Outcome) -> float:
        """The seconds until the next batch."""
        assert state.row is not None
        lane = state.row.value
        if isinstance(outcome, Delivered):
            taken = len(batch) if outcome.taken is None else outcome.taken
            state.found.extendleft(reversed(batch[taken:]))
            state.left = taken < len(batch)
            await self._delivered(state, [number for number, _ in batch[:taken]], outcome)
            return 0.0
        if isinstance(outcome, Gone):
            log.info("a %s is gone: %s", lane.kind, outcome.reason)
            self._counters["gone"] += await self._drop(state.app, target=lane.target)
            raise Missing(state.name)
        if isinstance(outcome, Dead):
            if len(batch) > 1:
                # One of them is to blame: each goes alone.
                state.found.extendleft(reversed(batch))
                state.single = len(batch)
            else:
                await self._bury(state, batch, outcome.reason)
            return 0.0
        return await self._failed(state, batch, outcome)

    async def _delivered(self, state: State, numbers: list[int], outcome: Delivered) -> None:
        assert state.row is not None
        lane = state.row.value
        self._counters["delivered"] += len(numbers)
        state.single = max(0, state.single - 1)
        if outcome.settle_s > 0:
            settles = self._clock.monotonic() + outcome.settle_s
            state.unsure.append(Unsure(settles, numbers, self._epoch(state, lane)))
            state.position = numbers[-1]
        else:
            await state.shelf.remove(state.app, state.name, numbers)
            state.done = max(state.done, numbers[-1])
        if lane.failures:
            await self.update(state, fresh)

    async def _failed(self, state: State, batch: list[tuple[int, Item]], outcome: Retry) -> float:
        assert state.row is not None
        lane, now = state.row.value, self._clock.unix()
        _, limits = self._sender(lane.kind)
        self._counters["retried"] += 1
        since = lane.failing or now
        if now - since >= limits.give_up_s:
            await self._bury(state, batch, outcome.reason)
            await self.update(state, fresh)
            return 0.0
        state.start_again()
        wait = max(outcome.after_s, backoff(limits, lane.failures, self._noise()))
        await self.update(
            state,
            lambda old: replace(
                old, failures=old.failures + 1, failing=since, due=now + wait, holder="", until=0.0
            ),
        )
        state.row = None
        return wait

    async def _bury(self, state: State, batch: list[tuple[int, Item]], reason: str) -> None:
        """Kept first, removed then. Nothing of a transient room is ever kept."""
        assert state.row is not None
        _, limits = self._sender(state.row.value.kind)
        if state.shelf is self._lasting:
            for number, item in batch:
                letter = Letter(item=item, number=number, reason=reason, at=self._clock.unix())
                await state.shelf.bury(letter, limits.bury_s)
        numbers = [number for number, _ in batch]
        await state.shelf.remove(state.app, state.name, numbers)
        state.done = max(state.done, numbers[-1])
        state.single = max(0, state.single - 1)
        self._counters["dead"] += len(batch)

    def _epoch(self, state: State, lane: Lane) -> int:
        epoch = getattr(self._sender(lane.kind)[0], "epoch", None)
        return int(epoch(state.app, lane.target)) if epoch is not None else 0

    def watch_losses(self, state: State, lane: Lane) -> None:
        """What went out before a loss and had not settled goes again."""
        if state.unsure and state.unsure[-1].epoch != self._epoch(state, lane):
            self._counters["again"] += sum(len(one.numbers) for one in state.unsure)
            state.start_again()

    async def settle(self, state: State) -> None:
        now = self._clock.monotonic()
        while state.unsure and state.unsure[0].settles <= now:
            one = state.unsure.popleft()
            await state.shelf.remove(state.app, state.name, one.numbers)
            state.done = max(state.done, one.numbers[-1])

    async def update(self, state: State, change: Callable[[Lane], Lane]) -> None:
        """Raises Conflict when the lease went to somebody else meanwhile."""

        def mine(lane: Lane) -> Lane:
            if lane.holder != self._holder:
                raise Conflict(state.name)
            return replace(change(lane), done=max(lane.done, state.done))

        state.row = await state.shelf.change(state.app, state.name, mine)
