"""The one process that writes the mirror: under a lease, from where the last one came to.

    waiting for the lease -> begun -> (a stretch of each room that grew, a few documents of the
    inbox)* -> ... -> away: tried again after 1 s, 2 s, ... 15 s

Rooms say that they grew by the bus, in whatever process; all are looked at now and then, for what
the bus lost. A change stream of the inbox says when to look there, else it is polled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from signaling.chat.ports import Cancel, Hint, News, RightsChanged
from signaling.chat.service import Chat
from signaling.compliance.audit.forward.lease import Lease
from signaling.errors import ClientError, Unavailable
from signaling.mirror.following import Follower
from signaling.mirror.inbox import Inbox
from signaling.mirror.port import MirrorStore, NoStreams
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

# Short: documents are fenced by themselves, so two writers for a moment harm nothing.
LEASE_SECONDS = 6.0
# Between two looks at all rooms, and at the inbox behind a change stream.
LOOK_SECONDS = 5.0
MOST_WAIT = 15.0
# A server without change streams may be replaced by one that has them.
STREAM_AGAIN = 300.0


class Worker:
    """One for each process. `run` until cancelled; `streaming` says how the inbox is heard."""

    def __init__(
        self,
        app: str,
        rooms: Sequence[str],
        chat: Chat,
        store: MirrorStore,
        lease: Lease,
        follower: Follower,
        inbox: Inbox,
        poll_seconds: float,
    ) -> None:
        self._app, self._rooms, self._chat, self._store = app, rooms, chat, store
        self._lease, self._follower, self._inbox = lease, follower, inbox
        self._poll = poll_seconds
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._looked = float("-inf")
        self._leading = False
        self.streaming = False

    async def run(self) -> None:
        """Until it is cancelled; then the lease is given back."""
        watches = [self._watch(room) for room in self._rooms]
        stream = asyncio.get_running_loop().create_task(self._stream())
        try:
            await self._work()
        finally:
            stream.cancel()
            for cancel in watches:
                cancel()
            await asyncio.gather(stream, return_exceptions=True)
            with contextlib.suppress(Unavailable):
                await self._lease.release()

    def _watch(self, room: str) -> Cancel:
        def heard(hint: Hint) -> None:
            if isinstance(hint, News | RightsChanged):
                self._dirty[room] = None
                self._wake.set()

        return self._chat.watch(self._app, room, heard)

    async def _work(self) -> None:
        failures = 0
        while True:
            try:
                wait = await self._round()
                failures = 0
            except (Unavailable, ClientError, Conflict) as error:
                log.info("the mirror waits: %s", type(error).__name__)
                wait = min(MOST_WAIT, 2.0**failures)
                failures = min(failures + 1, 10)
                self._leading = False
            except Exception:
                # Our error. Ending here would end the mirror until somebody restarts the server.
                log.exception("the mirror waits")
                wait, self._leading = MOST_WAIT, False
            await self._pause(wait, wakes=self._leading)

    async def _pause(self, seconds: float, *, wakes: bool) -> None:
        """Nobody hurries a database that is away."""
        if not wakes:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _round(self) -> float:
        """The seconds until there may be more to do."""
        self._wake.clear()
        if not await self._lease.hold():
            self._leading = False
            return LOOK_SECONDS
        if not self._leading:
            await self._follower.begin(self._rooms)
            self._looked, self._leading = float("-inf"), True
        now = asyncio.get_running_loop().time()
        if now >= self._looked + LOOK_SECONDS:
            self._dirty = dict.fromkeys(self._rooms)
            self._looked = now
        more = await self._follow()
        wait = await self._inbox.round()
        if more:
            return 0.0
        if wait is not None:
            return wait
        return LOOK_SECONDS if self.streaming else min(self._poll, LOOK_SECONDS)

    async def _follow(self) -> bool:
        """A stretch of each room that grew, so that a long one does not hold up the others."""
        dirty, self._dirty = self._dirty, {}
        for room in list(dirty):
            await asyncio.sleep(0)  # a look at a room on SQLite pauses nowhere
            try:
                if await self._follower.follow(self._app, room):
                    self._dirty[room] = None
            except ClientError as error:
                # Of this room: a key that is disabled, say. The next look tries again.
                log.info("a room is not mirrored now: %s", error.code)
            except BaseException:
                self._dirty |= dirty
                raise
        return bool(self._dirty)

    async def _stream(self) -> None:
        """Wakes for what comes into the inbox, as long as this is the process that takes it."""
        while True:
            wait = 1.0
            if self._leading:
                try:
                    await self._store.changes(self._told)
                except NoStreams:
                    log.info("the mirror's database has no change streams: its inbox is polled")
                    wait = STREAM_AGAIN
                except Unavailable:
                    pass  # it is away: the rounds say so
                except Exception:
                    log.exception("the inbox is polled")
                    wait = STREAM_AGAIN
                self.streaming = False
            await asyncio.sleep(wait)

    def _told(self) -> None:
        self.streaming = True
        self._wake.set()
