"""Backups: whole, verified, refused when anything is wrong, and restored row by row."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from signaling.clock import SystemClock
from signaling.config.store import Store as Settings
from signaling.errors import ConfigError
from signaling.ids import SeededEntropy, SystemEntropy
from signaling.storage.archive.records import Any, Blob, Broken, Cursor, Doc, End, Op, Part, Room
from signaling.storage.archive.run import (
    Place,
    _dump,
    backup,
    new_key,
    read_key,
    restore,
)
from signaling.storage.archive.stream import Header, Writer, read_records
from signaling.storage.embedded import EmbeddedStore
from signaling.storage.open import open_store
from signaling.storage.port import NewOp, Store
from tests.signaling.storage import places

KEY = bytes(range(32))
KINDS = ["embedded", "mongo"]


@pytest.fixture
def make_place(tmp_path: Path, stand_in: Callable[[], int]) -> Callable[[str, str], Place]:
    """A place of a kind, of a name."""

    def make(kind: str, name: str) -> Place:
        settings = Settings() if kind == "embedded" else places.stand_in_settings(stand_in())
        return Place(settings, tmp_path / name)

    return make


async def fill(store: Store) -> None:
    """A little of everything, also what is purged, erased, expiring and strangely named."""
    source = random.Random(1)
    for n in range(200):
        app = f"app{n % 3}"
        terms = [f"t{n % 7}", "é"]
        expires = 4e9 if n % 5 else None
        version = await store.meta.put(
            app, "kind", f"k\0{n}", source.randbytes(n * 7), expect=0, terms=terms, expires=expires
        )
        if n % 2:
            await store.meta.put(app, "kind", f"k\0{n}", b"again", expect=version, expires=expires)
    for n in range(5):
        await store.meta.put("app0", "key", f"wrapped{n}", b"w", expect=0)
    for room in range(6):
        for n in range(room * 30):
            ops = [NewOp(f"i{n % 4}", n + 1, source.randbytes(50))]
            await store.log.append("app0", f"\0r{room}", ops)
    await store.log.purge("app0", "\0r3", 40)
    await store.log.purge("app0", "\0r4", 10**6)
    await store.log.erase("app0", "\0r5", [3, 9])
    await store.blobs.put("app0", "chunk", source.randbytes(100_000))
    await store.blobs.put("app1", "chunk", b"other")


async def filled(place: Place) -> None:
    store = await open_store(place.settings, place.state)
    await fill(store)
    await store.close()


async def rows(place: Place) -> list[Any]:
    """Every row, without what an adapter may forget: the seqs of idents whose ops are gone."""
    return [
        msgspec.structs.replace(record, seq=0) if isinstance(record, Cursor) else record
        async for record in _dump(place)
    ]


async def make_backup(place: Place, out: Path, part: Part = Part.ALL) -> End:
    return await backup(place, KEY, out, part, SystemClock(), SystemEntropy())


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
async def test_a_restored_store_is_the_same_row_by_row(
    make_place: Callable[[str, str], Place], tmp_path: Path, source: str, target: str
) -> None:
    here, there = make_place(source, "here"), make_place(target, "there")
    await filled(here)
    end = await make_backup(here, tmp_path / "archive")
    assert end.docs == 205
    assert end.blobs == 2
    assert await restore(there, [tmp_path / "archive"], KEY, SystemEntropy()) == end
    assert await rows(there) == await rows(here)
    store = await open_store(there.settings, there.state)
    new = await store.log.append("app0", "\0r4", [NewOp("new", 1, b"")])
    assert [answer.seq for answer in new] == [121]
    assert (await store.log.append("app0", "\0r4", [NewOp("i3", 120, b"")]))[0].duplicate
    assert await store.blobs.get("app1", "chunk") == b"other"
    assert await store.meta.scan("app0", "kind", term="é", limit=5)
    await store.close()


async def test_a_running_server_is_backed_up(tmp_path: Path) -> None:
    """The archive is one moment of it, whatever is written meanwhile."""
    place = Place(Settings(), tmp_path)
    store = EmbeddedStore(place.directory)
    await fill(store)
    before = await rows(place)
    await make_backup(place, tmp_path / "archive")
    await store.log.append("app0", "later", [NewOp("i", 1, b"")])
    other = Place(Settings(), tmp_path / "other")
    await restore(other, [tmp_path / "archive"], KEY, SystemEntropy())
    assert await rows(other) == before
    await store.close()


async def test_keys_and_data_apart_and_together(tmp_path: Path) -> None:
    here, there = Place(Settings(), tmp_path / "here"), Place(Settings(), tmp_path / "there")
    await filled(here)
    data, keys = tmp_path / "data", tmp_path / "keys"
    await make_backup(here, data, Part.DATA)
    assert (await make_backup(here, keys, Part.KEYS)).rows == 5
    assert not [one for one in read_all(data) if isinstance(one, Doc) and one.kind == "key"]
    with pytest.raises(Broken, match="one of all"):
        await restore(there, [data, data], KEY, SystemEntropy())
    await restore(there, [data, keys], KEY, SystemEntropy())
    assert sorted(map(repr, await rows(there))) == sorted(map(repr, await rows(here)))


def read_all(archive: Path) -> list[Any]:
    with archive.open("rb") as file:
        return list(read_records(file, KEY))


async def small(tmp_path: Path) -> bytes:
    """An archive of a few hundred bytes."""
    place = Place(Settings(), tmp_path / "small")
    store = EmbeddedStore(place.directory)
    await store.meta.put("app", "kind", "canary-key", b"canary-value", expect=0, terms=["canary-t"])
    await store.log.append("app", "canary-room", [NewOp("i", 1, b"canary-body")])
    await store.close()
    await make_backup(place, tmp_path / "archive")
    return (tmp_path / "archive").read_bytes()


async def refused(tmp_path: Path, data: bytes, key: bytes = KEY) -> None:
    """The target is not even made."""
    broken, target = tmp_path / "broken", Place(Settings(), tmp_path / "target")
    broken.write_bytes(data)
    with pytest.raises(Broken):
        await restore(target, [broken], key, SystemEntropy())
    assert not target.directory.exists()


async def test_every_changed_byte_is_refused(tmp_path: Path) -> None:
    data = await small(tmp_path)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        await refused(tmp_path, bytes(changed))


async def test_every_cut_and_every_addition_is_refused(tmp_path: Path) -> None:
    data = await small(tmp_path)
    for length in range(len(data)):
        await refused(tmp_path, data[:length])
    for more in (b"\0", b"\0\0\0\0", bytes(100), data):
        await refused(tmp_path, data + more)


async def test_a_foreign_archive_is_refused(tmp_path: Path) -> None:
    data = await small(tmp_path)
    await refused(tmp_path, data, bytes(32))
    await refused(tmp_path, b"PK\3\4 something else")
    await refused(tmp_path, b"")


async def test_nothing_of_the_content_is_in_the_archive(tmp_path: Path) -> None:
    data = await small(tmp_path)
    assert b"canary" not in data
    assert await small_again(tmp_path) != data


async def small_again(tmp_path: Path) -> bytes:
    place = Place(Settings(), tmp_path / "small")
    await make_backup(place, tmp_path / "again")
    return (tmp_path / "again").read_bytes()


OP = Op(1, "i", 1, b"body", bytes(32), b"")
BAD: list[list[Any]] = [
    [],
    [End(1, 0, 0, 0, 0)],
    [End(0, 0, 0, 0, 0), End(0, 0, 0, 0, 0)],
    [OP, End(0, 0, 1, 0, 0)],
    [Room("a", "r", 0, bytes(32)), OP, End(0, 1, 1, 0, 0)],
    [Room("a", "r", 4, bytes(32)), OP, End(0, 1, 1, 0, 0)],
]


@pytest.mark.parametrize("records", BAD, ids=range(len(BAD)))
async def test_a_well_sealed_archive_of_nonsense_is_refused(
    tmp_path: Path, records: list[Any]
) -> None:
    path = tmp_path / "nonsense"
    with path.open("wb") as file:
        writer = Writer(file, KEY, Header(1, Part.ALL, 0.0, bytes(32)))
        for record in records:
            writer.add(record)
        writer.finish()
    await refused(tmp_path, path.read_bytes())


async def test_a_blob_cannot_leave_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "escape"
    with path.open("wb") as file:
        writer = Writer(file, KEY, Header(1, Part.ALL, 0.0, bytes(32)))
        writer.add(Blob("../../escaped", b"x"))
        writer.add(End(0, 0, 0, 0, 1))
        writer.finish()
    await refused(tmp_path, path.read_bytes())
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path.parent / "escaped").exists()


async def test_a_target_that_holds_something_stays_as_it_is(
    make_place: Callable[[str, str], Place], tmp_path: Path
) -> None:
    await small(tmp_path)
    for kind in KINDS:
        place = make_place(kind, f"full-{kind}")
        await filled(place)
        before = await rows(place)
        with pytest.raises(ConfigError, match="not empty"):
            await restore(place, [tmp_path / "archive"], KEY, SystemEntropy())
        assert await rows(place) == before


async def test_a_backup_never_overwrites_and_leaves_no_half(tmp_path: Path) -> None:
    await small(tmp_path)
    place = Place(Settings(), tmp_path / "small")
    with pytest.raises(ConfigError, match="exists"):
        await make_backup(place, tmp_path / "archive")
    with pytest.raises(ConfigError, match="there is no"):
        await make_backup(Place(Settings(), tmp_path / "nowhere"), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "none.part").exists()
    assert (tmp_path / "archive").stat().st_mode & 0o777 == 0o600


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "key"
    new_key(path, SeededEntropy())
    assert len(read_key(path)) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="exists"):
        new_key(path, SeededEntropy())
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod"):
        read_key(path)
    for text in ("", "zz", "00" * 31, "00" * 33):
        path.chmod(0o600)
        path.write_text(text)
        with pytest.raises(ConfigError, match="not a key file"):
            read_key(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_key(tmp_path / "none")


async def test_memory_has_no_backup(tmp_path: Path) -> None:
    place = Place(Settings(url="memory:"), tmp_path)
    with pytest.raises(ConfigError, match="memory"):
        await make_backup(place, tmp_path / "archive")
