"""Whatever the bus does, a follower gets every op once and in order."""

from __future__ import annotations

import asyncio
import random

import pytest

from signaling.bus.follow import HINT_BYTES, Follower, Following, announce, topic
from signaling.bus.local import LocalBus
from signaling.bus.port import Bus, BusState, Reach
from signaling.clock import FakeClock, SystemClock
from signaling.errors import Unavailable
from signaling.storage.memory import MemoryLog, MemoryStore
from signaling.storage.port import Head, NewOp, Op
from tests.peers.redis_server import RedisServer
from tests.signaling.bus.conftest import shared, until
from tests.signaling.bus.lossy import LossyBus

APP, ROOM = "app", "room"


async def write(log: MemoryLog, bus: Bus, ident: str, version: int, body: bytes = b"x") -> None:
    (answer,) = await log.append(APP, ROOM, [NewOp(ident, version, body)])
    ops = await log.read(APP, ROOM, after=answer.seq - 1, before=answer.seq + 1, limit=1)
    await announce(bus, APP, ROOM, ops)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("loss", [0.0, 0.3, 0.9, 1.0])
async def test_every_op_once_and_in_order(seed: int, loss: float) -> None:
    store, bus = MemoryStore(), LossyBus(seed, loss)
    follower = Follower(store.log, bus, SystemClock())
    source = random.Random(seed)
    got: list[int] = []
    following = follower.follow(APP, ROOM, 0, lambda ops: got.extend(op.seq for op in ops))
    for n in range(60):
        await write(store.log, bus, "i", n + 1)
        if source.random() < 0.3:
            await asyncio.sleep(0)
        if source.random() < 0.1:
            await follower.poll()
    await settle()
    assert got == list(range(1, len(got) + 1))
    await follower.poll()
    await settle()
    assert got == list(range(1, 61))
    following.close()


async def test_a_large_hint_carries_no_ops_and_is_read_from_the_store() -> None:
    store, bus = MemoryStore(), LocalBus()
    sizes: list[int] = []
    got: list[int] = []
    bus.subscribe(topic(APP, ROOM), lambda payload: sizes.append(len(payload)))
    follower = Follower(store.log, bus, SystemClock())
    follower.follow(APP, ROOM, 0, lambda ops: got.extend(op.seq for op in ops))
    await write(store.log, bus, "i", 1, bytes(HINT_BYTES))
    await write(store.log, bus, "i", 2, b"small")
    await settle()
    assert got == [1, 2]
    assert sizes[0] < 50 < sizes[1]


async def test_a_follower_begins_where_it_says_and_skips_what_was_purged() -> None:
    store, bus = MemoryStore(), LocalBus()
    for n in range(10):
        await store.log.append(APP, ROOM, [NewOp("i", n + 1, b"")])
    await store.log.purge(APP, ROOM, 6)
    follower = Follower(store.log, bus, SystemClock())
    late: list[int] = []
    lost: list[int] = []
    follower.follow(APP, ROOM, 8, lambda ops: late.extend(op.seq for op in ops))
    follower.follow(APP, ROOM, 2, lambda ops: lost.extend(op.seq for op in ops))
    await settle()
    assert (late, lost) == ([9, 10], [7, 8, 9, 10])


async def test_who_closed_gets_nothing_and_junk_harms_nobody() -> None:
    store, bus = MemoryStore(), LocalBus()
    follower = Follower(store.log, bus, SystemClock())
    gone: list[Op] = []
    stays: list[Op] = []
    closing = follower.follow(APP, ROOM, 0, gone.extend)
    follower.follow(APP, ROOM, 0, stays.extend)
    closing.close()
    for junk in (b"", b"\xff", b"\x93\x01", b"\x93\x01\x01\xa1x"):
        await bus.publish(topic(APP, ROOM), junk)
    await write(store.log, bus, "i", 1)
    await follower.poll()
    await settle()
    assert (len(gone), len(stays)) == (0, 1)


class Failing(MemoryLog):
    """Away while `away` is set."""

    away = False

    async def read(self, *args: object, **more: object) -> list[Op]:
        if self.away:
            raise Unavailable("away")
        return await super().read(*args, **more)  # type: ignore[arg-type]

    async def head(self, app: str, room: str) -> Head:
        if self.away:
            raise Unavailable("away")
        return await super().head(app, room)


async def test_a_store_that_is_away_delays_only() -> None:
    log, bus = Failing(), LocalBus()
    follower = Follower(log, bus, SystemClock())
    got: list[int] = []
    follower.follow(APP, ROOM, 0, lambda ops: got.extend(op.seq for op in ops))
    await settle()
    await log.append(APP, ROOM, [NewOp("i", 1, b""), NewOp("i", 2, b"")])
    log.away = True
    await bus.publish(topic(APP, ROOM), b"look")
    await follower.poll()
    await settle()
    assert got == []
    log.away = False
    await follower.poll()
    await settle()
    assert got == [1, 2]


async def test_a_restored_store_is_followed_from_its_own_end() -> None:
    log, bus = MemoryLog(), LocalBus()
    follower = Follower(log, bus, SystemClock())
    got: list[int] = []
    following: Following = follower.follow(
        APP, ROOM, 50, lambda ops: got.extend(op.seq for op in ops)
    )
    await log.append(APP, ROOM, [NewOp("i", 1, b"")])
    await follower.poll()
    assert following.last == 1
    await log.append(APP, ROOM, [NewOp("i", 2, b"")])
    await follower.poll()
    await settle()
    assert got == [2]


def test_polls_are_slow_eager_and_steady() -> None:
    clock, told = FakeClock(), []

    class Bus(LocalBus):
        reach = Reach.SHARED

        def state(self) -> BusState:
            return BusState(self.reach)

        def on_state(self, callback: object) -> None:
            told.append(callback)

    bus = Bus(clock)
    follower = Follower(MemoryLog(), bus, clock)
    assert follower.interval() == 3.0
    bus.reach = Reach.LOST
    told[0](BusState(Reach.LOST))  # type: ignore[operator]
    assert follower.interval() == 2.0
    bus.reach = Reach.SHARED
    told[0](BusState(Reach.SHARED))  # type: ignore[operator]
    assert follower.interval() == 0.25
    clock.advance(5)
    assert follower.interval() == 3.0


async def test_a_killed_redis_loses_nothing_and_slows_to_the_poll(redis: RedisServer) -> None:
    """Two servers, one store: the bus dies in the middle of the messages and comes back."""
    store = MemoryStore()
    one, other = await shared(redis), await shared(redis)
    follower = Follower(store.log, other, SystemClock())
    polling = asyncio.create_task(follower.run())
    got: list[int] = []
    follower.follow(APP, ROOM, 0, lambda ops: got.extend(op.seq for op in ops))
    for n in range(300):
        if n == 100:
            redis.stop()
        if n == 200:
            redis.start()
        await write(store.log, one, "i", n + 1)
        await asyncio.sleep(0.01)
    await until(lambda: len(got) == 300, 5.0)
    assert got == list(range(1, 301))
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    for bus in (one, other):
        await bus.close()
