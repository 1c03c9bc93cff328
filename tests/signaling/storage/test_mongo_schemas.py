"""MongoDB's schema: a filled database of every released version becomes today's, forwards only.

`schemas/v*.json` holds the documents and indexes of one as MongoDB's Extended JSON; none is ever
changed. Each has, in `app`: a document with a term and one that expires, a room of three ops whose
first was purged and whose second erased, and a room whose purge was cut short.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure

from signaling.clock import FakeClock
from signaling.config.store import Store as Settings
from signaling.ids import SeededEntropy
from signaling.storage.mongo import MongoStore
from signaling.storage.mongo.connect import Row, arguments
from signaling.storage.mongo.schema import STEPS, Database, migrate
from signaling.storage.port import GENESIS, NewOp, digest_of, link
from tests.signaling.storage import places

pytestmark = [
    pytest.mark.usefixtures("driver_sockets"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

APP, ROOM, CUT = "app", "room", "cut"
SCHEMAS = Path(__file__).parent / "schemas"
RELEASED = sorted(SCHEMAS.glob("v*.json"))


@pytest.fixture
async def settings(stand_in: Callable[[], int], tmp_path: Path) -> AsyncIterator[Settings]:
    made = places.stand_in_settings(stand_in())
    yield made
    await places.MongoPlace(made, tmp_path).clear()


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
    yield client[settings.database]
    await client.close()


def kept_in(fixture: Path) -> Any:
    return json_util.loads(fixture.read_text())


async def load(fixture: Path, database: Database) -> None:
    kept = kept_in(fixture)
    for name, indexes in kept["indexes"].items():
        for index, keys in indexes.items():
            await database[name].create_index([tuple(key) for key in keys], name=index)
    for name, rows in kept["documents"].items():
        await database[name].insert_many(rows)


async def indexes(database: Database) -> dict[str, Any]:
    found = {}
    for name in sorted(await database.list_collection_names()):
        about = await database[name].index_information()
        found[name] = {index: list(one["key"]) for index, one in about.items() if index != "_id_"}
    return {name: one for name, one in found.items() if one}


def opened(settings: Settings, directory: Path) -> MongoStore:
    return MongoStore(settings, directory, FakeClock(), SeededEntropy())


async def version_of(database: Database) -> int:
    row = await database["schema"].find_one({"_id": "schema"})
    return int(row["v"]) if row else 0


def test_the_last_released_schema_of_mongodb_is_kept() -> None:
    assert [path.stem for path in RELEASED] == [f"v{n + 1}" for n in range(len(STEPS))]


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
async def test_every_released_schema_of_mongodb_becomes_todays(
    released: Path, settings: Settings, database: Database, tmp_path: Path
) -> None:
    await load(released, database)
    assert f"v{await version_of(database)}" == released.stem
    store = opened(settings, tmp_path)
    found = await store.meta.get(APP, "kind", "key")
    assert found is not None
    assert (found.value, found.terms) == (b"value", ("term",))
    lasting = await store.meta.get(APP, "kind", "expiring")
    assert lasting is not None and lasting.expires == 4_000_000_000.0
    (named,) = await store.meta.scan(APP, "kind", term="term")
    assert named.key == "key"
    changed = await store.meta.put(APP, "kind", "key", b"new", expect=found.version)
    assert changed > found.version
    ops = await store.log.read(APP, ROOM, after=0, limit=9)
    assert [(op.seq, op.ident, op.body, op.erased) for op in ops] == [
        (2, "i", b"", True),
        (3, "i", b"three", False),
    ]
    assert (await store.log.append(APP, ROOM, [NewOp("i", 3, b"")]))[0].duplicate
    assert (await store.log.append(APP, ROOM, [NewOp("i", 4, b"")]))[0].seq == 4
    ops = await store.log.read(APP, ROOM, after=0, limit=9)
    for before, after in itertools.pairwise(ops):
        assert after.chain == link(before.chain, after.ident, after.version, digest_of(after))
    assert GENESIS not in [op.chain for op in ops]
    # What the older server had begun is finished.
    assert [op.seq for op in await store.log.read(APP, CUT, after=0, limit=9)] == [1, 2, 3]
    await store.sweep()
    assert [op.seq for op in await store.log.read(APP, CUT, after=0, limit=9)] == [3]
    assert (await store.log.append(APP, CUT, [NewOp("j", 2, b"")]))[0].duplicate
    await store.close()
    assert await version_of(database) == len(STEPS)
    fresh = database.client[f"{settings.database}_fresh"]
    try:
        await migrate(fresh)
        assert await indexes(database) == await indexes(fresh)
    finally:
        await database.client.drop_database(fresh.name)


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
async def test_a_step_over_an_old_database_of_mongodb_that_fails_is_taken_again(
    released: Path, settings: Settings, database: Database
) -> None:
    """A step changes documents; its connection dies half way, then two servers start at once."""
    await load(released, database)
    before = await version_of(database)
    broken = True

    async def step(on: Database) -> None:
        async for row in on["meta"].find({"added": {"$exists": False}}):
            await on["meta"].update_one({"_id": row["_id"]}, {"$set": {"added": 1}})
            if broken:
                raise ConnectionFailure("half way")

    steps = [*STEPS, step]
    with pytest.raises(ConnectionFailure):
        await migrate(database, steps)
    assert await version_of(database) == len(STEPS) >= before
    broken = False
    await asyncio.gather(migrate(database, steps), migrate(database, steps))
    assert await version_of(database) == len(steps)
    assert {row["added"] async for row in database["meta"].find()} == {1}
