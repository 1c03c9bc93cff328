"""The connection to MongoDB is killed while something is removed: at every byte of every write of a
purge, of the sweep that finishes one, of an erasure and of an expiry.

A server that was started since sweeps, as `serve` does by itself. What readers find is then as if
nothing had happened or as it must be in the end, at no time anything between; the repeat always
ends well; what others wrote meanwhile, in the same room and in another, is there once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest
from bson import Binary

from signaling.errors import Unavailable
from signaling.storage.mongo import MongoStore, documents, rooms
from signaling.storage.mongo.appending import seq_of
from signaling.storage.mongo.connect import asked
from signaling.storage.mongo.schema import Database
from signaling.storage.port import Appended, Head, NewOp
from tests.seeds import run_seed
from tests.signaling.storage.cuts import Act, Lane, at_every_byte, at_some_bytes, insist

pytestmark = [
    pytest.mark.usefixtures("driver_sockets"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

APP = "app"
NEAR = "near"
"""A room of which nothing is removed."""
IDENTS = ("a", "b", "a", "b", "a")
WRITTEN = [NewOp(ident, n // 2 + 1, f"canary{n + 1}".encode()) for n, ident in enumerate(IDENTS)]
MEANWHILE = [NewOp("c", 1, b"during1"), NewOp("c", 2, b"during2")]
ALL = [op.body for op in [*WRITTEN, *MEANWHILE]]
WITHIN = 3
"""Places inside each message that `make test` takes."""


@dataclass(frozen=True)
class View:
    """Of a room: what readers find, and the bodies that the database keeps. An erased one is
    empty.
    """

    floor: int = 0
    read: dict[int, bytes] = field(default_factory=lambda: dict(enumerate(ALL, 1)))
    kept: dict[int, bytes] = field(default_factory=lambda: dict(enumerate(ALL, 1)))


BEFORE = View()


def purged(upto: int) -> View:
    rest = {seq: body for seq, body in BEFORE.read.items() if seq > upto}
    return View(upto, rest, {upto: b"", **rest})


def erased(*seqs: int) -> View:
    rest = {seq: b"" if seq in seqs else body for seq, body in BEFORE.read.items()}
    return View(0, rest, rest)


@dataclass(frozen=True)
class Removal:
    """`begin` once makes `writes` writes. `swept`: what may be found after a sweep if it was cut;
    the last of it is what it ends with.
    """

    writes: int
    begin: Callable[[MongoStore, str], Awaitable[object]]
    swept: Sequence[View]
    prepare: Callable[[Database, str], Awaitable[object]] | None = None


def purge(upto: int) -> Removal:
    return Removal(6, lambda store, room: store.log.purge(APP, room, upto), [BEFORE, purged(upto)])


def erase(writes: int, *seqs: int, some: Sequence[View] = ()) -> Removal:
    return Removal(
        writes,
        lambda store, room: store.log.erase(APP, room, seqs),
        [BEFORE, *some, erased(*seqs)],
    )


async def noted(database: Database, room: str) -> None:
    """As a purge leaves it that was cut after its first write."""
    await database["purge"].insert_one({"_id": f"{APP}\0{room}", "u": 3})


REMOVALS = {
    "purge": purge(3),
    "purge of all there was": purge(5),
    "finish": Removal(5, lambda store, _: store.sweep(), [purged(3)], noted),
    "erase": erase(1, 2, 4, 5),
    "erase in parts": erase(2, 2, 4, 5, some=[erased(2, 4)]),
}


def database_of(store: MongoStore) -> Database:
    assert store._prepared is not None
    return store._prepared


async def key_of(store: MongoStore, room: str) -> Binary:
    key = await store.log._find_key(APP, room)
    assert key is not None
    return Binary(key)


async def look(store: MongoStore, room: str) -> tuple[View, Head]:
    """Twice the same: a write may still arrive whose connection was killed right behind it."""
    found = await glance(store, room)
    while (again := await glance(store, room)) != found:
        found = again
    return found


async def glance(store: MongoStore, room: str) -> tuple[View, Head]:
    key = await key_of(store, room)
    rows = await asked(database_of(store)["op"].find({"r": key}).to_list())
    kept = {seq_of(row["_id"]): bytes(row["d"]) for row in rows}
    head = await store.log.head(APP, room)
    found = await store.log.read(APP, room, after=0, limit=100)
    return View(head.floor, {op.seq: op.body for op in found}, kept), head


async def check_appends(store: MongoStore, room: str) -> None:
    """Nobody's cursor fell, and the room goes on where it was."""
    assert [await store.log.cursor(APP, room, ident) for ident in ("a", "b", "c")] == [3, 2, 2]
    again = await insist(lambda: store.log.append(APP, room, [WRITTEN[-1], MEANWHILE[-1]]))
    assert again == [Appended(5, duplicate=True), Appended(7, duplicate=True)]
    more = await insist(lambda: store.log.append(APP, room, [NewOp("a", 4, b"after")]))
    assert more == [Appended(8)]


async def clear(store: MongoStore, room: str) -> None:
    """The stand-in looks through everything that it has, so a case leaves nothing behind."""
    key, database = await key_of(store, room), database_of(store)
    await database["op"].delete_many({"r": key})
    await database["cursor"].delete_many({"r": key})


