"""Documents: compare and set, terms, expiry, paging, apps that never see each other."""

from __future__ import annotations

import asyncio

import pytest

from signaling.clock import FakeClock
from signaling.storage.port import MAX_BATCH, MAX_NAME, MAX_VALUE, Conflict, Document, Store

A, B = "app-a", "app-b"


async def put(store: Store, key: str, value: bytes = b"v", **more: object) -> int:
    return await store.meta.put(A, "kind", key, value, **{"expect": 0, **more})  # type: ignore[arg-type]


async def test_a_created_document_is_read_as_it_was_written(store: Store) -> None:
    version = await put(store, "k", b"\0\xff bytes", terms=["b", "a", "b"], expires=9e9)
    found = await store.meta.get(A, "kind", "k")
    assert found == Document("k", version, b"\0\xff bytes", ("a", "b"), 9e9)
    assert type(found.version) is type(version) is int
    assert type(found.value) is bytes


async def test_creating_what_exists_conflicts_and_changes_nothing(store: Store) -> None:
    version = await put(store, "k", b"first")
    with pytest.raises(Conflict):
        await put(store, "k", b"second")
    found = await store.meta.get(A, "kind", "k")
    assert found is not None
    assert (found.version, found.value) == (version, b"first")


async def test_a_version_replaces_once(store: Store) -> None:
    first = await put(store, "k", b"1")
    second = await put(store, "k", b"2", expect=first)
    assert second > first
    with pytest.raises(Conflict):
        await put(store, "k", b"3", expect=first)
    with pytest.raises(Conflict):
        await put(store, "other", b"3", expect=first)
    found = await store.meta.get(A, "kind", "k")
    assert found is not None
    assert found.value == b"2"


async def test_of_many_writers_with_one_version_one_wins(store: Store) -> None:
    version = await put(store, "k")
    tries = (put(store, "k", bytes([n]), expect=version) for n in range(10))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 9


async def test_of_many_creators_one_wins(store: Store) -> None:
    tries = (put(store, "k", bytes([n])) for n in range(10))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, int) for result in results) == 1


async def test_a_recreated_document_has_no_version_of_its_namesake(store: Store) -> None:
    """Else a writer that slept over the deletion would overwrite the newcomer."""
    first = await put(store, "k")
    await store.meta.delete(A, "kind", "k")
    again = await put(store, "k")
    assert again != first
    with pytest.raises(Conflict):
        await put(store, "k", expect=first)


async def test_deleting_says_whether_there_was_one(store: Store) -> None:
    version = await put(store, "k", terms=["t"])
    with pytest.raises(Conflict):
        await store.meta.delete(A, "kind", "k", expect=version + 1)
    assert await store.meta.delete(A, "kind", "k", expect=version)
    assert not await store.meta.delete(A, "kind", "k")
    with pytest.raises(Conflict):
        await store.meta.delete(A, "kind", "k", expect=version)
    assert await store.meta.scan(A, "kind", term="t") == []


async def test_many_are_removed_at_once_and_no_other(store: Store, clock: FakeClock) -> None:
    names = [f"k{n}" for n in range(300)]
    await asyncio.gather(*(put(store, name, terms=["t"]) for name in names))
    await put(store, "over", expires=clock.unix() + 1)
    clock.advance(1)
    wanted = [*names[:299], names[0], "over", "never", "", "\ud800"]
    assert await store.meta.remove(A, "kind", wanted) == 299
    assert await store.meta.remove(A, "kind", wanted) == 0
    assert await store.meta.remove(A, "kind", []) == 0
    assert [one.key for one in await store.meta.scan(A, "kind", term="t")] == ["k299"]
    assert await put(store, "k0"), "a name that was removed is free"
    with pytest.raises(ValueError, match="at once"):
        await store.meta.remove(A, "kind", [str(n) for n in range(MAX_BATCH + 1)])


async def test_an_expired_document_is_not_there(store: Store, clock: FakeClock) -> None:
    version = await put(store, "k", terms=["t"], expires=clock.unix() + 10)
    clock.advance(9.9)
    assert await store.meta.get(A, "kind", "k") is not None
    clock.advance(0.1)
    assert await store.meta.get(A, "kind", "k") is None
    assert await store.meta.scan(A, "kind") == []
    assert await store.meta.scan(A, "kind", term="t") == []
    with pytest.raises(Conflict):
        await put(store, "k", expect=version)
    with pytest.raises(Conflict):
        await store.meta.delete(A, "kind", "k", expect=version)
    assert not await store.meta.delete(A, "kind", "k")


