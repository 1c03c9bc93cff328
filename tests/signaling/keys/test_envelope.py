"""Sealing: what opens, what does not, and what an outage, a rotation and a shredding change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signaling.errors import Unavailable
from signaling.keys.envelope import Policy
from signaling.keys.header import OVERHEAD, parse
from signaling.keys.port import IntegrityError, KeyDestroyed, UnknownKey, bind
from tests.signaling.keys.rig import Rig

AAD = bind("one", "account", "a1")


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    return await Rig(tmp_path / "kek").start()


async def test_a05_what_was_sealed_opens_and_shows_nothing(rig: Rig) -> None:
    canary = b"canary-5f2c@example.org"
    sealed = await rig.envelope.seal("one", "meta", AAD, canary)
    again = await rig.envelope.seal("one", "meta", AAD, canary)
    assert canary not in sealed and sealed != again and len(sealed) == len(canary) + OVERHEAD
    assert await rig.envelope.open("one", AAD, sealed) == canary
    assert await rig.another().open("one", AAD, again) == canary
    assert parse(sealed).nonce != parse(again).nonce


@pytest.mark.parametrize(
    "aad",
    [
        bind("one", "account", "a2"),
        bind("one", "session", "a1"),
        bind("two", "account", "a1"),
        bind("one", "account", "a1", schema=2),
        bind("one", "accounta", "1"),
    ],
)
async def test_a06_a_moved_value_does_not_open(rig: Rig, aad: bytes) -> None:
    sealed = await rig.envelope.seal("one", "meta", AAD, b"x")
    with pytest.raises(IntegrityError) as caught:
        await rig.envelope.open("one", aad, sealed)
    assert caught.value.status == 500
    assert rig.audit.events[-1].action == "keys.integrity"
    assert rig.audit.events[-1].code == "integrity_error"


async def test_a06_another_app_does_not_have_the_key(rig: Rig) -> None:
    sealed = await rig.envelope.seal("one", "meta", AAD, b"x")
    await rig.envelope.seal("two", "meta", AAD, b"x")
    with pytest.raises(UnknownKey):
        await rig.envelope.open("two", AAD, sealed)


async def test_a05_every_flipped_byte_is_noticed_and_audited(rig: Rig) -> None:
    sealed = await rig.envelope.seal("one", "meta", AAD, b"attack at dawn")
    for place in range(len(sealed)):
        before = len(rig.audit.events)
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises((IntegrityError, UnknownKey)):
            await rig.envelope.open("one", AAD, changed)
        assert "keys.integrity" in {event.action for event in rig.audit.events[before:]}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.binary(max_size=200))
def test_a05_garbage_never_opens(tmp_path: Path, garbage: bytes) -> None:
    async def attempt() -> None:
        rig = await Rig(tmp_path / "kek").start()
        with pytest.raises((IntegrityError, UnknownKey)):
            await rig.envelope.open("one", AAD, garbage)

    asyncio.run(attempt())


async def test_a12_an_outage_of_the_kms_is_bridged_for_its_time_and_then_fails_closed(
    rig: Rig,
) -> None:
    sealed = await rig.envelope.seal("one", "room:r", AAD, b"x")
    rig.kms.down = True
    rig.clock.advance(299)
    assert await rig.envelope.open("one", AAD, sealed) == b"x"
    await rig.envelope.seal("one", "room:r", AAD, b"y")
    with pytest.raises(Unavailable):
        await rig.envelope.seal("one", "room:new", AAD, b"x")
    rig.clock.advance(2)
    with pytest.raises(Unavailable):
        await rig.envelope.open("one", AAD, sealed)
    asked = len(rig.kms.calls)
    with pytest.raises(Unavailable):
        await rig.envelope.seal("one", "room:r", AAD, b"x")
    assert len(rig.kms.calls) == asked  # a KMS that is away is not asked by everybody
    rig.kms.down = False
    rig.clock.advance(1)
    assert await rig.envelope.open("one", AAD, sealed) == b"x"


async def test_a12_a_key_in_use_is_fetched_again_before_its_time_ends(rig: Rig) -> None:
    sealed = await rig.envelope.seal("one", "room:r", AAD, b"x")
    rig.clock.advance(160)
    await rig.envelope.open("one", AAD, sealed)
    for _ in range(20):
        await asyncio.sleep(0)
    rig.kms.down = True
    rig.clock.advance(200)
    assert await rig.envelope.open("one", AAD, sealed) == b"x"


async def test_no_key_lies_in_memory_beyond_its_time(rig: Rig) -> None:
    await rig.envelope.seal("one", "room:r", AAD, b"x")
    assert rig.envelope.cached == 1
    rig.clock.advance(301)
    rig.envelope.sweep()
    assert rig.envelope.cached == 0


async def test_many_at_once_make_one_key(rig: Rig) -> None:
    other = rig.another()
    sealers = (rig.envelope, other)
    values = await asyncio.gather(
        *(sealers[i % 2].seal("one", "room:r", AAD, b"x") for i in range(100))
    )
    assert len({parse(value).key for value in values}) == 1
    keys = await rig.table.get("one", parse(values[0]).key.hex())
    assert keys is not None and len(keys.versions) == 1
    assert rig.kms.calls.count("wrap") <= 1 + 1 + 2  # the probe, the blind key, one a process


async def test_shredding_ends_a_scope_for_good(rig: Rig) -> None:
    other = rig.another()
    sealed = await other.seal("one", "account:a", AAD, b"x")
    kept = await rig.envelope.seal("one", "account:b", AAD, b"x")
    await rig.envelope.shred("one", "account:a")
    with pytest.raises(KeyDestroyed) as caught:
        await rig.envelope.open("one", AAD, sealed)
    assert caught.value.status == 410
    with pytest.raises(KeyDestroyed):
        await rig.envelope.seal("one", "account:a", AAD, b"x")
    assert await rig.envelope.open("one", AAD, kept) == b"x"
    rig.clock.advance(301)
    with pytest.raises(KeyDestroyed):
        await other.open("one", AAD, sealed)
    await rig.envelope.shred("one", "account:never")
    with pytest.raises(KeyDestroyed):
        await rig.envelope.seal("one", "account:never", AAD, b"x")
    assert ("keys.shred", "allowed") in rig.audit.actions()


async def test_a_key_is_replaced_by_age_and_by_uses(tmp_path: Path) -> None:
    policy = Policy(renew_uses=10, report_uses=4, renew_seconds=1000)
    rig = await Rig(tmp_path, policy).start()
    versions = [
        parse(await rig.envelope.seal("one", "room:r", AAD, b"x")).version for _ in range(25)
    ]
    assert versions == [1] * 10 + [2] * 10 + [3] * 5
    rig.clock.advance(1001)
    assert parse(await rig.envelope.seal("one", "room:r", AAD, b"x")).version == 4


async def test_a_worn_key_goes_on_through_an_outage(tmp_path: Path) -> None:
    rig = await Rig(tmp_path, Policy(renew_uses=10, report_uses=4)).start()
    for _ in range(10):
        await rig.envelope.seal("one", "room:r", AAD, b"x")
    rig.kms.down = True
    for _ in range(10):
        await rig.envelope.seal("one", "room:r", AAD, b"x")
    with pytest.raises(Unavailable):
        await rig.envelope.seal("one", "room:r", AAD, b"x")


async def test_blind_terms_are_equal_within_an_app_and_lead_nowhere(rig: Rig) -> None:
    other = rig.another()
    await other.start()
    term = rig.envelope.blind("one", "ada")
    assert term == other.blind("one", "ada") and len(term) == 43
    assert term != rig.envelope.blind("two", "ada") != rig.envelope.blind("one", "Ada")
    with pytest.raises(Unavailable):
        rig.another().blind("one", "ada")


async def test_a12_a_changed_wrapped_key_raises_and_is_audited(rig: Rig) -> None:
    sealed = await rig.envelope.seal("one", "room:r", AAD, b"x")
    key = parse(sealed).key.hex()
    document = await rig.store.meta.get("one", "key", key)
    assert document is not None
    wrapped = (await rig.table.get("one", key)).versions[0].wrapped  # type: ignore[union-attr]
    changed = document.value.replace(wrapped, wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    await rig.store.meta.put("one", "key", key, changed, expect=document.version)
    with pytest.raises(IntegrityError):
        await rig.another().open("one", AAD, sealed)
    assert ("keys.unwrap", "failed") in rig.audit.actions()
    assert ("keys.integrity", "failed") in rig.audit.actions()


async def test_a06_a_key_row_in_anothers_place_is_noticed(rig: Rig) -> None:
    first = parse(await rig.envelope.seal("one", "room:a", AAD, b"x")).key.hex()
    sealed = await rig.envelope.seal("one", "room:b", AAD, b"x")
    second = parse(sealed).key.hex()
    stolen, there = [await rig.store.meta.get("one", "key", key) for key in (first, second)]
    assert stolen is not None and there is not None
    await rig.store.meta.put("one", "key", second, stolen.value, expect=there.version)
    with pytest.raises(IntegrityError):
        await rig.another().open("one", AAD, sealed)