def act_of(removal: Removal) -> Act:
    """Another server, whose connection is whole, writes meanwhile."""
    ended = removal.swept[-1]
    seen_by_readers = [(view.floor, view.read) for view in (BEFORE, *removal.swept)]

    async def act(lane: Lane, case: int) -> None:
        room = f"room{case:06}"
        async with lane.opened() as other:
            fault, lane.proxy.fault = lane.proxy.fault, None
            await insist(lambda: lane.store.log.append(APP, room, WRITTEN))
            await other.ready()
            if removal.prepare is not None:
                await removal.prepare(database_of(other), room)
            lane.proxy.fault = fault
            removing, meanwhile, near = await asyncio.gather(
                removal.begin(lane.store, room),
                other.log.append(APP, room, MEANWHILE),
                other.log.append(APP, NEAR, [NewOp("n", case + 1, room.encode())]),
                return_exceptions=True,
            )
            assert removing is None or isinstance(removing, Unavailable | int), removing
            assert meanwhile == [Appended(6), Appended(7)]
            assert near == [Appended(case + 1)]
        async with lane.opened() as started:
            await started.ready()
            view, first = await look(started, room)
            assert (view.floor, view.read) in seen_by_readers
            assert isinstance(removing, Unavailable) or view == ended
            await started.sweep()
            view, second = await look(started, room)
            assert view in removal.swept
            assert second.floor >= first.floor
            assert (second.seq, second.chain) == (first.seq, first.chain)
            await insist(lambda: removal.begin(lane.store, room))
            view, last = await look(started, room)
            assert view == ended
            assert last.floor >= second.floor
            assert (last.seq, last.chain) == (second.seq, second.chain)
            await check_appends(lane.store, room)
            await clear(started, room)

    return act


async def check(lanes: list[Lane], cases: int) -> None:
    """Of the rooms nearby everything is there once, and nothing waits to be finished."""
    near = 0
    for lane in lanes:
        async with lane.opened() as store:
            await store.sweep()
            assert await database_of(store)["purge"].count_documents({}) == 0
            found = await store.log.read(APP, NEAR, after=0, limit=10**6)
            assert [op.seq for op in found] == list(range(1, len(found) + 1))
            assert [op.version for op in found] == [op.seq for op in found]
            near += len(found)
    assert near == cases


@pytest.fixture
def removal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Removal:
    """Two ops are as much as an erasure of parts takes at once."""
    if request.param == "erase in parts":
        monkeypatch.setattr(rooms, "CHUNK", 2)
    return REMOVALS[request.param]


@pytest.mark.parametrize("removal", REMOVALS, indirect=True)
async def test_removals_at_some_bytes(removal: Removal, lanes: list[Lane]) -> None:
    cases = await at_some_bytes(lanes, act_of(removal), removal.writes, WITHIN, run_seed())
    await check(lanes, cases)
    print(f"{cases} kills")
    assert cases == 2 * removal.writes * (2 + WITHIN)


@pytest.mark.long
@pytest.mark.parametrize("removal", REMOVALS, indirect=True)
async def test_removals_at_every_byte(removal: Removal, lanes: list[Lane]) -> None:
    cases = await at_every_byte(lanes, act_of(removal), removal.writes)
    await check(lanes, cases)
    print(f"{cases} kills")
    assert cases > 200 * removal.writes


OLD, LIVE = ("old1", "old2", "old3", "old4", "old5"), ("later", "never")


async def expire(lane: Lane, case: int) -> None:
    """Expired documents are never found; what is not expired stays; a sweep by the next server
    removes all that the cut one left. A namesake that is created meanwhile stays too.
    """
    ends = {name: time.time() + (3600 if name == "later" else -1) for name in (*OLD, "later")}
    async with lane.opened() as other:
        put = partial(other.meta.put, APP, "kind", value=b"v", expect=0)
        await asyncio.gather(
            *(put(f"{case}-{name}", expires=ends.get(name)) for name in (*OLD, *LIVE))
        )
    with contextlib.suppress(Unavailable):
        await lane.store.sweep()
    live = sorted(f"{case}-{name}" for name in (*LIVE, OLD[2]))
    async with lane.opened() as started:
        created = await started.meta.put(APP, "kind", f"{case}-{OLD[2]}", b"again", expect=0)
        for done in (started.ready, started.sweep, lambda: insist(lane.store.sweep)):
            await done()
            found = await started.meta.scan(APP, "kind", limit=10)
            assert [row.key for row in found] == live
            assert (found[-1].version, found[-1].value) == (created, b"again")
        assert await database_of(started)["meta"].count_documents({}) == len(live)
        for row in found:
            assert await started.meta.delete(APP, "kind", row.key, expect=row.version)


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that five take three writes."""
    monkeypatch.setattr(documents, "SWEEP", 2)


@pytest.mark.usefixtures("two_at_once")
async def test_expiry_at_some_bytes(lanes: list[Lane]) -> None:
    cases = await at_some_bytes(lanes, expire, 3, WITHIN, run_seed())
    print(f"{cases} kills")
    assert cases == 2 * 3 * (2 + WITHIN)


@pytest.mark.long
@pytest.mark.usefixtures("two_at_once")
async def test_expiry_at_every_byte(lanes: list[Lane]) -> None:
    cases = await at_every_byte(lanes, expire, 3)
    print(f"{cases} kills")
    assert cases > 200 * 3