async def test_an_expired_name_is_free_again(store: Store, clock: FakeClock) -> None:
    first = await put(store, "k", b"old", terms=["old"], expires=clock.unix() + 1)
    clock.advance(2)
    again = await put(store, "k", b"new", terms=["new"])
    assert again != first
    assert await store.meta.scan(A, "kind", term="old") == []
    assert [found.value for found in await store.meta.scan(A, "kind", term="new")] == [b"new"]


async def test_sweeping_removes_what_expired_and_nothing_else(
    store: Store, clock: FakeClock
) -> None:
    for n in range(5):
        await put(store, f"gone{n}", terms=["t"], expires=clock.unix() + 1)
    await put(store, "stays", expires=clock.unix() + 100)
    await put(store, "ever")
    clock.advance(1)
    assert await store.sweep() == 5
    assert await store.sweep() == 0
    assert [found.key for found in await store.meta.scan(A, "kind")] == ["ever", "stays"]


async def test_terms_find_documents_and_follow_changes(store: Store) -> None:
    version = await put(store, "a", terms=["x", "y"])
    await put(store, "b", terms=["x"])
    assert [found.key for found in await store.meta.scan(A, "kind", term="x")] == ["a", "b"]
    await put(store, "a", terms=["y", "z"], expect=version)
    assert [found.key for found in await store.meta.scan(A, "kind", term="x")] == ["b"]
    assert [found.key for found in await store.meta.scan(A, "kind", term="z")] == ["a"]
    assert await store.meta.scan(A, "kind", term="xy") == []


async def test_scans_page_by_key(store: Store) -> None:
    keys = sorted(["a", "a0", "B", "é", "z", "\x01", "aa", "~"])
    for key in keys:
        await put(store, key, terms=["all"])
    for term in (None, "all"):
        seen: list[str] = []
        while page := await store.meta.scan(
            A, "kind", term=term, after=seen[-1] if seen else "", limit=3
        ):
            assert len(page) <= 3
            seen += [found.key for found in page]
        assert seen == keys


async def test_nothing_crosses_apps_or_kinds(store: Store) -> None:
    await put(store, "k", b"a", terms=["t"])
    await store.meta.put(B, "kind", "k", b"b", expect=0, terms=["t"])
    await store.meta.put(A, "kin", "dk", b"c", expect=0, terms=["t"])
    for app, kind, value in ((A, "kind", b"a"), (B, "kind", b"b"), (A, "kin", b"c")):
        assert [found.value for found in await store.meta.scan(app, kind)] == [value]
        assert [found.value for found in await store.meta.scan(app, kind, term="t")] == [value]
    assert await store.meta.delete(B, "kind", "k")
    assert await store.meta.get(A, "kind", "k") is not None
    assert await store.meta.get("app", "-akind", "k") is None


@pytest.mark.parametrize("name", ["", "x" * (MAX_NAME + 1), "\ud800", "a\0b"])
async def test_names_that_cannot_be_stored_are_not_found(store: Store, name: str) -> None:
    for app, kind in ((name, "kind"), (A, name)):
        assert await store.meta.get(app, kind, "k") is None
        assert await store.meta.scan(app, kind) == []
        assert not await store.meta.delete(app, kind, "k")
        with pytest.raises(ValueError, match="bytes of UTF-8"):
            await store.meta.put(app, kind, "k", b"", expect=0)
    if "\0" not in name:
        assert await store.meta.get(A, "kind", name) is None
        with pytest.raises(Conflict):
            await store.meta.delete(A, "kind", name, expect=1)
    with pytest.raises(ValueError, match="terms"):
        await put(store, "k", terms=[name])
    assert await store.meta.scan(A, "kind", term=name) == []


async def test_a_key_may_hold_nul_and_operators(store: Store) -> None:
    for key in ("a\0b", "$where", "a.b", "__proto__", "' OR 1=1 --", '{"$gt":""}'):
        await put(store, key, key.encode(), terms=[key.replace("\0", " ")])
        found = await store.meta.get(A, "kind", key)
        assert found is not None
        assert found.value == key.encode()
    assert len(await store.meta.scan(A, "kind", term="$where")) == 1


async def test_a_document_has_a_bound(store: Store) -> None:
    with pytest.raises(ValueError, match="at most"):
        await put(store, "k", bytes(MAX_VALUE + 1))
    await put(store, "k", bytes(MAX_VALUE))
    with pytest.raises(ValueError, match="at most"):
        await put(store, "k2", terms=[str(n) for n in range(65)])
    with pytest.raises(ValueError, match="at least"):
        await store.meta.scan(A, "kind", limit=0)
