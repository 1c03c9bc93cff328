"""Following rooms' logs: from hints of the bus when they fit, from the store when they do not.

A hint whose first op is the next one is delivered; what is at or below the last one is dropped;
anything else means reading the store from there. Heads are polled beside that, so that a bus that
loses everything costs time and nothing else. Driven by whoever holds sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

import msgspec

from signaling.bus.port import Bus, BusState, Reach, Subscription
from signaling.clock import Clock
from signaling.errors import Unavailable
from signaling.storage.port import Log, Op

log = logging.getLogger(__name__)

Deliver = Callable[[list[Op]], None]

# Seconds between polls of all followed heads: a bus that works loses little, one that is away all.
POLL = {Reach.LOCAL: 5.0, Reach.SHARED: 3.0, Reach.LOST: 2.0}
# Just after the bus came back, what it lost meanwhile is looked for at once.
EAGER_POLL, EAGER_SECONDS = 0.25, 5.0
# A hint carries the ops themselves up to this size; beyond, the receiver reads them.
HINT_BYTES = 8 * 1024
PAGE = 500
# Heads read at once: a poll must not crowd out everybody else.
AT_ONCE = 16


class Hint(msgspec.Struct, frozen=True, array_like=True):
    """`ops` are those from `first` to `last`, or none when they are too large."""

    first: int
    last: int
    ops: list[Op]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Hint).decode


def topic(app: str, room: str) -> str:
    return f"ops:{app}\0{room}"


async def announce(bus: Bus, app: str, room: str, ops: Sequence[Op]) -> None:
    """After the store has acknowledged them."""
    if not ops:
        return
    small = sum(len(op.body) + 128 for op in ops) <= HINT_BYTES
    hint = Hint(ops[0].seq, ops[-1].seq, list(ops) if small else [])
    await bus.publish(topic(app, room), _encode(hint))


class Following:
    """One room. `last` is the newest op that was delivered."""

    def __init__(self, owner: Follower, app: str, room: str, last: int, deliver: Deliver) -> None:
        self._owner = owner
        self._deliver = deliver
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self.app = app
        self.room = room
        self.last = last
        self.closed = False

    def start(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.look()

    def hear(self, payload: bytes) -> None:
        """A hint. One that cannot be read counts as one that is too large."""
        try:
            hint = _decode(payload)
        except msgspec.DecodeError:
            self.look()
            return
        if hint.last <= self.last or self.closed:
            return
        fitting = [op for op in hint.ops if op.seq > self.last]
        if self._task is None and _follows(fitting, self.last):
            self.give(fitting)
        else:
            self.look()

    def give(self, ops: list[Op]) -> None:
        self.last = ops[-1].seq
        self._deliver(ops)

    def look(self) -> None:
        """Read what is new. While a look runs, one more is enough for all who ask."""
        if self.closed:
            return
        if self._task is not None:
            self._again = True
            return
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        try:
            while not self.closed:
                self._again = False
                found = await self._owner.log.read(self.app, self.room, after=self.last, limit=PAGE)
                if self.closed:
                    return
                if found:
                    self.give(found)
                elif not self._again:
                    return
        except Unavailable as error:
            log.info("a room cannot be read now", extra={"error": error.message})
        finally:
            self._task = None

    async def poll(self) -> None:
        """A head below what was delivered is a restored store: begin from there."""
        try:
            head = await self._owner.log.head(self.app, self.room)
        except Unavailable:
            return
        if head.seq < self.last:
            log.warning("a room's log is shorter than it was")
            self.last = head.seq
        elif head.seq > self.last:
            self.look()

    def close(self) -> None:
        self.closed = True
        if self._subscription is not None:
            self._subscription.close()
        self._owner.forget(self)


def _follows(ops: Sequence[Op], last: int) -> bool:
    return bool(ops) and [op.seq for op in ops] == list(range(last + 1, last + 1 + len(ops)))


class Follower:
    """All rooms that this process follows. `run` polls until it is cancelled."""

    def __init__(self, store_log: Log, bus: Bus, clock: Clock) -> None:
        self.log = store_log
        self._bus = bus
        self._clock = clock
        self._rooms: set[Following] = set()
        self._eager_until = 0.0
        self._changed = asyncio.Event()
        bus.on_state(self._on_state)

    def follow(self, app: str, room: str, last: int, deliver: Deliver) -> Following:
        """`deliver` gets every op beyond `last`, in order and once, on the event loop."""
        made = Following(self, app, room, last, deliver)
        self._rooms.add(made)
        made.start(self._bus.subscribe(topic(app, room), made.hear))
        return made

    def forget(self, following: Following) -> None:
        self._rooms.discard(following)

    def _on_state(self, state: BusState) -> None:
        if state.reach is Reach.SHARED:
            self._eager_until = self._clock.monotonic() + EAGER_SECONDS
        self._changed.set()

    def interval(self) -> float:
        if self._clock.monotonic() < self._eager_until:
            return EAGER_POLL
        return POLL[self._bus.state().reach]

    async def run(self) -> None:
        while True:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self.interval())
            await self.poll()

    async def poll(self) -> None:
        rooms = list(self._rooms)
        for start in range(0, len(rooms), AT_ONCE):
            await asyncio.gather(*(room.poll() for room in rooms[start : start + AT_ONCE]))
