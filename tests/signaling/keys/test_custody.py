"""The life of a key, who may change it, and the two people that its end takes."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import MappingProxyType

import pytest

from signaling.accounts.principal import Role
from signaling.bus.local import LocalBus
from signaling.errors import ClientError, Refused, Unavailable
from signaling.keys import lifecycle
from signaling.keys.header import parse
from signaling.keys.hints import KeyHints
from signaling.keys.keeper import Keeper
from signaling.keys.lifecycle import FOLLOWS, KeySet, State, Version
from signaling.keys.permissions import (
    DEFAULTS,
    OPERATOR,
    Actor,
    Permission,
    permissions_of,
)
from signaling.keys.port import (
    INSTALLATION,
    IntegrityError,
    KeyDestroyed,
    KeyInactive,
    UnknownKey,
    bind,
)
from signaling.keys.table import MASTER_ID, key_id
from tests.signaling.keys.rig import Rig

AAD = bind("one", "account", "a1")
ALL = frozenset(Permission)
ADA, BOB = Actor("account:ada", ALL), Actor("account:bob", ALL)


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    return await Rig(tmp_path / "kek").start()


def keys_in(state: State) -> KeySet:
    version = Version(number=1, state=state, created=0, changed=0, wrapped=b"w", master=1)
    return KeySet(id="k", app="one", scope="meta", versions=(version,))


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_a12_every_step_of_the_life_follows_the_table(before: State, after: State) -> None:
    allowed = {
        (State.PRE_ACTIVE, State.ACTIVE), (State.PRE_ACTIVE, State.DISABLED),
        (State.ACTIVE, State.DECRYPT_ONLY), (State.ACTIVE, State.DISABLED),
        (State.DECRYPT_ONLY, State.DISABLED), (State.DISABLED, State.DECRYPT_ONLY),
        (State.DISABLED, State.SCHEDULED), (State.SCHEDULED, State.DISABLED),
        (State.SCHEDULED, State.DESTROYED),
    }  # fmt: skip
    assert (after in FOLLOWS[before]) is ((before, after) in allowed)
    if (before, after) in allowed:
        moved = lifecycle.move(keys_in(before), 1, after, 5.0).version(1)
        assert moved.state is after and moved.changed == 5.0
        assert bool(moved.wrapped) is (after is not State.DESTROYED)
        return
    with pytest.raises(ClientError) as caught:
        lifecycle.move(keys_in(before), 1, after, 5.0)
    assert caught.value.status == (410 if before is State.DESTROYED else 409)


@pytest.mark.parametrize("state", list(State))
def test_a12_only_active_writes_and_only_two_states_read(state: State) -> None:
    keys = keys_in(state)
    if state is State.ACTIVE:
        assert lifecycle.writable(keys) == keys.versions[0]
    else:
        with pytest.raises(KeyDestroyed if state is State.DESTROYED else KeyInactive):
            lifecycle.writable(keys)
    if state in (State.ACTIVE, State.DECRYPT_ONLY):
        assert lifecycle.readable(keys.versions[0])
    else:
        with pytest.raises(KeyDestroyed if state is State.DESTROYED else KeyInactive):
            lifecycle.readable(keys.versions[0])


async def sealed_twice(rig: Rig) -> tuple[str, bytes, bytes]:
    """A key's id, and what its versions 1 and 2 sealed."""
    first = await rig.envelope.seal("one", "room:r", AAD, b"first")
    key = parse(first).key.hex()
    await rig.custodian.rotate_data(ADA, "one", key)
    return key, first, await rig.envelope.seal("one", "room:r", AAD, b"second")


async def test_a12_after_a_rotation_new_writes_use_version_2_and_old_ones_open(rig: Rig) -> None:
    key, first, second = await sealed_twice(rig)
    assert (parse(first).version, parse(second).version) == (1, 2)
    assert await rig.envelope.open("one", AAD, first) == b"first"
    states = [v.state for v in (await rig.custodian.describe("one", key)).versions]
    assert states == [State.DECRYPT_ONLY, State.ACTIVE]


