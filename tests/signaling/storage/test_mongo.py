"""MongoDB beyond the contract: several servers at once, lost answers, an outage, schemas."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pymongo.common
import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from signaling.clock import SystemClock
from signaling.config.store import Store as Settings
from signaling.errors import ConfigError, Unavailable
from signaling.ids import SystemEntropy
from signaling.storage.mongo import MongoStore
from signaling.storage.mongo.connect import Row, arguments
from signaling.storage.mongo.schema import RESTORING, STEPS, migrate
from signaling.storage.open import open_store
from signaling.storage.port import GENESIS, NewOp, Store, digest_of, link
from tests.peers.mongo.fault_proxy import Fault, FaultProxy
from tests.peers.mongo.stand_in import StandIn
from tests.signaling.storage import places

pytestmark = [
    pytest.mark.usefixtures("driver_sockets"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

APP, ROOM = "app", "room"


@pytest.fixture
async def settings(stand_in: Callable[[], int], tmp_path: Path) -> AsyncIterator[Settings]:
    made = places.stand_in_settings(stand_in())
    yield made
    await places.MongoPlace(made, tmp_path).clear()


def node(settings: Settings, directory: Path, port: int | None = None) -> MongoStore:
    if port is not None:
        url = f"mongodb://127.0.0.1:{port}/"
        settings = Settings(url=url, database=settings.database, insecure_without_auth=True)
    return MongoStore(settings, directory, SystemClock(), SystemEntropy())


async def check(store: MongoStore, count: int) -> None:
    """Contiguous, chained, each (ident, version) once."""
    found = await store.log.read(APP, ROOM, after=0, limit=10**6)
    assert [op.seq for op in found] == list(range(1, count + 1))
    assert len({(op.ident, op.version) for op in found}) == count
    chain = GENESIS
    for op in found:
        chain = link(chain, op.ident, op.version, digest_of(op))
        assert op.chain == chain


@pytest.mark.parametrize("nodes", [1, 2, 4])
async def test_servers_that_write_into_one_room_stay_exact(
    nodes: int, settings: Settings, tmp_path: Path
) -> None:
    stores = [node(settings, tmp_path) for _ in range(nodes)]

    async def write(number: int) -> set[int]:
        given = set()
        for n in range(15):
            ops = [NewOp(f"w{number}", n + 1, b"body")]
            (answer,) = await stores[number % nodes].log.append(APP, ROOM, ops)
            assert not answer.duplicate
            given.add(answer.seq)
        return given

    seqs = [seq for given in await asyncio.gather(*map(write, range(8))) for seq in given]
    assert sorted(seqs) == list(range(1, 121))
    await check(stores[-1], 120)
    for store in stores:
        await store.close()


async def test_servers_with_a_bad_connection_stay_exact(
    settings: Settings, stand_in: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One write in six never arrives, one answer in six is lost; three servers, one room."""
    monkeypatch.setattr(pymongo.common, "MIN_HEARTBEAT_INTERVAL", 0.005)
    source = random.Random(3)
    proxies = [FaultProxy(stand_in()) for _ in range(3)]
    for proxy in proxies:
        await proxy.start()
    stores = [node(settings, tmp_path, proxy.port) for proxy in proxies]
    for store in stores:
        await store.ready()

    async def disturb(proxy: FaultProxy) -> None:
        while True:
            proxy.fault = Fault(source.randrange(400), source.random() < 0.5, source.randint(1, 5))
            while not proxy.fault.done:
                await asyncio.sleep(0.001)

    async def write(number: int) -> None:
        n = 0
        while n < 20:
            ops = [NewOp(f"w{number}", n + 1, b"body"), NewOp(f"w{number}", n + 2, b"body")]
            try:
                await stores[number % 3].log.append(APP, ROOM, ops)
            except Unavailable:
                continue
            n += 2

    disturbing = [asyncio.create_task(disturb(proxy)) for proxy in proxies]
    await asyncio.gather(*map(write, range(6)))
    for task in disturbing:
        task.cancel()
    await asyncio.gather(*disturbing, return_exceptions=True)
    for proxy in proxies:
        proxy.fault = None
    await soon_ready(stores[0])
    await check(stores[0], 120)
    for store, proxy in zip(stores, proxies, strict=True):
        await store.close()
        await proxy.stop()


async def test_c12_a_write_concern_that_is_not_met_acknowledges_nothing(
    settings: Settings, stand_in: Callable[[], int], tmp_path: Path
) -> None:
    """Said as an outage, of which HTTP makes 503 (row C12); the same op once more is there once.
    A document is read back, of what a majority has, before it counts.
    """
    proxy = FaultProxy(stand_in())
    await proxy.start()
    store = node(settings, tmp_path, proxy.port)
    try:
        await store.log.append(APP, ROOM, [NewOp("a", 1, b"body")])
        proxy.fault = Fault(0, reply=True, command="insert", unmet=True)
        with pytest.raises(Unavailable) as refused:
            await store.log.append(APP, ROOM, [NewOp("a", 2, b"body")])
        assert refused.value.retry_after and proxy.fault.done
        (answer,) = await store.log.append(APP, ROOM, [NewOp("a", 2, b"body")])
        assert (answer.seq, answer.duplicate) == (2, True)
        await check(store, 2)
    finally:
        await store.close()
        await proxy.stop()


