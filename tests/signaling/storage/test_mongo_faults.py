"""The connection to MongoDB is killed at every byte of every write: nothing acknowledged is lost,
nothing is there twice, and what is answered is true."""

from __future__ import annotations

import pytest

from signaling.errors import Unavailable
from signaling.storage.mongo import MongoStore
from signaling.storage.port import Conflict, NewOp
from tests.signaling.storage.cuts import Lane, at_every_byte, insist

pytestmark = [
    pytest.mark.usefixtures("driver_sockets"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

APP = "app"


async def test_appends_at_every_byte(lanes: list[Lane]) -> None:
    """The room is owned, so an append is one insert of three ops; now and then the lease is renewed
    before it.
    """
    told: dict[int, list[tuple[int, str, int]]] = {}

    async def act(lane: Lane, case: int) -> None:
        store = lane.store
        ops = [NewOp(ident, 2 * case + n, b"body") for n, ident in ((1, "a"), (2, "a"), (1, "b"))]
        answers = await insist(lambda: store.log.append(APP, "room", ops))
        mine = told.setdefault(lane.number, [])
        for op, answer in zip(ops, answers, strict=True):
            assert answer.seq
            mine.append((answer.seq, op.ident, op.version))

    for lane in lanes:
        await lane.store.log.append(APP, "room", [NewOp("first", 1, b"")])
    cases = await at_every_byte(lanes, act, 1, "insert")
    for lane in lanes:
        found = await lane.store.log.read(APP, "room", after=1, limit=10**6)
        assert [(op.seq, op.ident, op.version) for op in found] == told[lane.number]
        assert [op.seq for op in found] == list(range(2, len(found) + 2))
    print(f"{cases} kills")
    assert cases > 400


@pytest.mark.long
async def test_first_appends_at_every_byte(lanes: list[Lane]) -> None:
    """A new room: reserve its key, make it, take the lease, insert."""

    async def act(lane: Lane, case: int) -> None:
        store = lane.store
        room = f"room{case}"
        answers = await insist(lambda: store.log.append(APP, room, [NewOp("a", 1, b"body")]))
        assert [answer.seq for answer in answers] == [1]
        (found,) = await store.log.read(APP, room, after=0, limit=9)
        assert (found.seq, found.ident, found.version) == (1, "a", 1)
        assert await store.log.cursor(APP, room, "a") == 1

    print(f"{await at_every_byte(lanes, act, 4)} kills")


async def test_documents_at_every_byte(lanes: list[Lane]) -> None:
    """Create, replace, delete. `Unavailable` leaves it open; any answer must be the truth."""

    async def act(lane: Lane, case: int) -> None:
        store = lane.store
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
        await change(store, key, 0, b"3")
        removed = await insist(lambda: store.meta.remove(APP, "kind", [key, "never"]))
        assert removed <= 1 and await store.meta.get(APP, "kind", key) is None

    async def change(store: MongoStore, key: str, expect: int, value: bytes) -> int:
        try:
            return await store.meta.put(APP, "kind", key, value, expect=expect)
        except Unavailable:
            found = await store.meta.get(APP, "kind", key)
            if found is not None and found.value == value:
                return found.version
            return await change(store, key, found.version if found else 0, value)

    print(f"{await at_every_byte(lanes, act, 4)} kills")