async def test_a12_a_disabled_version_is_unreadable_and_the_other_is_fine(rig: Rig) -> None:
    key, first, second = await sealed_twice(rig)
    await rig.custodian.disable(ADA, "one", key, 1)
    with pytest.raises(KeyInactive):
        await rig.envelope.open("one", AAD, first)
    assert await rig.envelope.open("one", AAD, second) == b"second"
    await rig.custodian.enable(BOB, "one", key, 1)
    assert await rig.envelope.open("one", AAD, first) == b"first"


async def test_a12_a_version_waits_until_it_is_activated(rig: Rig) -> None:
    first = await rig.envelope.seal("one", "room:r", AAD, b"x")
    key = parse(first).key.hex()
    await rig.custodian.generate(ADA, "one", key)
    assert parse(await rig.envelope.seal("one", "room:r", AAD, b"x")).version == 1
    await rig.custodian.activate(ADA, "one", key, 2)
    assert parse(await rig.envelope.seal("one", "room:r", AAD, b"x")).version == 2


async def test_a12_an_active_key_that_is_disabled_takes_no_writes(rig: Rig) -> None:
    sealed = await rig.envelope.seal("one", "room:r", AAD, b"x")
    key = parse(sealed).key.hex()
    await rig.custodian.disable(ADA, "one", key, 1)
    with pytest.raises(KeyInactive):
        await rig.envelope.seal("one", "room:r", AAD, b"x")


async def test_a13_destruction_takes_two_people_and_the_waiting_time(rig: Rig) -> None:
    key, first, second = await sealed_twice(rig)
    with pytest.raises(ClientError) as caught:
        await rig.custodian.schedule(ADA, "one", key, 1)
    assert caught.value.status == 409  # not disabled yet
    await rig.custodian.disable(ADA, "one", key, 1)
    scheduled = await rig.custodian.schedule(ADA, "one", key, 1)
    assert scheduled.version(1).due == rig.clock.unix() + 3600
    with pytest.raises(ClientError) as caught:
        await rig.custodian.approve(ADA, "one", key, 1)
    assert (caught.value.status, caught.value.code) == (409, "second_approver_needed")
    approved = await rig.custodian.approve(BOB, "one", key, 1)
    assert approved.version(1).state is State.SCHEDULED
    assert await rig.custodian.sweep() == 0
    rig.clock.advance(3601)
    assert await rig.custodian.sweep() == 1
    gone = (await rig.custodian.describe("one", key)).version(1)
    assert gone.state is State.DESTROYED and gone.wrapped == b""
    with pytest.raises(KeyDestroyed) as destroyed:
        await rig.envelope.open("one", AAD, first)
    assert (destroyed.value.status, destroyed.value.code) == (410, "key_destroyed")
    assert await rig.envelope.open("one", AAD, second) == b"second"
    assert ("keys.destroy", "allowed") in rig.audit.actions()
    assert ("keys.approve", "failed") in rig.audit.actions()


async def test_a13_without_a_second_person_nothing_is_destroyed(rig: Rig) -> None:
    key, first, _ = await sealed_twice(rig)
    await rig.custodian.disable(ADA, "one", key, 1)
    await rig.custodian.schedule(ADA, "one", key, 1)
    rig.clock.advance(10 * 86400)
    assert await rig.custodian.sweep() == 0
    await rig.custodian.cancel(ADA, "one", key, 1)
    await rig.custodian.enable(ADA, "one", key, 1)
    assert await rig.envelope.open("one", AAD, first) == b"first"


async def test_a13_cancelling_takes_back_the_approval_too(rig: Rig) -> None:
    key, _, _ = await sealed_twice(rig)
    await rig.custodian.disable(ADA, "one", key, 1)
    await rig.custodian.schedule(ADA, "one", key, 1)
    await rig.custodian.approve(BOB, "one", key, 1)
    await rig.custodian.cancel(BOB, "one", key, 1)
    await rig.custodian.schedule(BOB, "one", key, 1)
    rig.clock.advance(3601)
    assert await rig.custodian.sweep() == 0
    with pytest.raises(ClientError):
        await rig.custodian.approve(BOB, "one", key, 1)


VERBS = MappingProxyType(
    {
        "rotate": Permission.GENERATE,
        "generate": Permission.GENERATE,
        "activate": Permission.GENERATE,
        "disable": Permission.REVOKE,
        "enable": Permission.REVOKE,
        "schedule": Permission.REVOKE,
        "approve": Permission.REVOKE,
        "cancel": Permission.REVOKE,
        "rewrap": Permission.USE,
    }
)


