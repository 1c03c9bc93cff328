"""The connection to MongoDB is killed at every byte of every write: nothing acknowledged is lost,
nothing is there twice, and what is answered is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pymongo.common
import pytest
from bson import Binary

from signaling.clock import SystemClock
from signaling.errors import Unavailable
from signaling.ids import SystemEntropy
from signaling.storage.mongo import MongoStore
from signaling.storage.mongo.appending import seq_of
from signaling.storage.mongo.connect import asked
from signaling.storage.port import Conflict, NewOp
from tests.peers.mongo.fault_proxy import Fault, FaultProxy
from tests.signaling.storage import places

pytestmark = [
    pytest.mark.usefixtures("driver_sockets"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

T = TypeVar("T")

APP = "app"
# Parts of the offsets that run beside each other, each with a proxy and a store of its own.
LANES = 8

Act = Callable[[MongoStore, int], Awaitable[None]]


@pytest.fixture
async def lanes(
    tmp_path: Path, stand_in: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[tuple[FaultProxy, MongoStore]]]:
    """The driver's half second between looks at a server is waited out hundreds of times."""
    monkeypatch.setattr(pymongo.common, "MIN_HEARTBEAT_INTERVAL", 0.005)
    made = []
    for _ in range(LANES):
        proxy = FaultProxy(stand_in())
        await proxy.start()
        settings = places.stand_in_settings(proxy.port)
        made.append((proxy, MongoStore(settings, tmp_path, SystemClock(), SystemEntropy())))
    await asyncio.gather(*(store.ready() for _, store in made))
    yield made
    for proxy, store in made:
        await store.close()
        settings = msgspec.structs.replace(settings, url=f"mongodb://127.0.0.1:{stand_in()}/")
        await places.MongoPlace(settings, tmp_path).clear()
        await proxy.stop()


async def insist(work: Callable[[], Awaitable[T]]) -> T:
    """As clients do: the same again until there is an answer."""
    while True:
        try:
            return await work()
        except Unavailable:
            continue


async def at_every_byte(
    lanes: list[tuple[FaultProxy, MongoStore]], act: Act, writes: int, command: str = ""
) -> int:
    """Every offset of each of the writes that `act` makes, and of their replies; how many. With a
    `command`, of those writes alone.
    """

    async def lane(number: int) -> int:
        proxy, store = lanes[number]
        cases = 0
        for write in range(1, writes + 1):
            for reply in (False, True):
                offset, end = number, number + 1
                while offset < end:
                    proxy.fault = fault = Fault(offset, reply, write, command)
                    await act(store, cases)
                    assert fault.done, "the write that should break was not made"
                    end = fault.size + 1  # all of it, and then the reset, is a case too
                    offset += LANES
                    cases += 1
        return cases

    return sum(await asyncio.gather(*(lane(number) for number in range(len(lanes)))))


async def test_appends_at_every_byte(lanes: list[tuple[FaultProxy, MongoStore]]) -> None:
    """The room is owned, so an append is one insert of three ops; now and then the lease is renewed
    before it.
    """
    told: dict[int, list[tuple[int, str, int]]] = {}

    async def act(store: MongoStore, case: int) -> None:
        ops = [NewOp(ident, 2 * case + n, b"body") for n, ident in ((1, "a"), (2, "a"), (1, "b"))]
        answers = await insist(lambda: store.log.append(APP, "room", ops))
        mine = told.setdefault(id(store), [])
        for op, answer in zip(ops, answers, strict=True):
            assert answer.seq
            mine.append((answer.seq, op.ident, op.version))

    for _, store in lanes:
        await store.log.append(APP, "room", [NewOp("first", 1, b"")])
    cases = await at_every_byte(lanes, act, 1, "insert")
    for _, store in lanes:
        found = await store.log.read(APP, "room", after=1, limit=10**6)
        assert [(op.seq, op.ident, op.version) for op in found] == told[id(store)]
        assert [op.seq for op in found] == list(range(2, len(found) + 2))
    print(f"{cases} kills")
    assert cases > 400


@pytest.mark.long
async def test_first_appends_at_every_byte(lanes: list[tuple[FaultProxy, MongoStore]]) -> None:
    """A new room: reserve its key, make it, take the lease, insert."""

    async def act(store: MongoStore, case: int) -> None:
        room = f"room{case}"
        answers = await insist(lambda: store.log.append(APP, room, [NewOp("a", 1, b"body")]))
        assert [answer.seq for answer in answers] == [1]
        (found,) = await store.log.read(APP, room, after=0, limit=9)
        assert (found.seq, found.ident, found.version) == (1, "a", 1)
        assert await store.log.cursor(APP, room, "a") == 1

    print(f"{await at_every_byte(lanes, act, 4)} kills")


async def test_a_purge_that_was_cut_short_is_finished(
    lanes: list[tuple[FaultProxy, MongoStore]],
) -> None:
    proxy, store = lanes[0]
    await store.log.append(APP, "room", [NewOp("a", n, b"canary") for n in (1, 2, 3)])
    proxy.fault = Fault(0, reply=False, number=4)
    with pytest.raises(Unavailable):
        await store.log.purge(APP, "room", 2)
    assert (await insist(lambda: store.log.head(APP, "room"))).floor == 2
    assert await kept(store, "room") == {1: b"canary", 2: b"canary", 3: b"canary"}
    await store.sweep()
    assert await kept(store, "room") == {2: b"", 3: b"canary"}


async def kept(store: MongoStore, room: str) -> dict[int, bytes]:
    """What the database itself holds of a room."""
    key = store.log._keys[f"{APP}\0{room}"]
    assert store._prepared is not None
    rows = await asked(store._prepared["op"].find({"r": Binary(key)}).to_list())
    return {seq_of(row["_id"]): bytes(row["d"]) for row in rows}


async def test_documents_at_every_byte(lanes: list[tuple[FaultProxy, MongoStore]]) -> None:
    """Create, replace, delete. `Unavailable` leaves it open; any answer must be the truth."""

    async def act(store: MongoStore, case: int) -> None:
        key = f"key{case}"
        version = await change(store, key, 0, b"1")
        version = await change(store, key, version, b"2")
        found = await store.meta.get(APP, "kind", key)
        assert found is not None
        assert (found.version, found.value) == (version, b"2")
        with pytest.raises(Conflict):
            await store.meta.put(APP, "kind", key, b"x", expect=version - 1)
        assert await store.meta.delete(APP, "kind", key, expect=version)
        assert await store.meta.get(APP, "kind", key) is None

    async def change(store: MongoStore, key: str, expect: int, value: bytes) -> int:
        try:
            return await store.meta.put(APP, "kind", key, value, expect=expect)
        except Unavailable:
            found = await store.meta.get(APP, "kind", key)
            if found is not None and found.value == value:
                return found.version
            return await change(store, key, found.version if found else 0, value)

    print(f"{await at_every_byte(lanes, act, 4)} kills")
