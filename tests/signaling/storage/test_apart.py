"""Keys in a store of their own: routed, paired, moved there and back, backed up apart.

Long because each case stands on the same few lines that make, seal, archive and open.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from signaling.clock import SystemClock
from signaling.config import Config
from signaling.config.key_store import KeyStore, check_key_store
from signaling.config.mirror import Mirror
from signaling.config.store import Store as StoreSettings
from signaling.errors import ConfigError, Unavailable
from signaling.ids import SystemEntropy
from signaling.keys.moving import _content, _rows, is_moved, move, move_back
from signaling.keys.port import INSTALLATION, KeyDestroyed
from signaling.keys.table import APPS, KIND
from signaling.storage.apart import APART, KEY_KINDS, PAIR, has_keys, read_mark
from signaling.storage.archive import run as archive
from signaling.storage.archive.records import Broken, Doc, End, Part
from signaling.storage.archive.run import Place, backup, restore, verify
from signaling.storage.open import open_stores
from tests.signaling.storage.apart import AAD, APP, KINDS, Site, Stopping, site

KEY = bytes(range(32))
Made = Callable[..., Site]


@pytest.fixture
def make(tmp_path: Path, stand_in: Callable[[], int]) -> Made:
    def made(data: str = "embedded", keys: str = "embedded", name: str = "one") -> Site:
        return site(data, keys, tmp_path / name, stand_in)

    return made


async def sealed(one: Site, config: Config | None = None, scope: str = "account:1") -> bytes:
    async with one.keys(config) as keys:
        return await keys.envelope.seal(APP, scope, AAD, b"plain")


async def opens(one: Site, value: bytes, config: Config | None = None) -> bool:
    async with one.keys(config) as keys:
        return await keys.envelope.open(APP, AAD, value) == b"plain"


async def archived(one: Site, out: Path, part: Part, config: Config | None = None) -> End:
    place = Place.of(config or one.config, one.state)
    return await backup(place, KEY, out, part, SystemClock(), SystemEntropy())


async def restored(one: Site, *archives: Path, config: Config | None = None) -> End:
    place = Place.of(config or one.config, one.state)
    return await restore(place, list(archives), KEY, SystemEntropy())


def files_of(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]


def emptied(directory: Path) -> None:
    shutil.rmtree(directory)


def test_the_kinds_of_the_key_table_are_those_that_go_apart() -> None:
    assert {KIND, APPS, PAIR} == KEY_KINDS


@pytest.mark.parametrize("data", KINDS)
@pytest.mark.parametrize("keys", KINDS)
async def test_keys_go_to_the_one_store_and_all_else_to_the_other(
    make: Made, data: str, keys: str
) -> None:
    one = make(data, keys)
    value = await sealed(one)
    async with one.stores() as store:
        await store.meta.put(APP, "kind", "k", value, expect=0, terms=["t"])
    async with one.both() as apart:
        assert await has_keys(apart.keys.meta)
        assert not await apart.data.meta.scan(INSTALLATION, KIND)
        assert not await apart.data.meta.scan(APP, KIND)
        assert not await apart.data.meta.scan(INSTALLATION, APPS)
        assert await apart.keys.meta.scan(APP, KIND)
        assert [d.value for d in await apart.data.meta.scan(APP, "kind", term="t")] == [value]
        assert not await apart.keys.meta.scan(APP, "kind")
        here, there = (
            await read_mark(apart.data.meta, APART),
            await read_mark(apart.keys.meta, PAIR),
        )
        assert here is not None
        assert here == there
    assert await opens(one, value)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_does_not_belong_together_does_not_start(make: Made, kind: str) -> None:
    """And says what to do. Afterwards the right pair starts as before."""
    one, other, joined = make(kind, kind), make(kind, kind, "two"), make(kind, kind, "three")
    value = await sealed(one)
    await sealed(other)
    await sealed(joined, joined.joined)
    stores = {"store": one.config.store, "key_store": one.config.key_store}
    swapped = Config(
        store=_as(StoreSettings, stores["key_store"]),
        key_store=_as(KeyStore, stores["store"]),
    )
    refused = {
        "which is not configured": one.joined,
        "not hold the keys of this store": replace(one.config, key_store=other.config.key_store),
        "sotto keys move": replace(joined.config, key_store=make(kind, kind, "x").config.key_store),
        "are exchanged": swapped,
        "one of keys": Config(store=swapped.store),
        "holds the keys of another store": replace(
            one.config, store=make(kind, kind, "fresh").config.store
        ),
    }
    for words, config in refused.items():
        with pytest.raises(ConfigError, match=words) as said:
            async with one.stores(config):
                pass
        assert said.value.path == "key_store"
    assert await opens(one, value)


def _as(type_: Any, settings: Any) -> Any:
    """The same place under the other table's name."""

    return type_(
        url=settings.url, database=settings.database, directory=settings.directory,
        insecure_without_auth=settings.insecure_without_auth,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_no_new_keys_are_made_where_old_ones_are_missing(make: Made, kind: str) -> None:
    """Lost keys, of either kind: whatever was sealed waits for them."""
    one = make(kind, kind)
    await sealed(one)
    async with one.both() as apart:
        for row in await _rows(apart.keys.meta):
            await apart.keys.meta.delete(*row.place)
    with pytest.raises(ConfigError, match="restore them"):
        await sealed(one)
    lone = make(kind, kind, "lone")
    await sealed(lone, lone.joined)
    async with lone.both() as apart:
        for row in await _rows(apart.data.meta):
            await apart.data.meta.delete(*row.place)
    for config in (lone.joined, lone.config):
        with pytest.raises(ConfigError, match="restore them"):
            await sealed(lone, config)


async def test_a_first_start_that_was_cut_is_completed(make: Made) -> None:
    one = make()
    async with one.both() as apart:
        left = [1]
        apart.data.meta = Stopping(apart.data.meta, left)  # type: ignore[misc]
        apart.keys.meta = Stopping(apart.keys.meta, left)  # type: ignore[misc]
        from signaling.storage.apart import settle

        with pytest.raises(Unavailable):
            await settle(apart, SystemEntropy())
        assert await read_mark(apart.keys.meta, PAIR)
        assert not await read_mark(apart.data.meta, APART)
    assert await opens(one, await sealed(one))


@pytest.mark.parametrize("data", KINDS)
@pytest.mark.parametrize("keys", KINDS)
async def test_keys_are_moved_there_and_back(make: Made, data: str, keys: str) -> None:
    one = make(data, keys)
    value = await sealed(one, one.joined)
    async with one.both() as apart:
        before = _content(await _rows(apart.data.meta))
        assert await move(apart.data.meta, apart.keys.meta, SystemEntropy()) == len(before)
        assert _content(await _rows(apart.keys.meta)) == before
        assert not await _rows(apart.data.meta)
        assert await move(apart.data.meta, apart.keys.meta, SystemEntropy()) == 0
    assert await opens(one, value)
    with pytest.raises(ConfigError, match="not configured"):
        await opens(one, value, one.joined)
    later = await sealed(one, scope="account:2")
    async with one.both() as apart:
        assert await move_back(apart.data.meta, apart.keys.meta) > len(before)
        assert not await _rows(apart.keys.meta)
        with pytest.raises(ConfigError, match="holds its keys itself"):
            await move_back(apart.data.meta, apart.keys.meta)
    assert await opens(one, value, one.joined)
    assert await opens(one, later, one.joined)


async def test_keys_that_were_moved_are_in_no_file_of_the_store(make: Made) -> None:
    """Nor in its journal, which a copy of the directory would take along."""
    one = make()
    await sealed(one, one.joined)
    async with one.both() as apart:
        wrapped = [row.document.value for row in await _rows(apart.data.meta)]
        wrapped = [value for value in wrapped if len(value) > 40]
        await move(apart.data.meta, apart.keys.meta, SystemEntropy())
    assert len(wrapped) >= 3
    written = files_of(Path(one.config.store.directory))
    assert not any(value[10:] in file for value in wrapped for file in written)


async def test_a_move_that_stops_at_any_write_is_completed_by_the_same_command(
    make: Made,
) -> None:
    """In between a server either starts with all its keys or does not start."""
    writes = 0
    while True:
        one = make(name=f"stop{writes}")
        value = await sealed(one, one.joined)
        there = await _stopped(one, writes, back=False)
        await _starts_rightly(one, value)
        async with one.both() as apart:
            await move(apart.data.meta, apart.keys.meta, SystemEntropy())
        assert await opens(one, value)
        back = await _stopped(one, writes, back=True)
        await _starts_rightly(one, value)
        async with one.both() as apart:
            if await read_mark(apart.data.meta, APART):
                await move_back(apart.data.meta, apart.keys.meta)
        assert await opens(one, value, one.joined)
        if there and back:
            break
        writes += 1
    assert writes > 10


async def _stopped(one: Site, writes: int, *, back: bool) -> bool:
    """Whether so many writes were enough."""
    left = [writes]
    async with one.both() as apart:
        data, keys = Stopping(apart.data.meta, left), Stopping(apart.keys.meta, left)
        try:
            await (move_back(data, keys) if back else move(data, keys, SystemEntropy()))
        except Unavailable:
            return False
    return True


async def _starts_rightly(one: Site, value: bytes) -> None:
    started = 0
    for config in (one.config, one.joined):
        try:
            assert await opens(one, value, config)
        except ConfigError as refused:
            assert refused.path == "key_store"
        else:
            started += 1
    assert started <= 1


async def test_a_move_into_somebody_elses_keys_is_refused(make: Made) -> None:
    one, other = make(), make(name="two")
    value, others = await sealed(one, one.joined), await sealed(other)
    wrong = Site(replace(one.config, key_store=other.config.key_store), one.state)
    async with wrong.both() as apart:
        for act in (
            move(apart.data.meta, apart.keys.meta, SystemEntropy()),
            move_back(apart.data.meta, apart.keys.meta),
        ):
            with pytest.raises(ConfigError):
                await act
        assert not await is_moved(apart.data.meta)
    assert await opens(one, value, one.joined)
    assert await opens(other, others)


async def test_a_server_that_still_writes_is_noticed(make: Made) -> None:
    """MongoDB has no lock that would keep it out."""
    one = make("mongo", "mongo")
    await sealed(one, one.joined)
    async with one.both() as apart:
        inner = apart.data.meta
        (master, *_) = await inner.scan(INSTALLATION, KIND, limit=1)

        class Racing(Stopping):
            async def delete(self, *where: object, **what: object) -> bool:
                if where[2] == master.key:
                    await inner.put(INSTALLATION, KIND, master.key, b"newer", expect=master.version)
                return await super().delete(*where, **what)

        with pytest.raises(ConfigError, match="still writes"):
            await move(Racing(inner, [1000]), apart.keys.meta, SystemEntropy())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_destroyed_since_is_gone_from_the_backup_of_the_data_too(
    make: Made, tmp_path: Path, kind: str
) -> None:
    """What the design promises: the archive of last night holds no key, and today's keys have none
    for what was erased."""
    one = make(kind, kind)
    value, other = await sealed(one), await sealed(one, scope="account:2")
    async with one.stores() as store:
        await store.meta.put(APP, "kind", "k", value, expect=0)
    end = await archived(one, tmp_path / "night", Part.DATA)
    assert end.docs >= 3
    assert not _kinds(tmp_path / "night") & KEY_KINDS
    async with one.keys() as keys:
        await keys.envelope.shred(APP, "account:1")
    restored_to = make(kind, kind, "empty").config.store
    lost = Site(replace(one.config, store=restored_to), one.state)
    await restored(lost, tmp_path / "night")
    async with lost.stores() as store:
        row = await store.meta.get(APP, "kind", "k")
    assert row is not None
    async with lost.keys() as keys:
        with pytest.raises(KeyDestroyed):
            await keys.envelope.open(APP, AAD, row.value)
        assert await keys.envelope.open(APP, AAD, other) == b"plain"


def _docs(path: Path) -> list[Doc]:
    found = archive._merged([path], KEY, lambda record: True)
    return [record for record in found if isinstance(record, Doc)]


def _kinds(path: Path) -> set[str]:
    return {doc.kind for doc in _docs(path)}


@pytest.mark.parametrize("kind", KINDS)
async def test_archives_of_both_restore_apart_and_joined(
    make: Made, tmp_path: Path, kind: str
) -> None:
    one = make(kind, kind)
    value = await sealed(one)
    data, keys = tmp_path / "data", tmp_path / "keys"
    with pytest.raises(ConfigError, match="two archives"):
        await archived(one, tmp_path / "all", Part.ALL)
    await archived(one, data, Part.DATA)
    await archived(one, keys, Part.KEYS)
    assert _kinds(keys) == KEY_KINDS
    apart, joined = make(kind, kind, "apart"), make(kind, kind, "joined")
    await restored(apart, keys, data)
    assert await opens(apart, value)
    await restored(joined, data, keys, config=joined.joined)
    assert await opens(joined, value, joined.joined)
    whole = tmp_path / "whole"
    await archived(joined, whole, Part.ALL, joined.joined)
    again = make(kind, kind, "again")
    await restored(again, whole)
    assert await opens(again, value)
    async with again.both() as stores:
        assert not await stores.data.meta.scan(INSTALLATION, KIND)


async def test_keys_alone_come_back_beside_the_data(make: Made, tmp_path: Path) -> None:
    one = make()
    value = await sealed(one)
    await archived(one, tmp_path / "keys", Part.KEYS)
    moved = replace(one.config.key_store, directory=str(tmp_path / "new disk"))
    other = Site(replace(one.config, key_store=moved), one.state)
    with pytest.raises(ConfigError, match="not hold the keys"):
        await opens(other, value)
    with pytest.raises(ConfigError, match="not empty"):
        await restored(other, tmp_path / "keys")
    emptied(tmp_path / "new disk")
    await restored(other, tmp_path / "keys")
    assert await opens(other, value)


@pytest.mark.parametrize("kind", KINDS)
async def test_archives_that_are_no_pair_are_refused(make: Made, tmp_path: Path, kind: str) -> None:
    """And neither store is made."""
    one, other, joined = make(kind, kind), make(kind, kind, "two"), make(kind, kind, "three")
    for each, config in ((one, one.config), (other, other.config), (joined, joined.joined)):
        await sealed(each, config)
        name = each.state.parent.name
        await archived(each, tmp_path / f"{name}-data", Part.DATA, config)
        await archived(each, tmp_path / f"{name}-keys", Part.KEYS, config)
    target = make(kind, kind, "target")
    for words, archives, config in (
        ("two installations", ("one-data", "two-keys"), target.config),
        ("two installations", ("three-data", "two-keys"), target.config),
        ("two installations", ("one-data", "three-keys"), target.config),
        ("older than the store of keys", ("three-data",), target.config),
        ("older than the store of keys", ("three-keys",), target.config),
        ("one of all", ("one-data",), target.joined),
        ("one of all", ("one-keys",), target.joined),
        ("one of all", ("one-data", "two-data"), target.config),
    ):
        with pytest.raises(Broken, match=words):
            await restored(target, *(tmp_path / name for name in archives), config=config)
    assert not (tmp_path / "target").exists()
    async with target.both() as apart:
        for meta in (apart.data.meta, apart.keys.meta):
            assert not await _rows(meta)
            assert not await read_mark(meta, APART)
            assert not await read_mark(meta, PAIR)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_restore_whose_second_half_fails_takes_the_first_back(
    make: Made, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, target = make(kind, kind), make(kind, kind, "target")
    value = await sealed(one)
    async with one.stores() as store:
        await store.blobs.put(APP, "chunk", b"data")
    data, keys = tmp_path / "data", tmp_path / "keys"
    await archived(one, data, Part.DATA)
    await archived(one, keys, Part.KEYS)
    real, calls = archive._load, 0

    async def failing(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")
        await real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_load", failing)
        with pytest.raises(OSError, match="No space"):
            await restored(target, data, keys)
    async with target.both() as apart:
        assert not await has_keys(apart.keys.meta)
        assert not await apart.data.meta.scan(INSTALLATION, APART)
    if kind == "embedded":
        for settings in (target.config.store, target.config.key_store):
            emptied(Path(settings.directory))
    await restored(target, data, keys)
    assert await opens(target, value)
    assert verify(data, KEY)[1].blobs == 1


def test_what_may_be_configured(tmp_path: Path) -> None:
    def paths(keys: KeyStore, store: StoreSettings) -> list[str]:
        mirror = Mirror(url="mongodb://db/?tls=true", database="mirrored")
        return [one.path for one in check_key_store(keys, store, mirror, production=True)]

    mongo: dict[str, Any] = {"url": "mongodb://db/?tls=true", "insecure_without_auth": False}
    assert paths(KeyStore(), StoreSettings()) == []
    assert paths(KeyStore(directory="/keys"), StoreSettings()) == []
    assert paths(KeyStore(url="memory:"), StoreSettings()) == ["key_store.url"]
    assert paths(KeyStore(directory="/keys"), StoreSettings(url="memory:")) == ["key_store.url"]
    assert paths(KeyStore(**mongo), StoreSettings(**mongo)) == ["key_store.user"]
    plain = KeyStore(url="mongodb://db/")
    assert paths(plain, StoreSettings()) == ["key_store.url", "key_store.user"]
    for database in ("sotto", "mirrored"):
        clash = KeyStore(**mongo, database=database)
        assert paths(clash, StoreSettings(**mongo))[-1] == "key_store.database"


async def test_keys_do_not_lie_within_the_store(tmp_path: Path) -> None:
    """A copy of the directory would hold both."""
    for directory in ("store", "store/keys"):
        config = Config(key_store=KeyStore(directory=str(tmp_path / directory)))
        with pytest.raises(ConfigError, match="within that of the store"):
            await open_stores(config, tmp_path)
        with pytest.raises(ConfigError, match="within that of the store"):
            Place.of(config, tmp_path)
