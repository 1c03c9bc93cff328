"""Revocations on their way: into the store's log, onto the bus, and to what this process has open.

The log is the truth: every process reads what was added to it twice a second, so a revocation
arrives within a second also where the bus lost it. The bus is the hint that makes it immediate.
`ended` is believed as it comes; `changed` makes each holder's rights be looked up again. Owned and
started by the composition root.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from signaling.accounts.principal import Principal
from signaling.accounts.sessions.holders import Held, Register
from signaling.accounts.sessions.port import TOPIC, Change, Revocation
from signaling.bus.port import Bus
from signaling.errors import Unavailable
from signaling.ids import Ids
from signaling.storage.port import NewOp, Op, Store

log = logging.getLogger(__name__)

ROOM = "\x00revoked"
POLL_SECONDS = 0.4
"""Half of the promised second, with room for the read and for closing what is hit."""
KEPT = 10_000
"""Entries of the log that stay: a process that was away for longer looks at everything again."""
_PAGE = 1000

LookAgain = Callable[[Principal], Awaitable[Principal | None]]
Listener = Callable[[Revocation], None]


class Revocations:
    """Implements `Revoker`. `register` is where holders are."""

    def __init__(self, store: Store, bus: Bus, ids: Ids, every: float = POLL_SECONDS) -> None:
        self.register = Register()
        self._store = store
        self._bus = bus
        self._every = every
        self._ident = f"node-{ids.new()}"
        self._version = 0
        self._seen: dict[str, int] = {}
        self._listeners: list[Listener] = []
        self._look_again: LookAgain | None = None
        self._unwritten: dict[str, list[NewOp]] = {}
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription = bus.subscribe(TOPIC, self._heard)

    def start(self, look_again: LookAgain) -> None:
        self._look_again = look_again
        self._spawn(self._poll())

    async def stop(self) -> None:
        self._subscription.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def listen(self, listener: Listener) -> None:
        """Told of every revocation, before holders are: caches forget."""
        self._listeners.append(listener)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Revoker

    async def revoke(self, revocation: Revocation) -> None:
        """Here at once, then durable, then told.

        When the store does not take it, it is told all the same and written as soon as it does:
        what it is about has already been stored, and every new look sees that.
        """
        payload = msgspec.msgpack.encode(revocation)
        self._apply(revocation)
        self._version += 1
        self._unwritten.setdefault(revocation.app, []).append(
            NewOp(self._ident, self._version, payload)
        )
        try:
            await self._write(revocation.app)
        except Unavailable:
            log.warning("a revocation is not in the log yet")
        await self._bus.publish(TOPIC, payload)

    async def _write(self, app: str) -> None:
        """In the order of their versions: one below the cursor would count as a duplicate."""
        async with self._writing:
            ops = self._unwritten.get(app, [])[:_PAGE]
            if not ops:
                return
            appended = await self._store.log.append(app, ROOM, ops)
            self._unwritten[app] = self._unwritten[app][len(ops) :]
        seq = appended[-1].seq
        if seq > KEPT and seq % 100 == 0:
            await self._store.log.purge(app, ROOM, seq - KEPT)

    # Hearing

    def _heard(self, payload: bytes) -> None:
        try:
            revocation = msgspec.msgpack.decode(payload, type=Revocation)
        except msgspec.MsgspecError:
            log.warning("a revocation on the bus could not be read")
            return
        self._apply(revocation)

    def _apply(self, revocation: Revocation) -> None:
        """Idempotent: what it closed is no longer registered."""
        for listener in self._listeners:
            listener(revocation)
        hit = self.register.hit_by(revocation)
        if revocation.change is Change.ENDED:
            for held in hit:
                held.holder.ended(revocation)
        elif hit:
            self._spawn(self._review(hit, revocation))

    async def _review(self, hit: list[Held], revocation: Revocation) -> None:
        assert self._look_again is not None
        for held in hit:
            try:
                principal = await self._look_again(held.holder.principal)
            except Unavailable:
                held.holder.unsure()
                continue
            if principal is None:
                held.holder.ended(revocation)
            else:
                held.holder.changed(principal)

    # Polling

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            for app in {*self.register.apps(), *self._unwritten}:
                try:
                    await self._write(app)
                    await self.catch_up(app)
                except Unavailable:
                    log.warning("revocations cannot be read or written now")
                except Exception:
                    log.exception("revocations of an app could not be followed")

    async def catch_up(self, app: str) -> None:
        """Apply what the log has beyond what was seen."""
        seen = self._seen.get(app)
        head = await self._store.log.head(app, ROOM)
        if seen is None or seen < head.floor:
            # What came before is unknown: everything that is open is looked at again.
            self._seen[app] = head.seq
            everything = Revocation(app=app, change=Change.CHANGED, reason="caught up")
            await self._review(self.register.of_app(app), everything)
            return
        while seen < head.seq:
            ops = await self._store.log.read(app, ROOM, after=seen, limit=_PAGE)
            if not ops:
                return
            self._take(ops)
            seen = self._seen[app] = ops[-1].seq

    def _take(self, ops: list[Op]) -> None:
        for op in ops:
            # Our own were applied when they were made.
            if op.ident != self._ident and not op.erased:
                self._heard(op.body)
