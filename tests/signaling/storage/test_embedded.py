"""The embedded store beyond the contract: schemas, full disks, moved files, erased bytes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from signaling.clock import FakeClock
from signaling.config.store import Store as Settings
from signaling.errors import ConfigError, Unavailable
from signaling.storage.embedded import EmbeddedStore
from signaling.storage.embedded.connect import open_writer
from signaling.storage.embedded.reader import Reader
from signaling.storage.embedded.rooms import Rooms
from signaling.storage.embedded.schema import STEPS, migrate
from signaling.storage.open import open_store
from signaling.storage.port import Conflict, NewOp

APP, ROOM = "app", "room"
SCHEMAS = Path(__file__).parent / "schemas"


def dump(path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(path) as on:
        found = on.execute("SELECT type || ' ' || name, sql FROM sqlite_master ORDER BY 1")
        rows = [(name, " ".join((sql or "").split())) for name, sql in found]
    on.close()
    return rows


def load(script: Path, directory: Path) -> None:
    directory.mkdir()
    on = sqlite3.connect(directory / "sotto.db")
    on.executescript(script.read_text())
    on.close()


@pytest.mark.parametrize("released", sorted(SCHEMAS.glob("v*.sql")), ids=lambda path: path.stem)
async def test_every_released_schema_becomes_todays(released: Path, tmp_path: Path) -> None:
    """`schemas/` holds a filled store of each released version, as SQL; none is ever changed."""
    load(released, tmp_path / "old")
    fresh = EmbeddedStore(tmp_path / "new")
    await fresh.close()
    store = EmbeddedStore(tmp_path / "old")
    assert dump(tmp_path / "old" / "sotto.db") == dump(tmp_path / "new" / "sotto.db")
    found = await store.meta.get(APP, "kind", "key")
    assert found is not None
    assert (found.value, found.terms) == (b"value", ("term",))
    ops = await store.log.read(APP, ROOM, after=0, limit=9)
    assert [(op.seq, op.ident, op.body, op.erased) for op in ops] == [
        (2, "i", b"", True),
        (3, "i", b"three", False),
    ]
    assert (await store.log.append(APP, ROOM, [NewOp("i", 3, b"")]))[0].duplicate
    assert (await store.log.append(APP, ROOM, [NewOp("i", 4, b"")]))[0].seq == 4
    await store.close()


def test_the_last_released_schema_is_kept() -> None:
    assert (SCHEMAS / f"v{len(STEPS)}.sql").exists()


def test_migrations_go_forwards_and_take_what_is_missing(tmp_path: Path) -> None:
    on = open_writer(tmp_path / "x.db")
    assert migrate(on, ["CREATE TABLE a (x)"]) == 1
    assert migrate(on, ["never run again", "CREATE TABLE b (x); CREATE INDEX c ON b (x)"]) == 2
    assert {name for (name,) in on.execute("SELECT name FROM sqlite_master")} == {"a", "b", "c"}
    on.close()


def test_a_failing_migration_leaves_the_version_before(tmp_path: Path) -> None:
    on = open_writer(tmp_path / "x.db")
    steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"]
    with pytest.raises(sqlite3.OperationalError):
        migrate(on, steps)
    assert on.execute("PRAGMA user_version").fetchone() == (1,)
    assert [name for (name,) in on.execute("SELECT name FROM sqlite_master")] == ["a"]
    on.close()


async def test_a_newer_file_is_refused_and_untouched(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    await store.close()
    on = sqlite3.connect(tmp_path / "sotto.db")
    on.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    on.close()
    before = (tmp_path / "sotto.db").read_bytes()
    with pytest.raises(ConfigError, match="newer"):
        EmbeddedStore(tmp_path)
    assert (tmp_path / "sotto.db").read_bytes() == before


async def test_files_are_for_us_alone(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store")
    await store.meta.put(APP, "kind", "key", b"v", expect=0)
    await store.blobs.put(APP, "name", b"data")
    for path in (tmp_path / "store").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    await store.close()


def everywhere(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def test_erased_and_purged_bodies_leave_the_disk(tmp_path: Path) -> None:
    """While the server runs: not in the file, not in its log."""
    store = EmbeddedStore(tmp_path)
    for n in range(40):
        body = f"canary-{n:02}-".encode() * (1 + 900 * (n % 2))
        await store.log.append(APP, ROOM, [NewOp("i", n + 1, body)])
    assert b"canary-05" in everywhere(tmp_path)
    await store.log.erase(APP, ROOM, [20, 21])
    assert b"canary-19" not in everywhere(tmp_path)
    assert b"canary-20" not in everywhere(tmp_path)
    await store.log.purge(APP, ROOM, 10)
    left = everywhere(tmp_path)
    assert not [n for n in range(10) if f"canary-{n:02}".encode() in left]
    assert b"canary-10" in left
    await store.close()


async def test_a_purge_that_a_crash_cut_short_is_finished(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    for _ in range(3):
        start = (await store.log.head(APP, ROOM)).seq
        ops = [NewOp("i", start + n + 1, b"canary") for n in range(500)]
        await store.log.append(APP, ROOM, ops)
    await store._writer.write(lambda on: on.execute("UPDATE room SET floor = 1400").rowcount)
    assert len(await store.log.read(APP, ROOM, after=0, limit=9999)) == 100
    await store.sweep()
    (count,) = store._reader.row("SELECT count(*) FROM op", ())
    assert count == 100
    await store.close()


async def test_one_transaction_sees_what_it_has_put_off(tmp_path: Path) -> None:
    """Ops are collected until COMMIT; purging and erasing in the same one must find them."""
    store = EmbeddedStore(tmp_path)
    await store.log.append(APP, ROOM, [NewOp("i", 1, b"1")])
    await asyncio.gather(
        store.log.append(APP, ROOM, [NewOp("i", n, b"canary") for n in (2, 3)]),
        store.log.purge(APP, ROOM, 2),
        store.log.append(APP, ROOM, [NewOp("i", n, b"4") for n in (4, 5)]),
        store.log.erase(APP, ROOM, [3, 4]),
    )
    found = await store.log.read(APP, ROOM, after=0, limit=9)
    assert [(op.seq, op.erased) for op in found] == [(3, True), (4, True), (5, False)]
    assert (await store.log.head(APP, ROOM)).floor == 2
    assert b"canary" not in everywhere(tmp_path)
    await store.close()


async def test_a_failed_statement_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    """The batch is rolled back and done again one by one; caches forget."""
    store = EmbeddedStore(tmp_path)

    async def fail() -> None:
        await store._writer.write(lambda on: on.execute("INSERT INTO probe VALUES (7, 0)"))

    results = await asyncio.gather(
        store.log.append(APP, ROOM, [NewOp("a", 1, b"1")]),
        store.meta.put(APP, "kind", "key", b"v", expect=0),
        fail(),
        store.log.append(APP, ROOM, [NewOp("a", 2, b"2")]),
        store.meta.put(APP, "kind", "key", b"w", expect=0),
        return_exceptions=True,
    )
    assert results[0][0].seq == 1  # type: ignore[index]
    assert isinstance(results[1], int)
    assert isinstance(results[2], sqlite3.IntegrityError)
    assert results[3][0].seq == 2  # type: ignore[index]
    assert isinstance(results[4], Conflict)
    assert [op.body for op in await store.log.read(APP, ROOM, limit=9)] == [b"1", b"2"]
    await store.close()


async def test_who_stops_waiting_harms_nobody(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    tasks = [
        asyncio.create_task(store.log.append(APP, ROOM, [NewOp(f"i{n}", 1, b"")]))
        for n in range(20)
    ]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    head = await store.log.head(APP, ROOM)
    assert 10 <= head.seq <= 20
    await store.log.append(APP, ROOM, [NewOp("last", 1, b"")])
    assert (await store.log.head(APP, ROOM)).seq == head.seq + 1
    await store.close()


async def test_a_removed_file_is_an_outage_and_never_acknowledged(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    await store.ready()
    (tmp_path / "sotto.db").rename(tmp_path / "moved.db")
    with pytest.raises(Unavailable) as said:
        await store.ready()
    assert said.value.retry_after
    with pytest.raises(Unavailable):
        await store.log.append(APP, ROOM, [NewOp("i", 1, b"")])
    (tmp_path / "moved.db").rename(tmp_path / "sotto.db")
    await store.ready()
    await store.log.append(APP, ROOM, [NewOp("i", 1, b"")])
    await store.close()


async def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "sotto.db").write_bytes(b"not a database, but long enough" * 50)
    (tmp_path / "file").write_text("")
    for directory in ("store", "file"):
        settings = Settings(directory=str(tmp_path / directory))
        with pytest.raises(ConfigError, match=directory):
            await open_store(settings, tmp_path)


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    await store.close()
    await store.close()
    for work in (store.ready(), store.meta.put(APP, "k", "k", b"", expect=0)):
        with pytest.raises(Unavailable):
            await work
    with pytest.raises(Unavailable):
        await store.meta.get(APP, "k", "k")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.fail("a small file system needs root and mount, as the tests of the network do")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> None:
    """To the last page: a readiness probe is small."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


