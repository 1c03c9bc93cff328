"""Webhooks: events of calls, posted as LiveKit posts them, so that its receivers accept them.

The body is JSON; `Authorization` holds a JWT whose `sha256` claim is the body's digest. Each
room's events arrive in order at each target; a failing target is retried with back-off and then
skipped, and the next event says how many were dropped. `notify` only queues: no call ever waits
for a receiver.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
from google.protobuf import json_format
from livekit.protocol import webhook

from signaling.rtc.clock import LoopClock, TimerClock
from signaling.rtc.tokens import ApiKeys, Claims, issue
from signaling.secret import Secret

log = logging.getLogger(__name__)

_TOKEN_LIFE = 300.0
_TIMEOUT = 10.0
_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each retry; a target that fails six times loses the event."""
_AT_ONCE = 10
"""Rooms whose events are in flight to one target at the same time."""
CONTENT_TYPE = "application/webhook+json"


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where to post and which API key signs. An empty `events` sends all."""

    url: str
    key: str = ""
    events: frozenset[str] = frozenset()


Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Lane:
    """One target: its rooms' queues and how many events it lost since the last that arrived."""

    target: WebhookTarget
    rooms: dict[str, deque[webhook.WebhookEvent]] = field(default_factory=dict)
    waiting: int = 0
    dropped: int = 0
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))


class Webhooks:
    """Implements `Hooks`. `start` before the first event, `stop` after the last."""

    def __init__(
        self,
        targets: Sequence[WebhookTarget],
        keys: Mapping[str, str | Secret],
        *,
        queue: int = 1_000,
        clock: TimerClock | None = None,
        post: Post | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`queue`: events waiting for one target; beyond it the newest is dropped and counted."""
        self._queue = queue
        self._keys = ApiKeys(keys)
        self._clock = clock or LoopClock()
        self._lanes = [_Lane(target) for target in targets]
        self._post = post or self._http_post
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.counters = {"sent": 0, "retried": 0, "failed": 0, "overflow": 0}

    async def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        self._session = aiohttp.ClientSession(timeout=timeout)

    async def stop(self, wait: float = 5.0) -> None:
        """Give what is queued `wait` seconds, then give up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=wait)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def idle(self) -> None:
        """Wait until nothing is queued (tests, drain)."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def notify(self, event: webhook.WebhookEvent) -> None:
        for lane in self._lanes:
            if lane.target.events and event.event not in lane.target.events:
                continue
            if lane.waiting >= self._queue:
                lane.dropped += 1
                self.counters["overflow"] += 1
                continue
            copy = webhook.WebhookEvent()
            copy.CopyFrom(event)
            lane.waiting += 1
            queue = lane.rooms.get(event.room.name)
            if queue is not None:
                queue.append(copy)
                continue
            lane.rooms[event.room.name] = deque([copy])
            self._begin(self._run(lane, event.room.name))

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, lane: _Lane, room: str) -> None:
        """Send one room's events to one target, in order, until none is left."""
        queue = lane.rooms[room]
        try:
            async with lane.slots:
                while queue:
                    await self._deliver(lane, queue[0])
                    queue.popleft()
                    lane.waiting -= 1
        finally:
            del lane.rooms[room]

    async def _deliver(self, lane: _Lane, event: webhook.WebhookEvent) -> None:
        dropped, lane.dropped = lane.dropped, 0
        event.num_dropped = dropped
        body = json_format.MessageToJson(event, indent=None).encode()
        for delay in (*_DELAYS, None):
            try:
                status = await self._post(lane.target.url, body, self._headers(lane.target, body))
            except (aiohttp.ClientError, TimeoutError, OSError):
                status = 0
            if 200 <= status < 300:
                self.counters["sent"] += 1
                return
            if delay is None or (400 <= status < 500 and status not in (408, 429)):
                break  # the receiver understood and refused: asking again will not help
            self.counters["retried"] += 1
            await self._sleep(delay)
        lane.dropped += dropped + 1
        self.counters["failed"] += 1
        log.warning("webhook not delivered: %s", event.event)

    def _headers(self, target: WebhookTarget, body: bytes) -> dict[str, str]:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        claims = Claims(key=target.key or self._keys.first(), sha256=digest)
        token = issue(self._keys, claims, self._clock.unix(), _TOKEN_LIFE)
        return {
            "Authorization": token,
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "sotto",
        }

    async def _http_post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        assert self._session is not None, "start() was not awaited"
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            return response.status