async def test_a_server_that_slept_meets_the_other_ones_ops(
    settings: Settings, tmp_path: Path
) -> None:
    """It thinks that it owns the room; the unique `_id` tells it otherwise."""
    sleeper, other = node(settings, tmp_path), node(settings, tmp_path)
    await sleeper.log.append(APP, ROOM, [NewOp("a", 1, b"")])
    sleeping = sleeper.log._appending[f"{APP}\0{ROOM}"]
    assert sleeping.owned
    await other.log.append(APP, ROOM, [NewOp("b", 1, b""), NewOp("a", 2, b"")])
    answers = await sleeper.log.append(APP, ROOM, [NewOp("a", 2, b""), NewOp("a", 3, b"")])
    assert [(answer.seq, answer.duplicate) for answer in answers] == [(3, True), (4, False)]
    await check(other, 4)
    for store in (sleeper, other):
        await store.close()


async def test_a_closing_server_hands_its_rooms_over(settings: Settings, tmp_path: Path) -> None:
    first, second = node(settings, tmp_path), node(settings, tmp_path)
    await first.log.append(APP, ROOM, [NewOp("a", 1, b"")])
    await second.log.append(APP, ROOM, [NewOp("a", 2, b"")])
    there = second.log._appending[f"{APP}\0{ROOM}"]
    assert not there.owned
    await first.close()
    await second.log.append(APP, ROOM, [NewOp("a", 3, b"")])
    assert there.owned
    await second.close()


async def soon_ready(store: Store) -> None:
    """The driver looks at a lost server twice a second."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(Unavailable):
                return await store.ready()


async def test_losing_the_store_is_said_and_healed(tmp_path: Path) -> None:
    """Nobody waits for longer than the time-out; what comes back is used."""
    server = StandIn.start()
    proxy = FaultProxy(server.port)
    await proxy.start()
    port = proxy.port
    settings = Settings(
        url=f"mongodb://127.0.0.1:{port}/", insecure_without_auth=True, timeout_seconds=3.0
    )
    store = await open_store(settings, tmp_path)
    await soon_ready(store)
    await store.meta.put(APP, "kind", "key", b"v", expect=0)
    await proxy.stop()
    start = asyncio.get_running_loop().time()
    for work in (
        store.ready(),
        store.meta.get(APP, "kind", "key"),
        store.log.append(APP, ROOM, [NewOp("a", 1, b"")]),
    ):
        with pytest.raises(Unavailable) as said:
            await work
        assert said.value.retry_after
        assert str(port) not in said.value.message
    assert asyncio.get_running_loop().time() - start < 30
    await proxy.start()
    await soon_ready(store)
    assert await store.meta.get(APP, "kind", "key") is not None
    assert (await store.log.append(APP, ROOM, [NewOp("a", 1, b"")]))[0].seq
    await store.close()
    await proxy.stop()
    server.stop()


async def test_an_absent_server_does_not_stop_the_start(tmp_path: Path) -> None:
    settings = Settings(
        url="mongodb://127.0.0.1:1/", insecure_without_auth=True, timeout_seconds=0.4
    )
    store = await open_store(settings, tmp_path)
    with pytest.raises(Unavailable):
        await store.ready()
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.ready()


async def test_schemas_go_forwards_only(settings: Settings, tmp_path: Path) -> None:
    client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
    database = client[settings.database]
    await asyncio.gather(*(migrate(database) for _ in range(4)))
    assert (await database["schema"].find_one({"_id": "schema"}) or {})["v"] == len(STEPS)
    taken: list[int] = []

    async def step(_: object) -> None:
        taken.append(1)

    await migrate(database, [*STEPS, step])
    await migrate(database, [*STEPS, step])
    assert taken == [1]
    with pytest.raises(ConfigError, match="newer"):
        await open_store(settings, tmp_path)
    await database["schema"].delete_one({"_id": "schema"})
    await database["schema"].insert_one({"_id": RESTORING})
    with pytest.raises(ConfigError, match="restored"):
        await open_store(settings, tmp_path)
    await client.close()


async def test_purged_bodies_leave_the_database(settings: Settings, tmp_path: Path) -> None:
    store = node(settings, tmp_path)
    for n in range(10):
        await store.log.append(APP, ROOM, [NewOp("i", n + 1, f"canary{n}".encode())])
    await store.log.erase(APP, ROOM, [9])
    await store.log.purge(APP, ROOM, 5)
    client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
    bodies = [row["d"] async for row in client[settings.database]["op"].find()]
    assert sorted(bodies) == [b"", b"", b"canary5", b"canary6", b"canary7", b"canary9"]
    await client.close()
    await store.close()


async def test_what_a_sweep_removes_at_that_moment_can_be_created_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there when the new one is put in, and gone when it is to be replaced."""
    store, other = node(settings, tmp_path), node(settings, tmp_path)
    await other.ready()
    await store.meta.put(APP, "kind", "key", b"old", expect=0, expires=1.0)
    replace = AsyncCollection.update_one

    async def after_a_sweep(self: AsyncCollection[Row], *words: Any, **more: Any) -> Any:
        assert await other.meta.sweep() == 1
        monkeypatch.undo()
        return await replace(self, *words, **more)

    monkeypatch.setattr(AsyncCollection, "update_one", after_a_sweep)
    version = await store.meta.put(APP, "kind", "key", b"new", expect=0)
    found = await other.meta.get(APP, "kind", "key")
    assert found is not None
    assert (found.version, found.value) == (version, b"new")
    for one in (store, other):
        await one.close()