async def test_a_full_disk_is_an_outage_that_heals(small_disk: Path) -> None:
    """No false acknowledgement, reads go on, and writes do when there is room again."""
    store = EmbeddedStore(small_disk / "store", FakeClock())
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * 1024 * 1024))
    acknowledged = 0
    with pytest.raises(Unavailable) as said:
        for n in range(2000):
            await store.log.append(APP, ROOM, [NewOp("i", n + 1, bytes(10_000))])
            acknowledged += 1
    assert said.value.retry_after
    fill(small_disk / "more")
    with pytest.raises(Unavailable):
        await store.ready()
    found = await store.log.read(APP, ROOM, after=0, limit=9999)
    assert [op.seq for op in found] == list(range(1, acknowledged + 1))
    ballast.unlink()
    await store.ready()
    answers = await store.log.append(APP, ROOM, [NewOp("i", acknowledged + 1, b"healed")])
    assert answers[0].seq == acknowledged + 1
    await store.close()


async def test_what_is_remembered_of_a_log_is_what_is_on_the_disk(tmp_path: Path) -> None:
    """Also when whoever appended was gone before the commit, and after a purge or a rollback."""
    store = EmbeddedStore(tmp_path)

    async def seen() -> tuple[int, int, int]:
        beside, reader = Rooms(alone=False), Reader(tmp_path / "sotto.db")
        beside.use(cast(Any, None), reader)
        for _ in range(3):  # what was under way may be committed between the two looks
            head = await store.log.head(APP, ROOM)
            cursor = await store.log.cursor(APP, ROOM, "i")
            there = await beside.head(APP, ROOM), await beside.cursor(APP, ROOM, "i")
            if there == (head, cursor):
                break
        assert there == (head, cursor)
        reader.close()
        return head.seq, head.floor, cursor

    assert await seen() == (0, 0, 0)
    await store.log.append(APP, ROOM, [NewOp("i", 1, b"one"), NewOp("j", 1, b"two")])
    assert await seen() == (2, 0, 1)
    leaving = asyncio.create_task(store.log.append(APP, ROOM, [NewOp("i", 2, b"three")]))
    await asyncio.sleep(0)
    leaving.cancel()
    await seen()
    await store.log.append(APP, "other", [NewOp("i", 1, b"")])
    assert await seen() == (3, 0, 2)
    assert (await store.log.append(APP, ROOM, [NewOp("i", 1, b"")]))[0].duplicate
    appending = store.log.append(APP, ROOM, [NewOp("i", 3, b"four")])
    await asyncio.gather(store.log.purge(APP, ROOM, 2), appending)
    assert await seen() == (4, 2, 3)
    with pytest.raises(Conflict):
        await asyncio.gather(
            store.log.append(APP, ROOM, [NewOp("i", 4, b"five")]),
            store.meta.put(APP, "kind", "key", b"", expect=7),
        )
    await store.log.purge(APP, ROOM, 9)
    assert await seen() == (5, 5, 4)
    await store.close()
