"""Publishes beside everybody's path: a bounded queue, emptied by one task in pipelines.

What does not fit or cannot be sent is dropped and counted: receivers see the gap in the sequence.
"""

from __future__ import annotations

import asyncio
from collections import deque

from redis.asyncio import Redis
from redis.exceptions import RedisError

# A burst of a second at full speed; beyond, the oldest are dropped.
QUEUE = 20_000
PIPELINE = 256


class Sender:
    """Owned by `RedisBus`. `dropped` counts what never left."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._queue: deque[tuple[str, bytes]] = deque()
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    def send(self, channel: str, message: bytes) -> None:
        if len(self._queue) >= QUEUE:
            self._queue.popleft()
            self.dropped += 1
        self._queue.append((channel, message))
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._queue:
                await self._send_some()
        finally:
            self._task = None

    async def _send_some(self) -> None:
        count = min(PIPELINE, len(self._queue))
        batch = [self._queue.popleft() for _ in range(count)]
        pipeline = self._client.pipeline(transaction=False)
        for channel, message in batch:
            pipeline.publish(channel, message)
        try:
            await pipeline.execute()
        except (RedisError, OSError, TimeoutError):
            self.dropped += count

    def clear(self) -> None:
        """The bus is away: old hints are of no use when it is back."""
        self.dropped += len(self._queue)
        self._queue.clear()

    async def close(self) -> None:
        """Gives what is queued one chance."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=1.0)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
