"""Whatever the bus does, a feed gives its sessions every op once and in order."""

from __future__ import annotations

import asyncio
import random
from typing import Any, cast

import pytest

from signaling.access.roles import Session as SessionHolder
from signaling.accounts.principal import Kind, Principal
from signaling.bus.local import LocalBus
from signaling.bus.polling import Polling
from signaling.bus.port import Bus
from signaling.chat.ports import Actor, News, RightsChanged
from signaling.clock import SystemClock
from signaling.errors import Unavailable
from signaling.storage.memory import MemoryLog, MemoryStore
from signaling.storage.port import Head, NewOp, Op
from signaling.sync.batch import Batch
from signaling.sync.binding import Bound
from signaling.sync.errors import Fault, SyncCode
from signaling.sync.feed import Feed
from tests.peers.redis_server import RedisServer
from tests.signaling.bus.conftest import redis, shared, until
from tests.signaling.bus.lossy import LossyBus
from tests.signaling.sync.partitions import PlainRooms

APP, ROOM = "app", "0192aaaa-0000-7000-8000-00000000aaaa"
HOUR = 3600.0

__all__ = ["redis"]


class Reader:
    """What a session is to its feed."""

    def __init__(self) -> None:
        principal = Principal(app=APP, kind=Kind.ACCOUNT, account="ana")
        self.actor = Actor(app=APP, account="ana", holder=SessionHolder(principal, {}), who=())
        self.number = 1
        self.engine = self
        self.got: list[int] = []
        self.batches: list[list[int]] = []
        self.hurried: list[list[int]] = []
        self.reviews = 0
        self.floors: list[int] = []
        self.faults: list[SyncCode] = []
        self.behinds = 0

    def news(self, batch: Batch) -> None:
        self.batches.append([entry.seq for entry in batch.entries])
        self.got += self.batches[-1]

    def own(self, batch: Batch) -> None:
        self.hurried.append([entry.seq for entry in batch.entries])

    async def review(self) -> None:
        self.reviews += 1

    def floor(self, floor: int) -> None:
        self.floors.append(floor)

    def fail(self, fault: Fault) -> None:
        self.faults.append(fault.code)

    def behind(self) -> list[Any]:
        self.behinds += 1
        return []

    def run(self, effects: list[Any]) -> None:
        """None comes from here."""


async def following(rooms: PlainRooms, pace: float = 0.0) -> tuple[Feed, Reader]:
    reader = Reader()
    feed = Feed(Bound(rooms, ROOM, reader.actor, cast(Any, None)), pace)
    feed.sessions.add(cast(Any, reader))
    await feed.start()
    return feed, reader


async def write(rooms: PlainRooms, number: int) -> None:
    await rooms.say(APP, ROOM, number, {"type": "set", "name": f"n{number}"})