async def attempt(rig: Rig, actor: Actor, verb: str, key: str) -> None:
    custodian = rig.custodian
    if verb == "rotate":
        await custodian.rotate_data(actor, "one", key)
        await custodian.rotate_master(actor)
    elif verb == "generate":
        await custodian.generate(actor, "one", key)
    elif verb == "rewrap":
        await custodian.rewrap(actor, rig.rewrap)
    else:
        await getattr(custodian, verb)(actor, "one", key, 1)


@pytest.mark.parametrize(("role", "verb"), list(itertools.product(Role, VERBS)))
async def test_a13_each_role_may_what_its_permissions_say(rig: Rig, role: Role, verb: str) -> None:
    key, _, _ = await sealed_twice(rig)
    if verb in ("enable", "schedule", "approve", "cancel"):
        await rig.custodian.disable(ADA, "one", key, 1)
    if verb in ("approve", "cancel"):
        await rig.custodian.schedule(ADA, "one", key, 1)
    if verb == "activate":
        await rig.custodian.generate(ADA, "one", key)
    actor = Actor(f"account:{role}", permissions_of({role}))
    before = await rig.custodian.describe("one", key)
    if VERBS[verb] in actor.permissions:
        if verb == "activate":
            await rig.custodian.activate(actor, "one", key, 3)
        else:
            await attempt(rig, actor, verb, key)
        ours = [event for event in rig.audit.events if event.actor == actor.name]
        assert ours and all(event.result == "allowed" for event in ours)
        return
    with pytest.raises(Refused) as caught:
        await attempt(rig, actor, verb, key)
    assert caught.value.status == 403
    last = rig.audit.events[-1]
    assert (last.actor, last.result, last.code) == (actor.name, "denied", "not_permitted")
    assert await rig.custodian.describe("one", key) == before


def test_a13_no_role_holds_all_permissions() -> None:
    assert set(DEFAULTS) == set(Role)
    assert not [role for role, held in DEFAULTS.items() if held == ALL]
    assert Permission.REVOKE not in OPERATOR.permissions


async def test_a12_an_unknown_key_is_422(rig: Rig) -> None:
    for verb in ("disable", "activate", "schedule"):
        with pytest.raises(UnknownKey) as caught:
            await getattr(rig.custodian, verb)(ADA, "one", "0" * 32, 1)
        assert (caught.value.status, caught.value.code) == (422, "key_unknown")
    key, _, _ = await sealed_twice(rig)
    with pytest.raises(UnknownKey):
        await rig.custodian.disable(ADA, "one", key, 9)
    with pytest.raises(UnknownKey):
        await rig.custodian.disable(ADA, "two", key, 1)


async def test_a12_moving_to_a_new_master_finishes_and_frees_the_old_one(rig: Rig) -> None:
    for number in range(100):
        await rig.envelope.seal("one", f"room:{number}", AAD, b"x")
    sealed = await rig.envelope.seal("two", "meta", AAD, b"x")
    made = await rig.custodian.rotate_master(ADA)
    assert made.number == 2
    await rig.envelope.seal("one", "room:new", AAD, b"x")
    before = {m.version.number: m.wraps for m in await rig.custodian.masters()}
    assert before[1] >= 102 and before[2] == 1
    await rig.custodian.disable(ADA, INSTALLATION, MASTER_ID, 1)
    await rig.custodian.enable(ADA, INSTALLATION, MASTER_ID, 1)
    moved = await rig.rewrap.run()
    assert moved.done >= 102 and moved.failed == 0
    assert (await rig.rewrap.run()).done == 0
    after = {m.version.number: m.wraps for m in await rig.custodian.masters()}
    assert after[1] == 0 and after[2] >= 103
    await rig.custodian.disable(ADA, INSTALLATION, MASTER_ID, 1)
    assert await rig.envelope.open("two", AAD, sealed) == b"x"


