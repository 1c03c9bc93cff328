"""A server's words meet another server's turn on the way to MongoDB: they never lie behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from signaling.clock import SystemClock
from signaling.config.store import Store as Settings
from signaling.ids import SystemEntropy
from signaling.storage.mongo import MongoStore
from signaling.storage.port import Appended, NewOp
from tests.signaling.storage import places

pytestmark = pytest.mark.usefixtures("driver_sockets")

APP, ROOM = "app", "room"
TURN = NewOp("turn", 1, b"turns", turns=True)


def words(*versions: int) -> list[NewOp]:
    return [NewOp("a", version, b"body") for version in versions]


@pytest.fixture
async def nodes(
    stand_in: Callable[[], int], tmp_path: Path
) -> AsyncIterator[tuple[MongoStore, MongoStore]]:
    """The first owns the room, which has one op, and remembers it."""
    settings: Settings = places.stand_in_settings(stand_in())
    made = [MongoStore(settings, tmp_path, SystemClock(), SystemEntropy()) for _ in range(2)]
    assert await made[0].log.append(APP, ROOM, words(1)) == [Appended(1)]
    assert await made[0].log.append(APP, ROOM, words(2), seen=1) == [Appended(2)]
    yield made[0], made[1]
    for store in made:
        await store.close()
    await places.MongoPlace(settings, tmp_path).clear()


def before_the_insert(
    store: MongoStore, patch: pytest.MonkeyPatch, work: Callable[[list[Any]], Awaitable[None]]
) -> None:
    """Once, when all that is inserted was decided."""
    inserts: Any = store.log._inserts
    right = inserts.insert

    async def late(rows: list[Any]) -> None:
        inserts.insert = right
        await work(rows)
        await right(rows)

    patch.setattr(inserts, "insert", late)


async def written(store: MongoStore) -> list[tuple[str, int]]:
    return [(op.ident, op.version) for op in await store.log.read(APP, ROOM, after=2, limit=9)]


async def test_a_turn_that_comes_just_before_the_insert_is_noticed(
    nodes: tuple[MongoStore, MongoStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = nodes

    async def turn(rows: list[Any]) -> None:
        await other.log.append(APP, ROOM, [TURN])

    before_the_insert(owner, monkeypatch, turn)
    assert await owner.log.append(APP, ROOM, words(3, 4), seen=2) == []
    assert await written(other) == [("turn", 1)]
    assert await owner.log.append(APP, ROOM, words(3, 4), seen=3) == [Appended(4), Appended(5)]


async def test_of_a_batch_that_a_turn_parts_the_answer_is_what_came_before(
    nodes: tuple[MongoStore, MongoStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = nodes

    async def part_of_it_and_turn(rows: list[Any]) -> None:
        await (await owner.log._database())["op"].insert_many(rows[:1])
        await other.log.append(APP, ROOM, [TURN])

    before_the_insert(owner, monkeypatch, part_of_it_and_turn)
    assert await owner.log.append(APP, ROOM, words(3, 4), seen=2) == [Appended(3)]
    assert await written(other) == [("a", 3), ("turn", 1)]


async def test_what_others_say_before_the_insert_does_no_harm(
    nodes: tuple[MongoStore, MongoStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = nodes

    async def say(rows: list[Any]) -> None:
        await other.log.append(APP, ROOM, [NewOp("b", 1, b"body")])

    before_the_insert(owner, monkeypatch, say)
    assert await owner.log.append(APP, ROOM, words(3), seen=2) == [Appended(4)]


async def test_ops_of_an_earlier_server_say_no_turn_and_must_all_have_been_seen(
    nodes: tuple[MongoStore, MongoStore],
) -> None:
    owner, other = nodes
    await (await owner.log._database())["op"].update_many({}, {"$unset": {"t": 1}})
    assert await other.log.append(APP, ROOM, words(3), seen=1) == []
    assert await other.log.append(APP, ROOM, words(3), seen=2) == [Appended(3)]
    await owner.log.append(APP, ROOM, words(4))
    assert await other.log.append(APP, ROOM, words(5), seen=2) == [Appended(5)]