async def silently(rooms: PlainRooms, *numbers: int) -> None:
    """Into the store, and no hint of it."""
    bus, rooms.bus = rooms.bus, LocalBus()
    for number in numbers:
        await write(rooms, number)
    rooms.bus = bus


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("loss", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("pace", [0.0, 0.001, HOUR])
async def test_every_op_once_and_in_order(seed: int, loss: float, pace: float) -> None:
    rooms = PlainRooms(MemoryStore(), LossyBus(seed, loss))
    feed, reader = await following(rooms, pace)
    source = random.Random(seed)
    for n in range(60):
        await write(rooms, n + 1)
        if source.random() < 0.3:
            await asyncio.sleep(0)
        if source.random() < 0.1:
            await feed.poll()
    await settle()
    assert reader.got == list(range(1, len(reader.got) + 1))
    await feed.poll()
    await settle()
    assert reader.got == list(range(1, 61))
    feed.close()


async def test_a_hint_without_ops_is_a_reason_to_read_the_store() -> None:
    """As all that come from other processes: what was said is never on the bus."""
    rooms = PlainRooms(MemoryStore(), LocalBus())
    feed, reader = await following(rooms)
    await silently(rooms, 1, 2)
    feed.hear(News(from_seq=1, to_seq=2))
    await settle()
    assert reader.got == [1, 2]
    feed.hear(News(from_seq=1, to_seq=2))
    feed.hear(News(from_seq=9, to_seq=9))
    await settle()
    assert reader.got == [1, 2]
    feed.close()


async def test_it_begins_at_the_head_and_says_what_was_purged() -> None:
    rooms = PlainRooms(MemoryStore(), LocalBus())
    await silently(rooms, *range(1, 5))
    feed, reader = await following(rooms)
    await silently(rooms, *range(5, 11))
    await rooms.store.log.purge(APP, ROOM, 6)
    await feed.poll()
    await settle()
    assert (reader.got, reader.floors, reader.behinds) == ([], [6], 1)
    await feed.poll()
    await settle()
    assert reader.got == [7, 8, 9, 10]
    feed.close()


async def paced(pace: float = HOUR) -> tuple[PlainRooms, Feed, Reader]:
    """A feed that has just given the first of three."""
    rooms = PlainRooms(MemoryStore(), LocalBus())
    feed, reader = await following(rooms, pace)
    for number in (1, 2, 3):
        await write(rooms, number)
    await settle()
    return rooms, feed, reader


async def test_the_first_goes_at_once_and_what_comes_soon_after_goes_together() -> None:
    _, feed, reader = await paced()
    assert (reader.batches, feed.last, feed.newest) == ([[1]], 1, 3)
    feed.hear(RightsChanged())
    assert (reader.batches, feed.last) == ([[1], [2, 3]], 3)
    await settle()
    assert reader.reviews == 1
    feed.close()


async def test_what_waits_comes_when_its_time_has_come() -> None:
    rooms, feed, reader = await paced(0.02)
    for number in range(4, 21):
        await write(rooms, number)
    await until(lambda: len(reader.got) >= 20)
    assert reader.got == list(range(1, 21))
    feed.close()


async def test_whoever_wrote_is_given_at_once_what_the_others_wait_for() -> None:
    rooms, feed, reader = await paced()
    feed.hurry(cast(Any, reader))
    await write(rooms, 4)
    await settle()
    feed.hurry(cast(Any, reader))
    assert (reader.batches, reader.hurried) == ([[1]], [[2, 3], [2, 3, 4]])
    feed.hurry(cast(Any, Reader()))  # one that has left
    feed.close()


async def test_a_hint_without_ops_brings_what_waits_and_then_the_rest() -> None:
    rooms, feed, reader = await paced()
    await silently(rooms, 4)
    feed.hear(News(from_seq=4, to_seq=4))
    assert reader.batches == [[1], [2, 3]]
    await settle()
    assert reader.batches == [[1], [2, 3], [4]]
    feed.close()


async def test_a_floor_is_told_after_what_waits_below_it() -> None:
    rooms, feed, reader = await paced()
    given: list[list[int]] = []
    reader.floor = lambda floor: given.append([floor, *reader.got])  # type: ignore[method-assign]
    await rooms.store.log.purge(APP, ROOM, 2)
    await feed.poll()
    assert given == [[2, 1, 2, 3]]
    feed.close()


async def test_what_waits_of_a_log_that_began_anew_is_never_given() -> None:
    rooms, feed, reader = await paced()
    rooms.began = "another process"
    await feed.poll()
    assert (reader.faults, reader.batches[0]) == ([SyncCode.DIVERGING_HISTORIES], [1])
    assert [2, 3] not in reader.batches
    feed.close()


async def test_nothing_comes_of_a_feed_that_was_closed() -> None:
    _, feed, reader = await paced()
    feed.close()
    feed.hurry(cast(Any, reader))
    await settle()
    assert (reader.batches, reader.hurried) == ([[1]], [])


async def test_who_closed_gets_nothing() -> None:
    rooms = PlainRooms(MemoryStore(), LocalBus())
    (closing, gone), (feed, stays) = await following(rooms), await following(rooms)
    closing.close()
    await write(rooms, 1)
    await feed.poll()
    await settle()
    assert (gone.got, stays.got) == ([], [1])
    feed.close()


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
    store = MemoryStore()
    failing = Failing()
    store.log = failing
    rooms = PlainRooms(store, LocalBus())
    feed, reader = await following(rooms)
    await silently(rooms, 1, 2)
    failing.away = True
    feed.hear(News(from_seq=1, to_seq=2))
    await feed.poll()
    await settle()
    assert reader.got == []
    failing.away = False
    await feed.poll()
    await settle()
    assert (reader.got, reader.faults) == ([1, 2], [])
    feed.close()


async def test_a_store_that_is_away_at_first_is_asked_again() -> None:
    store = MemoryStore()
    failing = Failing()
    store.log = failing
    rooms = PlainRooms(store, LocalBus())
    failing.away = True
    with pytest.raises(Unavailable):
        await following(rooms)
    failing.away = False
    feed, reader = await following(rooms)
    await write(rooms, 1)
    await settle()
    assert reader.got == [1]
    feed.close()


async def test_a_restored_store_is_followed_from_its_own_end_by_new_sessions() -> None:
    rooms = PlainRooms(MemoryStore(), LocalBus())
    await silently(rooms, *range(1, 51))
    feed, reader = await following(rooms)
    rooms.store.log._rooms.clear()  # type: ignore[attr-defined]  # the memory store
    await rooms.store.log.append(APP, ROOM, [NewOp("i", 1, await body_of(rooms))])
    await feed.poll()
    assert (reader.faults, feed.last) == ([SyncCode.BAD_SERVER_VERSION], 1)
    await write(rooms, 2)
    await settle()
    assert reader.got == [2]
    feed.close()


async def body_of(rooms: PlainRooms) -> bytes:
    """Of any op, for a log of another history."""
    other = PlainRooms(MemoryStore(), LocalBus())
    await write(other, 1)
    (op,) = await other.store.log.read(APP, ROOM, after=0, limit=1)
    return op.body


async def test_a_log_that_began_anew_resets_its_sessions() -> None:
    """Also when it grew past the old one meanwhile: its epoch tells."""
    rooms = PlainRooms(MemoryStore(), LocalBus())
    await silently(rooms, 1, 2, 3)
    feed, reader = await following(rooms)
    rooms.store.log._rooms.clear()  # type: ignore[attr-defined]  # the memory store
    rooms.began = "another process"
    await silently(rooms, *range(1, 6))
    feed.hear(News(from_seq=4, to_seq=5, epoch="another process"))
    await settle()
    assert reader.faults == [SyncCode.DIVERGING_HISTORIES]
    assert reader.got == [1, 2, 3, 4, 5]
    # News of a log that is not this one's are nobody's.
    feed.hear(News(from_seq=6, to_seq=9, epoch="a third process"))
    await feed.poll()
    await settle()
    assert (len(reader.faults), reader.got[-1]) == (1, 5)
    feed.close()


async def test_an_epoch_that_no_hint_told_is_found_by_the_poll() -> None:
    rooms = PlainRooms(MemoryStore(), LocalBus())
    feed, reader = await following(rooms)
    rooms.began = "another process"
    await feed.poll()
    assert reader.faults == [SyncCode.DIVERGING_HISTORIES]
    feed.close()


async def test_a_killed_redis_loses_nothing_and_slows_to_the_poll(redis: RedisServer) -> None:
    """Two servers, one store: the bus dies in the middle of the messages and comes back."""
    store = MemoryStore()
    one, other = await shared(redis), await shared(redis)
    here, there = PlainRooms(store, one), PlainRooms(store, other)
    feed, reader = await following(there)
    polling = asyncio.create_task(Polling(other, SystemClock(), lambda: [feed]).run())
    for n in range(300):
        if n == 100:
            redis.stop()
        if n == 200:
            redis.start()
        await write(here, n + 1)
        await asyncio.sleep(0.01)
    await until(lambda: len(reader.got) == 300)
    assert reader.got == list(range(1, 301))
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    feed.close()
    await close(one, other)


async def close(*buses: Bus) -> None:
    for bus in buses:
        await bus.close()