async def test_a12_a_disabled_master_locks_what_it_wraps(rig: Rig) -> None:
    sealed = await rig.envelope.seal("one", "room:r", AAD, b"x")
    await rig.custodian.rotate_master(ADA)
    await rig.custodian.disable(ADA, INSTALLATION, MASTER_ID, 1)
    with pytest.raises(KeyInactive):
        await rig.envelope.open("one", AAD, sealed)
    fresh = await rig.envelope.seal("one", "room:s", AAD, b"y")
    assert await rig.envelope.open("one", AAD, fresh) == b"y"
    assert (await rig.rewrap.run()).failed >= 1


async def test_a12_a_master_that_wraps_something_cannot_be_destroyed(rig: Rig) -> None:
    await rig.envelope.seal("one", "room:r", AAD, b"x")
    await rig.custodian.rotate_master(ADA)
    await rig.custodian.disable(ADA, INSTALLATION, MASTER_ID, 1)
    with pytest.raises(ClientError) as caught:
        await rig.custodian.schedule(ADA, INSTALLATION, MASTER_ID, 1)
    assert (caught.value.status, caught.value.code) == (409, "key_in_use")
    await rig.custodian.enable(ADA, INSTALLATION, MASTER_ID, 1)
    await rig.rewrap.run()
    await rig.custodian.disable(ADA, INSTALLATION, MASTER_ID, 1)
    await rig.custodian.schedule(ADA, INSTALLATION, MASTER_ID, 1)
    await rig.custodian.approve(BOB, INSTALLATION, MASTER_ID, 1)
    rig.clock.advance(3601)
    await Keeper(rig.envelope, rig.custodian, rig.rewrap).round()
    register = await rig.custodian.describe(INSTALLATION, MASTER_ID)
    assert [v.state for v in register.versions] == [State.DESTROYED, State.ACTIVE]
    assert (rig.directory / "sotto-1.key").read_bytes() == b"destroyed\n"
    assert ("keys.destroy_master", "allowed") in rig.audit.actions()


async def test_the_installations_own_keys_are_not_destroyed(rig: Rig) -> None:
    key = key_id(INSTALLATION, "blind").hex()
    await rig.custodian.rotate_data(ADA, INSTALLATION, key)
    await rig.custodian.disable(ADA, INSTALLATION, key, 1)
    with pytest.raises(ClientError) as caught:
        await rig.custodian.schedule(ADA, INSTALLATION, key, 1)
    assert caught.value.code == "key_in_use"


async def test_a13_an_act_that_cannot_be_recorded_does_not_take_place(rig: Rig) -> None:
    key, _, _ = await sealed_twice(rig)
    before = await rig.custodian.describe("one", key)

    async def away(event: object) -> None:
        raise Unavailable("The audit cannot be written.")

    rig.audit.record = away  # type: ignore[method-assign]
    for attempt_ in (
        rig.custodian.disable(ADA, "one", key, 1),
        rig.custodian.rotate_data(ADA, "one", key),
        rig.custodian.rotate_master(ADA),
    ):
        with pytest.raises(Unavailable):
            await attempt_
    assert await rig.custodian.describe("one", key) == before


async def test_a12_other_processes_forget_at_a_hint(rig: Rig) -> None:
    bus = LocalBus(rig.clock)
    other = rig.another()
    hints, heard = KeyHints(bus, rig.envelope), KeyHints(bus, other)
    rig.custodian.announce = hints.announce
    key, first, _ = await sealed_twice(rig)
    assert await other.open("one", AAD, first) == b"first"
    await rig.custodian.disable(ADA, "one", key, 1)
    await bus.publish("keys", b"nonsense")
    import asyncio

    for _ in range(10):
        await asyncio.sleep(0)
    with pytest.raises(KeyInactive):
        await other.open("one", AAD, first)
    hints.close()
    heard.close()


async def test_a12_a_wrapped_key_moved_between_versions_does_not_unwrap(rig: Rig) -> None:
    key, first, _ = await sealed_twice(rig)
    keys = await rig.custodian.describe("one", key)
    one, two = keys.versions
    from msgspec.structs import replace

    swapped = replace(
        keys,
        versions=(replace(one, wrapped=two.wrapped), replace(two, wrapped=one.wrapped)),
    )
    await rig.table.change("one", key, lambda before: swapped)
    with pytest.raises(IntegrityError):
        await rig.another().open("one", AAD, first)
