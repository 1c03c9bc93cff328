"""One log as this process follows it for its sessions: hints when they fit, the store when not.

A hint whose first entry is the next one is passed on; what is at or below the last one is dropped;
anything else means reading from there. Where much is said, what comes within `PACE` goes together.
Heads are polled beside that (`hub`). An adapter.

    new --start--> following --nobody left--> closed
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from signaling.chat.ports import (
    Below,
    Calling,
    CursorMoved,
    Hint,
    News,
    PresenceMoved,
    RightsChanged,
    Typing,
)
from signaling.errors import ClientError, Unavailable
from signaling.sync.batch import Batch
from signaling.sync.engine import PAGE
from signaling.sync.errors import Action, Fault, SyncCode
from signaling.sync.faults import reset
from signaling.sync.frames import encode
from signaling.sync.owing import Owing
from signaling.sync.session_frames import PartitionCall, PartitionCursor, PartitionTyping

if TYPE_CHECKING:
    from signaling.sync.binding import Bound
    from signaling.sync.live import Live

log = logging.getLogger(__name__)

PACE = 0.05
"""Seconds between two frames of one log to each of its sessions. A frame to everybody in a room
costs far more than what is in it, and nobody reads faster than this. The first after a pause goes
at once, and whoever wrote is not kept waiting (`hurry`)."""
SHARE = 0.0001
"""As many more for each session: a room of thousands leaves most of the time to the others."""


class Feed:
    """Owned by the hub. `last` is the newest entry that its sessions were given; `epoch` says of
    which log.
    """

    def __init__(self, bound: Bound, pace: float = PACE) -> None:
        self.partition = bound.partition
        self.app = bound.actor.app
        self.name = bound.name
        self.sessions: set[Live] = set()
        self.last = 0
        self.floor = 0
        self.epoch = ""
        self._pace_seconds = pace
        self._given = 0.0
        self._held: list[Any] = []
        self._held_chain = b""
        self._spelled: dict[int, bytes] = {}
        self._batch: Batch | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._started: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._checking: asyncio.Task[None] | None = None
        self._review: asyncio.Task[None] | None = None
        self._review_again = False
        self._owing = Owing()
        self._cancel = self.partition.watch(self.app, self.name, self.hear)

    async def start(self) -> None:
        """Once; whoever comes while it starts waits for the same. Raises Unavailable."""
        if self._started is None:
            self._started = asyncio.create_task(self._begin())
        try:
            await asyncio.shield(self._started)
        except Unavailable:
            self._started = None
            raise

    async def _begin(self) -> None:
        self.epoch = await self.partition.epoch(self.app, self.name)
        head = await self.partition.head(self.app, self.name)
        self.last, self.floor = max(self.last, head.seq), head.floor

    def close(self) -> None:
        self._cancel()
        self._drop_held()
        self._owing.close()
        for task in (self._task, self._review, self._checking):
            if task is not None:
                task.cancel()

    # Hints

    def hear(self, hint: Hint) -> None:
        if isinstance(hint, News):
            self._news(hint)
        elif isinstance(hint, RightsChanged):
            self._release()  # whoever must go was there when that was said
            self.review()
        elif isinstance(hint, Typing):
            for live in tuple(self.sessions):
                live.tell(
                    encode(
                        PartitionTyping(
                            session=live.number,
                            account=hint.account,
                            seconds=hint.seconds,
                            parent=hint.parent,
                        )
                    )
                )
        elif isinstance(hint, CursorMoved):
            self._cursor(hint)
        elif isinstance(hint, Calling):
            self._calling(hint)
        elif isinstance(hint, PresenceMoved):
            self._owing.tell(self.sessions, hint.people)

    def _calling(self, hint: Calling) -> None:
        """A device is told itself whether another of its account did it."""
        until = datetime.fromtimestamp(hint.until, UTC) if hint.until else UNSET
        for live in tuple(self.sessions):
            own = bool(hint.device) and hint.account == live.actor.account
            frame = PartitionCall(
                session=live.number,
                call=hint.call,
                room=hint.room,
                event=hint.event,
                caller=hint.caller,
                account=hint.account,
                elsewhere=own and hint.device != live.actor.device,
                video=hint.video,
                until=until,
            )
            live.tell(encode(frame))

    def _cursor(self, hint: CursorMoved) -> None:
        for live in tuple(self.sessions):
            frame = PartitionCursor(
                session=live.number,
                room=hint.room,
                account=hint.account,
                read=hint.read,
                delivered=hint.delivered,
                parent=hint.parent,
            )
            live.tell(encode(frame))

    def _news(self, news: News) -> None:
        if not self.sessions:
            return
        if self._is_started and news.epoch != self.epoch:
            self._recheck()
            return
        if news.to_seq <= self.newest:
            return
        fits = news.from_seq <= self.newest + 1 and news.entries and news.chain
        if self._task is not None or not fits or not self._is_started:
            self.look()
            return
        fresh = [entry for entry in news.entries if entry.seq > self.newest]
        self._pace(fresh, news.chain)

    @property
    def _is_started(self) -> bool:
        return self._started is not None and self._started.done()

    @property
    def newest(self) -> int:
        """Given out, or about to be."""
        return self._held[-1].seq if self._held else self.last

    def _pace(self, entries: Sequence[Any], chain: bytes) -> None:
        loop = asyncio.get_running_loop()
        pace = self._pace_seconds and max(self._pace_seconds, SHARE * len(self.sessions))
        due = self._given + pace
        if not self._held and loop.time() >= due:
            self._give(Batch(entries, chain))
            return
        self._held += entries
        self._held_chain, self._batch = chain, None
        if self._timer is None:
            self._timer = loop.call_at(due, self._release)

    def hurry(self, live: Live) -> None:
        """To whoever wrote, what the others get a little later: it acknowledges."""
        if self._held and live in self.sessions:
            live.own(self._gathered())

    def _gathered(self) -> Batch:
        if self._batch is None:
            self._batch = Batch(tuple(self._held), self._held_chain, self._spelled)
        return self._batch

    def _release(self) -> None:
        if self._held:
            batch = self._gathered()
            self._drop_held()
            self._give(batch)
        else:
            self._drop_held()

    def _drop_held(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._held, self._batch, self._spelled = [], None, {}

    def _give(self, batch: Batch) -> None:
        self.last = batch.last
        self._given = asyncio.get_running_loop().time()
        for live in tuple(self.sessions):
            live.news(batch)

    # The store

    def look(self) -> None:
        """Read what is new. While a look runs, one more is enough for all who ask."""
        self._release()
        if self._task is not None:
            self._again = True
        elif self.sessions:
            self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        try:
            await self.start()
            while self.sessions:
                self._again = False
                found = await self._page()
                if found is not None and len(found):
                    self._give(found)
                elif not self._again:
                    return
        except Unavailable as error:
            log.info("a log cannot be read now", extra={"error": error.message})
        finally:
            self._task = None

    async def _page(self) -> Batch | None:
        """As the first of the sessions that may: who may not is about to be told."""
        for live in tuple(self.sessions):
            try:
                found = await self.partition.read(live.actor, self.name, self.last, PAGE)
            except Below as below:
                # Gone before anybody was given it: each finds out for itself what that means.
                self.last = max(self.last, below.head.floor)
                for behind in tuple(self.sessions):
                    behind.run(behind.engine.behind())
                continue
            except ClientError:
                continue
            return Batch(found.entries, found.chain)
        return None

    def _recheck(self) -> None:
        """News of another log: perhaps this one began anew, perhaps it is another process's."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self.poll())

    async def _check_epoch(self) -> None:
        """A log that began anew has none of what its sessions were given. Raises Unavailable."""
        epoch = await self.partition.epoch(self.app, self.name)
        if epoch == self.epoch:
            return
        log.info("a log began anew")
        self.epoch, self.last, self.floor = epoch, 0, 0
        self._drop_held()
        for live in tuple(self.sessions):
            live.fail(reset(SyncCode.DIVERGING_HISTORIES, "This log began anew."))

    async def poll(self) -> None:
        """A head below what was given out is a restored store: everybody begins again."""
        try:
            await self._check_epoch()
            head = await self.partition.head(self.app, self.name)
        except Unavailable:
            return
        if head.floor > self.floor:
            self._release()  # a floor comes after what lies below it
            self.floor = head.floor
            for live in tuple(self.sessions):
                live.floor(head.floor)
        if head.seq < self.last:
            log.warning("a log is shorter than it was")
            self.last = head.seq
            self._drop_held()
            for live in tuple(self.sessions):
                live.fail(_shorter())
        elif head.seq > self.last:
            self.look()

    # Rights

    def review(self) -> None:
        """Ask again who may read. Another change meanwhile means asking once more."""
        if self._review is not None:
            self._review_again = True
        elif self.sessions:
            self._review = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        try:
            while True:
                self._review_again = False
                for live in tuple(self.sessions):
                    await live.review()
                if not self._review_again:
                    return
        finally:
            self._review = None


def _shorter() -> Fault:
    return Fault(
        SyncCode.BAD_SERVER_VERSION,
        "This server's log is shorter than it was.",
        try_again=True,
        action=Action.TRANSIENT,
    )
