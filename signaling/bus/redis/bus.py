"""The bus on Redis. Every call falls back to this process when Redis is away or slow.

States: lost -> shared -> lost, as the reader's connection goes; after a command that got no
answer, commands are left out for a moment too (`PAUSE`). Owned by the composition root.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from signaling.bus.local import Expiring, Limits, LocalSubscription, Presence, Topics
from signaling.bus.port import BusState, Callback, Limit, Reach
from signaling.bus.redis import scripts
from signaling.bus.redis.connect import listening, pool
from signaling.bus.redis.reader import ERRORS, Reader
from signaling.bus.redis.sender import Sender
from signaling.clock import Clock
from signaling.config.store import Bus as Settings
from signaling.errors import Unavailable
from signaling.ids import Entropy

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds without commands after one that got no answer: else each caller waits for the time-out.
PAUSE = 1.0
# Before a message: who sent it, so that nobody hears itself twice.
NODE_BYTES = 8
RETRY_AFTER = 2
# A deletion that Redis has not heard of is remembered so long: nobody may cache for longer.
FORGOTTEN = 3600.0


class RedisSubscription(LocalSubscription):
    """Ends when closed."""

    def __init__(self, close: Callable[[], None], wait: Callable[[], Awaitable[None]]) -> None:
        super().__init__(close)
        self._wait = wait

    async def established(self) -> None:
        await self._wait()


class RedisBus:
    """A `Bus` between servers."""

    def __init__(self, settings: Settings, clock: Clock, entropy: Entropy) -> None:
        """Raises ConfigError for certificates that cannot be used. Nothing is connected yet."""
        self._clock = clock
        self._prefix = settings.prefix
        self._node = entropy.token(NODE_BYTES)
        self._client = Redis(connection_pool=pool(settings))
        self._sender = Sender(self._client)
        self._topics = Topics()
        self._reader = Reader(
            listening(settings),
            lambda: [self._channel(topic) for topic in self._topics.names()],
            self._receive,
            self._change,
            max(1.0, settings.timeout_seconds),
        )
        self._presence = Presence(clock)
        self._limits = Limits(clock)
        self._deleted: Expiring[bool] = Expiring(clock)
        self._state = BusState(Reach.LOST, clock.monotonic())
        self._watchers: list[Callable[[BusState], None]] = []
        self._paused = 0.0
        self._returning: asyncio.Task[None] | None = None
        self._limit = self._client.register_script(scripts.LIMIT)
        self._present = self._client.register_script(scripts.PRESENT)
        self._presences = self._client.register_script(scripts.PRESENCES)

    def start(self) -> None:
        self._reader.start()

    def _channel(self, topic: str) -> str:
        return f"{self._prefix}t:{topic}"

    async def publish(self, topic: str, payload: bytes) -> None:
        self._topics.deliver(topic, payload)
        if self._state.reach is Reach.SHARED:
            self._sender.send(self._channel(topic), self._node + payload)

    def subscribe(self, topic: str, callback: Callback) -> RedisSubscription:
        channel = self._channel(topic)
        if self._topics.add(topic, callback):
            self._reader.subscribe(channel)

        def close() -> None:
            if self._topics.remove(topic, callback):
                self._reader.unsubscribe(channel)

        return RedisSubscription(close, lambda: self._reader.established(channel))

    def _receive(self, channel: str, message: bytes) -> None:
        if message[:NODE_BYTES] != self._node:
            self._topics.deliver(channel.removeprefix(self._channel("")), message[NODE_BYTES:])

    def _change(self, up: bool) -> None:
        reach = Reach.SHARED if up else Reach.LOST
        if reach is self._state.reach:
            return
        losses = self._state.losses + (not up)
        self._state = BusState(reach, self._clock.monotonic(), losses)
        self._paused = 0.0
        if up:
            log.info("the bus is there", extra={"losses": losses})
            self._return_soon(0.0)
        else:
            self._sender.clear()
        for watcher in self._watchers:
            watcher(self._state)

    def _return_soon(self, seconds: float) -> None:
        if self._returning is None or self._returning.done():
            self._returning = asyncio.create_task(self._return(seconds))

    async def _return(self, seconds: float) -> None:
        """Say again what Redis may have missed: who is here, and what may not be cached.

        Ends when all of it was said, or when the bus is away: then its return starts this anew.
        """
        while True:
            await asyncio.sleep(seconds)
            for key in self._deleted.live():
                await self.cache_delete(key)
            for key, member, left in self._presence.everybody():
                await self._announce(key, member, left)
            seconds = self._paused - self._clock.monotonic()
            if seconds <= 0 or self._state.reach is not Reach.SHARED:
                return

    async def _ask(self, work: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """The answer of Redis, or `otherwise` when there is none."""
        if self._state.reach is not Reach.SHARED or self._clock.monotonic() < self._paused:
            return otherwise
        try:
            return await work()
        except ResponseError as error:
            log.error("Redis refuses a command", extra={"error": str(error)[:80]})
            return otherwise
        except ERRORS as error:
            self._paused = self._clock.monotonic() + PAUSE
            log.warning("Redis does not answer", extra={"error": type(error).__name__})
            self._return_soon(PAUSE)
            return otherwise

    async def presence_set(self, key: str, member: str, seconds: float) -> None:
        self._presence.set(key, member, seconds)
        await self._announce(key, member, seconds)

    async def _announce(self, key: str, member: str, seconds: float) -> None:
        keys = [f"{self._prefix}p:{key}"]
        values: list[str | int] = [member, int(max(0.0, seconds) * 1000)]
        await self._ask(lambda: self._present(keys, values), None)

    async def presence_list(self, key: str) -> list[str]:
        keys = [f"{self._prefix}p:{key}"]
        found: list[bytes] = await self._ask(lambda: self._presences(keys, []), [])
        others = {member.decode() for member in found}
        return sorted(others.union(self._presence.list(key)))

    async def limit(
        self, key: str, rate: float, burst: int, *, cost: int = 1, strict: bool = False
    ) -> Limit:
        if rate <= 0 or burst < 1 or cost < 1:
            raise ValueError("rate, burst and cost are positive")
        keys, values = [f"{self._prefix}l:{key}"], [1e6 / rate, burst, cost]
        answer: Any = await self._ask(lambda: self._limit(keys, values), None)
        if answer is not None:
            allowed, remaining, retry, reset = answer
            return Limit(allowed == 1, remaining, retry / 1e6, reset / 1e6)
        if strict:
            raise Unavailable("limits cannot be counted now", RETRY_AFTER)
        return self._limits.take(key, rate, burst, cost)

    async def cache_get(self, key: str) -> bytes | None:
        if self._deleted.get(key):
            return None
        found: Any = await self._ask(lambda: self._client.get(f"{self._prefix}c:{key}"), None)
        return found if isinstance(found, bytes) else None

    async def cache_set(self, key: str, value: bytes, seconds: float) -> None:
        milliseconds = int(min(seconds, FORGOTTEN) * 1000)
        if milliseconds <= 0:
            return
        name = f"{self._prefix}c:{key}"
        done = await self._ask(lambda: self._client.set(name, value, px=milliseconds), None)
        if done is not None:
            self._deleted.pop(key)

    async def cache_delete(self, key: str) -> None:
        """Remembered until Redis has done it."""
        self._deleted.set(key, True, FORGOTTEN)
        done: int | None = await self._ask(
            lambda: self._client.delete(f"{self._prefix}c:{key}"), None
        )
        if done is not None:
            self._deleted.pop(key)

    def state(self) -> BusState:
        return self._state

    def on_state(self, callback: Callable[[BusState], None]) -> None:
        self._watchers.append(callback)

    async def close(self) -> None:
        await self._sender.close()
        self._watchers.clear()
        await self._reader.close()
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.gather(self._returning, return_exceptions=True)
        await self._client.aclose(close_connection_pool=True)
