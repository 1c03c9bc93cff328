"""Typed rows: sealed, found by terms, changed by compare and set."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from signaling.clock import FakeClock
from signaling.keys.port import IntegrityError
from signaling.storage.memory import MemoryStore
from signaling.storage.port import Conflict
from signaling.storage.table import ATTEMPTS, Missing, Table

APP = "app"


class Pet(msgspec.Struct, frozen=True):
    name: str
    legs: int = 4


class Newer(msgspec.Struct, frozen=True):
    """What a later version made of it."""

    name: str
    legs: int = 4
    tail: bool = True


class FakeSealer:
    """Turns the bytes round and binds them to what they belong to."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    async def seal(self, app: str, scope: str, aad: bytes, plaintext: bytes) -> bytes:
        self.scopes.append(scope)
        return len(aad).to_bytes(2, "big") + app.encode()[:1] + aad + plaintext[::-1]

    async def open(self, app: str, aad: bytes, sealed: bytes) -> bytes:
        head = len(aad).to_bytes(2, "big") + app.encode()[:1] + aad
        if not sealed.startswith(head):
            raise IntegrityError
        return sealed[len(head) :][::-1]

    def blind(self, app: str, text: str) -> str:
        return text[::-1]

    async def shred(self, app: str, scope: str) -> None:
        return None


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(FakeClock())


@pytest.fixture
def pets(store: MemoryStore) -> Table[Pet]:
    return Table(store, "pet", Pet, terms=lambda pet: [f"legs{pet.legs}"])


async def test_rows_are_made_read_replaced_and_deleted(pets: Table[Pet]) -> None:
    row = await pets.create(APP, "1", Pet("rex"))
    assert await pets.get(APP, "1") == row
    with pytest.raises(Conflict):
        await pets.create(APP, "1", Pet("other"))
    newer = await pets.replace(APP, row, Pet("rex", 3))
    with pytest.raises(Conflict):
        await pets.replace(APP, row, Pet("rex", 2))
    assert [found.value for found in await pets.scan(APP, term="legs3")] == [Pet("rex", 3)]
    assert await pets.scan(APP, term="legs4") == []
    assert await pets.delete(APP, "1", expect=newer.version)
    assert await pets.get(APP, "1") is None


async def test_many_changes_at_once_all_count(pets: Table[Pet]) -> None:
    await pets.create(APP, "1", Pet("octopus", 0))
    changes = (pets.change(APP, "1", lambda pet: Pet(pet.name, pet.legs + 1)) for _ in range(8))
    await asyncio.gather(*changes)
    row = await pets.get(APP, "1")
    assert row is not None
    assert row.value.legs == 8


async def test_a_change_of_nothing_is_missing_and_a_refusal_writes_nothing(
    pets: Table[Pet],
) -> None:
    with pytest.raises(Missing):
        await pets.change(APP, "none", lambda pet: pet)
    row = await pets.create(APP, "1", Pet("rex"))

    def refuse(pet: Pet) -> Pet:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await pets.change(APP, "1", refuse)
    assert await pets.get(APP, "1") == row


async def test_a_change_gives_up_after_many_conflicts(pets: Table[Pet], store: MemoryStore) -> None:
    await pets.create(APP, "1", Pet("rex"))
    tries = 0

    def disturb(pet: Pet) -> Pet:
        nonlocal tries
        tries += 1
        documents = store.meta._kinds[APP, "pet"]
        found = documents["1"]
        documents["1"] = msgspec.structs.replace(found, version=found.version + 1)
        return pet

    with pytest.raises(Conflict):
        await pets.change(APP, "1", disturb)
    assert tries == ATTEMPTS


async def test_expiry_is_kept_by_replacing_and_moved_by_extending(store: MemoryStore) -> None:
    pets = Table(store, "pet", Pet)
    row = await pets.create(APP, "1", Pet("rex"), expires=9e9)
    row = await pets.replace(APP, row, Pet("rex", 3))
    assert row.expires == 9e9
    row = await pets.extend(APP, row, row.value, None)
    found = await store.meta.get(APP, "pet", "1")
    assert found is not None
    assert found.expires is None


async def test_sealed_rows_say_nothing_and_cannot_be_moved(store: MemoryStore) -> None:
    sealer = FakeSealer()
    pets = Table(store, "pet", Pet, sealer, scope=lambda app, key, pet: f"account:{key}")
    await pets.create(APP, "1", Pet("canary"))
    await pets.create(APP, "2", Pet("other"))
    assert sealer.scopes == ["account:1", "account:2"]
    raw = store.meta._kinds[APP, "pet"]
    assert b"canary" not in raw["1"].value
    assert (await pets.scan(APP))[0].value == Pet("canary")
    raw["2"] = msgspec.structs.replace(raw["2"], value=raw["1"].value)
    with pytest.raises(IntegrityError):
        await pets.get(APP, "2")


async def test_versions_of_the_server_read_each_others_rows(store: MemoryStore) -> None:
    await Table(store, "pet", Pet).create(APP, "old", Pet("rex"))
    await Table(store, "pet", Newer).create(APP, "new", Newer("tom", tail=False))
    newer = await Table(store, "pet", Newer).get(APP, "old")
    older = await Table(store, "pet", Pet).get(APP, "new")
    assert newer is not None
    assert older is not None
    assert (newer.value, older.value) == (Newer("rex"), Pet("tom"))
