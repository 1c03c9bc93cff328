"""The one subscribed connection: reads, notices that it died, connects again, subscribes again.

The driver's own reconnecting hides the gap (ten dropped connections lost 84 of 15,190 messages
without an error), so this reader does it itself and says when.

States: connecting -> up -> lost -> connecting. One task; owned by `RedisBus`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

# A silent connection is asked; one that does not answer is half open.
PING = 1.0
FIRST_WAIT, LAST_WAIT = 0.05, 2.0

ERRORS = (RedisError, OSError, TimeoutError, EOFError)


class Reader:
    """`topics` gives the channels wanted now; `message` and `changed` are called on the loop."""

    def __init__(
        self,
        connect: Callable[[], AbstractConnection],
        topics: Callable[[], list[str]],
        message: Callable[[str, bytes], None],
        changed: Callable[[bool], None],
        timeout: float,
    ) -> None:
        self._connect = connect
        self._topics = topics
        self._message = message
        self._changed = changed
        self._timeout = timeout
        self._task: asyncio.Task[None] | None = None
        self._connection: AbstractConnection | None = None
        self._waiting: dict[str, asyncio.Event] = {}
        self._wanted: list[tuple[str, str]] = []
        self._poke = asyncio.Event()
        self.up = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def subscribe(self, channel: str) -> None:
        self._waiting[channel] = asyncio.Event()
        self._ask("SUBSCRIBE", channel)

    def unsubscribe(self, channel: str) -> None:
        event = self._waiting.pop(channel, None)
        if event is not None:
            event.set()
        self._ask("UNSUBSCRIBE", channel)

    def _ask(self, verb: str, channel: str) -> None:
        self._wanted.append((verb, channel))
        self._poke.set()

    async def established(self, channel: str) -> None:
        """Until Redis has said so, or the bus is away."""
        event = self._waiting.get(channel)
        if event is not None and self.up:
            await event.wait()

    async def _run(self) -> None:
        wait = FIRST_WAIT
        while True:
            try:
                await self._session()
            except ERRORS as error:
                if self.up:
                    wait = FIRST_WAIT
                log.warning("the bus is away", extra={"error": type(error).__name__})
            finally:
                self._lose()
            await asyncio.sleep(wait)
            wait = min(wait * 2, LAST_WAIT)

    def _lose(self) -> None:
        """Whoever waits for a subscription goes on without."""
        self.up = False
        self._wanted.clear()
        for event in self._waiting.values():
            event.set()
        self._changed(False)

    async def _session(self) -> None:
        self._connection = connection = self._connect()
        writer: asyncio.Task[None] | None = None
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._wanted.clear()
            for event in self._waiting.values():
                event.clear()
            channels = self._topics()
            if channels:
                await connection.send_command("SUBSCRIBE", *channels)
                left = set(channels)
                while left:
                    left.discard(self._handle(await self._read(connection, self._timeout)))
            self.up = True
            self._changed(True)
            writer = asyncio.create_task(self._write(connection))
            await self._listen(connection)
        finally:
            if writer is not None:
                writer.cancel()
                await asyncio.wait([writer], timeout=1.0)
            with contextlib.suppress(*ERRORS):
                await connection.disconnect(nowait=True)
            self._connection = None

    @staticmethod
    async def _read(connection: AbstractConnection, seconds: float) -> Any:
        async with asyncio.timeout(seconds):
            return await connection.read_response(
                disable_decoding=True, timeout=math.inf, disconnect_on_error=False
            )

    async def _listen(self, connection: AbstractConnection) -> None:
        """Two silences in a row, with a ping between them, are the end."""
        asked = False
        while True:
            try:
                self._handle(await self._read(connection, self._timeout if asked else PING))
                asked = False
            except TimeoutError:
                if asked:
                    raise
                asked = True
                await _send(connection, "PING")

    async def _write(self, connection: AbstractConnection) -> None:
        """Subscriptions while the connection is up. Ends at an error: a ping will meet it too."""
        with contextlib.suppress(*ERRORS):
            while True:
                await self._poke.wait()
                self._poke.clear()
                wanted, self._wanted = self._wanted, []
                for verb, channel in wanted:
                    await _send(connection, verb, channel)

    def _handle(self, answer: Any) -> str:
        """The channel of a confirmed subscription, otherwise nothing."""
        if not isinstance(answer, list) or len(answer) != 3:
            return ""
        kind, channel, payload = answer
        name = channel.decode() if isinstance(channel, bytes) else ""
        if kind == b"message":
            self._message(name, payload)
        elif kind == b"subscribe":
            event = self._waiting.get(name)
            if event is not None:
                event.set()
            return name
        return ""

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None


async def _send(connection: AbstractConnection, *words: str) -> None:
    """The driver would connect again by itself, and hide the gap."""
    if not connection.is_connected:
        raise ConnectionResetError("the connection is gone")
    await connection.send_command(*words, check_health=False)
