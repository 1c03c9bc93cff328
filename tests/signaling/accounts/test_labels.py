"""Operators' ids and tags: what a crash leaves behind, and what lies in the store."""

from __future__ import annotations

import asyncio

import pytest

from signaling.accounts.labels import Wanted
from signaling.accounts.registry import ABANDONED
from signaling.errors import ClientError, Code
from signaling.storage.port import Store
from tests.signaling.accounts.rig import APP, Rig


async def test_an_id_that_a_crash_left_claimed_is_free_after_a_minute(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await rig.invited("ann"), await rig.invited("bob")
    labels, registry = rig.service.labels, rig.registry

    async def died(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(registry, "change", died)
        with pytest.raises(asyncio.CancelledError):
            await labels.set(APP, ann.id, "7", ())
    wanted = Wanted(external_id="7")
    assert await labels.page(APP, wanted, "", 10) == [], "the account does not say so"
    with pytest.raises(ClientError) as taken:
        await labels.set(APP, bob.id, "7", ())
    assert taken.value.status == 409
    rig.clock.advance(ABANDONED + 1)
    await labels.set(APP, bob.id, "7", ())
    assert [one.id for one in await labels.page(APP, wanted, "", 10)] == [bob.id]
    # Whoever was too slow does not take it back.
    with pytest.raises(ClientError):
        await labels.set(APP, ann.id, "7", ())


async def test_an_id_of_an_account_that_is_gone_in_the_same_moment_stays_free(rig: Rig) -> None:
    ann, bob = await rig.invited("ann"), await rig.invited("bob")
    await rig.registry.forget(APP, ann)
    with pytest.raises(ClientError) as gone:
        await rig.service.labels.set(APP, ann.id, "7", ())
    assert gone.value.status == 404
    await rig.service.labels.set(APP, bob.id, "7", ())


async def test_an_id_is_kept_when_a_later_change_is_refused(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await rig.invited("ann"), await rig.invited("bob")
    labels = rig.service.labels
    await labels.set(APP, ann.id, "7", ())

    async def refused(*_: object) -> None:
        raise ClientError(Code.CONFLICT, 409, "changed too fast")

    with monkeypatch.context() as patched:
        patched.setattr(rig.registry, "change", refused)
        with pytest.raises(ClientError):
            await labels.set(APP, ann.id, "7", ("new",))
    with pytest.raises(ClientError) as taken:
        await labels.set(APP, bob.id, "7", ())
    assert taken.value.status == 409


async def test_neither_ids_nor_tags_can_be_read_in_the_store(rig: Rig) -> None:
    ann = await rig.invited("ann")
    await rig.service.labels.set(APP, ann.id, "customer-4711", ("payer-tag",))
    store: Store = rig.store
    for kind in ("account", "account_claim"):
        for document in await store.meta.scan(APP, kind):
            kept = document.key.encode() + document.value + repr(document).encode()
            assert b"4711" not in kept and b"payer" not in kept
    term = rig.tables.tag_term(APP, "payer-tag")
    found = await store.meta.scan(APP, "account", term=term)
    assert [one.key for one in found] == [ann.id]
    assert rig.tables.tag_term("another", "payer-tag") != term
