"""Kills a MongoDB connection at bytes of an act's writes and of their replies: at every one, or at
all boundaries between messages and some bytes within. Not what must hold afterwards: an act looks
for itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from signaling.clock import SystemClock
from signaling.config.store import Store as Settings
from signaling.errors import Unavailable
from signaling.ids import SystemEntropy
from signaling.storage.mongo import MongoStore
from tests.peers.mongo.fault_proxy import Fault, FaultProxy
from tests.signaling.storage import places

T = TypeVar("T")

# Parts of the offsets that run beside each other, each with a proxy and a database of its own.
LANES = 8
# Of one act, with all that is looked at around it. It takes a fraction of a second alone.
ACT_SECONDS = 60.0


@dataclass
class Lane:
    """`store` is behind the proxy; what `opened` gives reaches the same database without it."""

    number: int
    proxy: FaultProxy
    store: MongoStore
    direct: Settings
    directory: Path

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[MongoStore]:
        """As a server that was started since: it remembers nothing."""
        store = MongoStore(self.direct, self.directory, SystemClock(), SystemEntropy())
        try:
            yield store
        finally:
            await store.close()


Act = Callable[[Lane, int], Awaitable[None]]
"""Is given the number of the case, which is new in its lane."""


@asynccontextmanager
async def lanes(directory: Path, port: int) -> AsyncIterator[list[Lane]]:
    """Before the MongoDB at `port`."""
    made = []
    for number in range(LANES):
        proxy = FaultProxy(port)
        await proxy.start()
        settings = places.stand_in_settings(proxy.port)
        store = MongoStore(settings, directory, SystemClock(), SystemEntropy())
        direct = msgspec.structs.replace(settings, url=f"mongodb://127.0.0.1:{port}/")
        made.append(Lane(number, proxy, store, direct, directory))
    await asyncio.gather(*(lane.store.ready() for lane in made))
    yield made
    for lane in made:
        await lane.store.close()
        await places.MongoPlace(lane.direct, directory).clear()
        await lane.proxy.stop()


async def insist(work: Callable[[], Awaitable[T]]) -> T:
    """As clients do: the same again until there is an answer."""
    async with asyncio.timeout(ACT_SECONDS):
        while True:
            try:
                return await work()
            except Unavailable:
                continue


async def _kill(lane: Lane, act: Act, case: int, fault: Fault) -> int:
    """One case; how many bytes the message had that was cut."""
    lane.proxy.fault = fault
    async with asyncio.timeout(ACT_SECONDS):
        await act(lane, case)
    assert fault.done, "the write that should break was not made"
    return fault.size


async def at_every_byte(lanes: list[Lane], act: Act, writes: int, command: str = "") -> int:
    """Every offset of each of the writes that `act` makes, and of their replies; how many. With a
    `command`, of those writes alone.
    """

    async def one(lane: Lane) -> int:
        cases = 0
        for write in range(1, writes + 1):
            for reply in (False, True):
                offset, end = lane.number, lane.number + 1
                while offset < end:
                    size = await _kill(lane, act, cases, Fault(offset, reply, write, command))
                    end = size + 1  # all of it, and then the reset, is a case too
                    offset += LANES
                    cases += 1
        return cases

    return sum(await asyncio.gather(*map(one, lanes)))


async def at_some_bytes(lanes: list[Lane], act: Act, writes: int, within: int, seed: int) -> int:
    """Before and after each of the messages, and at `within` places inside it; how many."""
    messages = [(write, reply) for write in range(1, writes + 1) for reply in (False, True)]

    def inside(write: int, reply: bool, size: int) -> Iterator[int]:
        source = random.Random(f"{seed} {write} {reply}")
        return iter(source.sample(range(1, size), min(within, size - 1)))

    async def one(lane: Lane) -> int:
        cases = 0
        for write, reply in messages[lane.number :: LANES]:
            size = await _kill(lane, act, cases, Fault(0, reply, write))
            cases += 1
            for offset in (size, *inside(write, reply, size)):
                await _kill(lane, act, cases, Fault(offset, reply, write))
                cases += 1
        return cases

    return sum(await asyncio.gather(*map(one, lanes)))
