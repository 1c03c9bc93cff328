"""Works off lanes of items over a store: whoever holds a lane's lease sends its next batch.

    lease -> send a batch -> remove it -> ... -> the lane rests, or waits after a failure

An item is removed after it was sent: what dies in between is done again, by this process or by
another when the lease has ended. Ephemeral items live the same life in a store in memory. What is
put and taken back is `outbox`'s, what becomes of a batch `outcomes`'.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from signaling.clock import Clock
from signaling.delivery.lanes import MOST_EPHEMERAL, Limits, Pace, State
from signaling.delivery.outcomes import Outcomes
from signaling.delivery.port import Item, Outcome, Retry, Sender
from signaling.delivery.shelf import Lane, Shelf
from signaling.errors import ClientError, Unavailable
from signaling.keys.port import Sealer
from signaling.storage.memory import MemoryStore
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing

log = logging.getLogger(__name__)

# Batches of one lane before others have their turn.
ROUNDS = 100
PAGES = 20
LEAST_READ, MOST_READ = 20, 500


class Worker:
    """One for each process. `run` until cancelled."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        clock: Clock,
        noise: Callable[[], float],
        holder: str,
        apps: Sequence[str],
        pace: Pace | None = None,
    ) -> None:
        """`noise` gives numbers from 0 to 1, for jitter; `holder` names this process."""
        self._lasting = Shelf(store, sealer)
        self._passing = Shelf(MemoryStore(clock), None)
        self._clock, self._holder = clock, holder
        self._apps, self._pace = apps, pace or Pace()
        self._senders: dict[str, tuple[Sender, Limits]] = {}
        self._lanes: dict[tuple[int, str, str], State] = {}
        self._wake = asyncio.Event()
        self._looked = float("-inf")
        self.counters: Counter[str] = Counter()
        self._outcomes = Outcomes(
            self._lasting, clock, noise, holder, self._sender, self.drop, self.counters
        )

    def register(self, kind: str, sender: Sender, limits: Limits | None = None) -> None:
        """Before `run`."""
        self._senders[kind] = (sender, limits or Limits())

    async def drop(self, app: str, *, target: str = "", room: str = "", subject: str = "") -> int:
        """See `port.Outbox`."""
        names = {"target": target, "room": room, "subject": subject}
        if not any(names.values()):
            raise ValueError("name what is to be dropped")
        dropped = 0
        for shelf in (self._passing, self._lasting):
            dropped += await shelf.drop(app, names)
            if target and not room and not subject:
                for lane in await shelf.lanes_of(app, target):
                    await shelf.forget(app, lane.name)
        for state in self._lanes.values():
            if state.app == app:
                state.found.clear()
        return dropped

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                wait = await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            await self._end()

    async def settle(self) -> None:
        """Until nothing is due now (tests, and before an end)."""
        while True:
            await self._look()
            tasks = [state.task for state in self._lanes.values() if state.task is not None]
            if not tasks:
                return
            await asyncio.gather(*tasks)

    async def _look(self) -> float:
        """Starts what is due; the seconds until something is, or may be."""
        now = self._clock.monotonic()
        if now >= self._looked + self._pace.look_s:
            self._looked = now
            try:
                await self._find()
            except (Unavailable, ClientError) as error:
                log.info("lanes were not looked at now: %s", type(error).__name__)
        running = sum(state.task is not None for state in self._lanes.values())
        soon = self._looked + self._pace.look_s
        for state in sorted(self._lanes.values(), key=lambda one: one.at):
            if state.task is not None:
                continue
            if state.at > now or running >= self._pace.parallel:
                soon = min(soon, state.at) if state.at > now else soon
                continue
            running += 1
            state.task = asyncio.get_running_loop().create_task(self._work(state))
        return max(0.01, soon - now)

    async def _find(self) -> None:
        """Lanes that others left, or that were left by this process before it started."""
        for app in self._apps:
            for lane in await self._lasting.busy(app):
                if (id(self._lasting), app, lane.name) not in self._lanes:
                    self._state(self._lasting, app, lane.name)

    def _state(self, shelf: Shelf, app: str, name: str) -> State:
        key = (id(shelf), app, name)
        if key not in self._lanes:
            self._lanes[key] = State(shelf, app, name, at=self._clock.monotonic())
        return self._lanes[key]

    async def _work(self, state: State) -> None:
        state.again = False
        wait: float | None
        try:
            wait = await self._drain(state)
        except Missing:
            state.start_again()
            state.row, state.done, wait = None, 0, None
        except (Unavailable, ClientError, Conflict) as error:
            log.info("a lane waits: %s", type(error).__name__)
            state.start_again()
            state.row, wait = None, 1.0
        except Exception:
            log.exception("a lane failed")
            state.start_again()
            state.row, wait = None, 30.0
        finally:
            state.task = None
        now = self._clock.monotonic()
        if state.again:
            state.at = now
        elif wait is not None:
            state.at = now + wait
        elif not state.putting.locked():
            self._lanes.pop((id(state.shelf), state.app, state.name), None)
        self._wake.set()

    async def _drain(self, state: State) -> float | None:
        """Batch after batch; then the seconds to wait, or None when nothing is left."""
        for _ in range(ROUNDS):
            wait = await self._hold(state)
            if wait > 0:
                return wait
            assert state.row is not None
            self._outcomes.watch_losses(state, state.row.value)
            await self._outcomes.settle(state)
            batch, later = await self._next(state, state.row.value)
            if batch and (wait := await self._gather(state, len(batch))) > 0:
                return wait
            if batch:
                outcome = await self._send(state.row.value, batch)
                wait = await self._outcomes.judge(state, batch, outcome)
                if wait > 0:
                    return wait
            elif state.unsure:
                state.held = 0.0  # others may put something meanwhile
                wait = state.unsure[0].settles - self._clock.monotonic()
                return max(0.05, min(wait, self._pace.look_s))
            elif later is not None:
                await self._release(state)
                return max(0.0, later - self._clock.unix())
            elif await self._rest(state):
                return None
        return 0.0

    async def _hold(self, state: State) -> float:
        """0 with the lease in hand for one more send; else the seconds until it may be had."""
        if state.row is not None and state.held > self._clock.monotonic() + self._pace.lease_s / 2:
            return 0.0
        while True:
            with contextlib.suppress(Conflict):  # somebody put something: read it again
                return await self._take(state)

    async def _take(self, state: State) -> float:
        """Raises Conflict, and Missing for a lane that rests or was dropped."""
        pace, now = self._pace, self._clock.monotonic()
        row = await state.shelf.lane(state.app, state.name)
        if row is None:
            raise Missing(state.name)
        lane, unix = row.value, self._clock.unix()
        if not lane.busy:
            raise Missing(state.name)
        left = lane.until - unix
        if lane.holder not in ("", self._holder) and 0 < left <= 2 * pace.lease_s:
            state.row = None
            state.start_again()
            return left
        if state.row is None:
            state.start_again()
        _, limits = self._sender(lane.kind)
        # A clock that was set back must not turn a back-off into hours.
        if lane.failures and 0 < lane.due - unix <= max(limits.retry_most_s, 3600.0):
            state.row = None
            return lane.due - unix
        taken = replace(
            lane, holder=self._holder, until=unix + pace.lease_s, done=max(lane.done, state.done)
        )
        state.row = await state.shelf.replace(state.app, row, taken)
        state.held = now + pace.lease_s
        return 0.0

    async def _next(self, state: State, lane: Lane) -> tuple[list[tuple[int, Item]], float | None]:
        """A batch of what is due, in order; without one, when the next item is due."""
        size, seconds = self._batch_of(state, lane)
        later: float | None = None
        if not state.found or (seconds and len(state.found) < size):
            state.found.clear()
            later = await self._fetch(state, lane.top, max(size, LEAST_READ))
        take = 1 if state.single else min(size, len(state.found))
        return [state.found.popleft() for _ in range(min(take, len(state.found)))], later

    def _batch_of(self, state: State, lane: Lane) -> tuple[int, float]:
        """How many make a batch, and how long fewer wait for more."""
        _, limits = self._sender(lane.kind)
        size = limits.batch if limits.size is None else limits.size(state.app, lane.target)
        if state.shelf is self._passing:  # goes before any of it would be dropped
            size = min(size, MOST_EPHEMERAL // 2)
        return size, 0.0 if limits.window is None else limits.window(state.app, lane.target)

    async def _gather(self, state: State, have: int) -> float:
        """The seconds that so many wait for more; what failed before, or goes alone, does not."""
        assert state.row is not None
        lane, now = state.row.value, self._clock.monotonic()
        size, seconds = self._batch_of(state, lane)
        alone = state.single or state.left or lane.failures
        wait = state.gathering.wait(now, have, size, 0.0 if alone else seconds)
        if wait > 0:
            state.found.clear()
            if not state.unsure:
                await self._release(state)
                return wait
            state.held = 0.0  # the row stays: whoever gives it away sends what is unsure again
            wait = max(0.05, min(wait, state.unsure[0].settles - now, self._pace.look_s))
        return wait

    async def _fetch(self, state: State, top: int, limit: int) -> float | None:
        """Fills `found`; drops what expired. When the first item is due that is not yet.

        Beyond `top` others are still putting: there may be gaps.
        """
        after, now, later = state.position, self._clock.unix(), None
        for _ in range(PAGES):
            page = min(MOST_READ, limit - len(state.found))
            items, last = await state.shelf.waiting(state.app, state.name, after, page)
            expired = []
            for number, item in items:
                if number > top:
                    last = 0
                elif item.expires is not None and item.expires <= now:
                    expired.append(number)
                elif item.due > now:
                    later = item.due if later is None else min(later, item.due)
                else:
                    state.found.append((number, item))
            if expired:
                await state.shelf.remove(state.app, state.name, expired)
                self.counters["expired"] += len(expired)
            full = later is not None or len(state.found) >= limit
            if not last or (state.found and full):
                break
            after = last
        return later

    async def _send(self, lane: Lane, batch: Sequence[tuple[int, Item]]) -> Outcome:
        sender, limits = self._sender(lane.kind)
        items = [item for _, item in batch]
        try:
            async with asyncio.timeout(limits.send_s):
                return await sender.send(items[0].app, lane.target, items)
        except TimeoutError:
            return Retry(0.0, "no answer in time")
        except Unavailable as error:
            return Retry(float(error.retry_after or 0), error.message)
        except Exception:
            log.exception("sending failed")
            return Retry(0.0, "our error, see the log")

    def _sender(self, kind: str) -> tuple[Sender, Limits]:
        return self._senders.get(kind, (_NOBODY, Limits()))

    async def _release(self, state: State) -> None:
        """Others may have the lane meanwhile."""
        await self._outcomes.update(state, lambda lane: replace(lane, holder="", until=0.0))
        state.row = None

    async def _rest(self, state: State) -> bool:
        """False when something was put since the lane was read."""
        assert state.row is not None
        lane = state.row.value
        done = max(lane.done, state.done)
        resting = replace(lane, busy=False, holder="", until=0.0, done=done)
        try:
            await state.shelf.replace(state.app, state.row, resting)
        except Conflict:
            state.held = 0.0  # reads the row anew
            return False
        state.held = 0.0
        return True

    async def _end(self) -> None:
        tasks = [state.task for state in self._lanes.values() if state.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for state in list(self._lanes.values()):
            if state.row is not None and state.shelf is self._lasting:
                with contextlib.suppress(Unavailable, ClientError, Conflict, Missing):
                    await self._outcomes.update(
                        state, lambda lane: replace(lane, holder="", until=0.0)
                    )


class _Nobody:
    """Of a kind that this server does not send."""

    async def send(self, app: str, target: str, items: Sequence[Item]) -> Outcome:
        return Retry(60.0, "nobody sends these")


_NOBODY = _Nobody()
