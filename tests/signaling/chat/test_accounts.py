"""Accounts' own data as a partition: who may, what is refused, two processes, and its short log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from signaling.chat import account_state, accounts, checks
from signaling.chat.account_ops import (
    AccountChange,
    AccountEntry,
    AccountOp,
    Block,
    Draft,
    Hide,
    Prefer,
    Save,
)
from signaling.chat.account_state import AccountState
from signaling.chat.bodies import Plain
from signaling.chat.ops import Erased, Void
from signaling.chat.ports import Actor, BadVersion, Below, News
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.storage.port import GENESIS
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, House

ROOM = "0192aaaa-0000-7000-8000-00000000aaaa"
AT = datetime.fromtimestamp(1_800_000_000, UTC)


def message(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def change(version: int, op: AccountOp, clock: int = 5) -> AccountChange:
    return AccountChange(version=version, clock=clock, op=op)


async def actor(house: House, name: str = "bob") -> Actor:
    return await house.chatting.people.actor(house.principal(name))


def entry(seq: int, op: Any, clock: int = 5) -> AccountEntry:
    return AccountEntry(seq=seq, ident="7", version=seq, clock=clock, at=AT, op=op)


async def test_versions_count_within_an_ident_and_a_gap_is_told(embedded: Ground) -> None:
    house = House(embedded)
    own, bob = house.chatting.accounts, await actor(house)
    heard: list[Any] = []
    own.watch(APP, "bob", heard.append)
    first = [change(1, Block(account="ann")), change(2, Prefer(typing=False))]
    done = await own.integrate(bob, "bob", "7", first)
    assert (done.cursor, done.head.seq, [e.seq for e in done.entries]) == (2, 2, [1, 2])
    again = await own.integrate(bob, "bob", "7", [*first, change(3, Prefer(typing=True))])
    assert (again.cursor, [e.seq for e in again.entries]) == (3, [3])
    with pytest.raises(BadVersion) as gap:
        await own.integrate(bob, "bob", "7", [change(5, Prefer())])
    assert gap.value.expected == 4
    assert await own.cursor(APP, "bob", "7") == 3
    # What sessions pass on without reading: entries, and the chain after the last of them.
    assert [(h.from_seq, h.to_seq, h.chain) for h in heard if isinstance(h, News)] == [
        (1, 2, await own.chain(APP, "bob", 2)), (3, 3, (await own.head(APP, "bob")).chain)
    ]  # fmt: skip
    assert await own.chain(APP, "bob", 0) == GENESIS
    assert await own.chain(APP, "bob", 4) is None
    batch = await own.read(bob, "bob", 1, 10)
    assert [e.op for e in batch.entries] == [Prefer(typing=False), Prefer(typing=True)]
    assert batch.chain == batch.head.chain


async def test_only_the_account_itself_with_its_scopes_is_let_in(embedded: Ground) -> None:
    house = House(embedded)
    own, ann = house.chatting.accounts, await actor(house, "ann")
    for refused in (
        own.may_read(ann, "bob"), own.read(ann, "bob", 0, 1), own.state(ann, "bob"),
        own.integrate(ann, "bob", "7", [change(1, Prefer(typing=False))]),
    ):  # fmt: skip
        with pytest.raises(Refused) as told:
            await refused
        assert told.value.code is Code.NOT_PERMITTED
    house.scopes = frozenset({"messages:read"})
    reader = await actor(house)
    await own.may_read(reader, "bob")
    said = [change(1, Block(account="ann")), change(2, Prefer(typing=False))]
    done = await own.integrate(reader, "bob", "7", said)
    assert [n.code for n in done.notices] == [Code.INSUFFICIENT_SCOPE] * 2
    assert [e.op for e in done.entries] == [
        Void(code="insufficient_scope", was="block"), Void(code="insufficient_scope", was="prefer")
    ]  # fmt: skip
    assert not (await own.state_of(APP, "bob")).blocks("ann")
    house.scopes = frozenset({"messages:write"})
    with pytest.raises(Refused):
        await own.may_read(await actor(house), "bob")
    writer = await actor(house)
    more = await own.integrate(writer, "bob", "7", [change(3, Block(account="ann"))])
    assert more.notices == [] and (await own.state_of(APP, "bob")).blocks("ann")


async def test_what_another_process_wrote_just_before_is_not_missed(embedded: Ground) -> None:
    """It stands in the log between what one knew and what one wrote."""
    one, other = House(embedded), House(embedded)
    mine, theirs = one.chatting.accounts, other.chatting.accounts
    bob, bob_there = await actor(one), await actor(other)
    await mine.act(bob, Block(account="ann"))
    await theirs.act(bob_there, Block(account="cy"))
    append = one.ground.store.log.append
    raced: list[int] = []

    async def slow(app: str, room: str, ops: Any) -> Any:
        if not raced:
            raced.append(1)
            await theirs.act(bob_there, Block(account="dora"))
        return await append(app, room, ops)

    one.ground.store.log.append = slow  # type: ignore[method-assign, assignment]
    try:
        await mine.act(bob, Block(account="eve"))
    finally:
        one.ground.store.log.append = append  # type: ignore[method-assign]
    held: Any = mine._held[(APP, "bob")]
    assert sorted(held.state.blocked) == ["ann", "cy", "dora", "eve"]
    assert held.state.seq == 4
    assert (await theirs.state_of(APP, "bob")).blocked == held.state.blocked


async def test_a_version_that_was_used_already_is_given_up_for_the_next(embedded: Ground) -> None:
    """Two memories of one account in a process, after one was dropped: nothing is swallowed."""
    house = House(embedded)
    own, bob = house.chatting.accounts, await actor(house)
    await own.act(bob, Block(account="ann"))
    held: Any = own._held[(APP, "bob")]
    held.rest = 0
    await own.act(bob, Block(account="cy"))
    held.rest -= 1
    await own.act(bob, Block(account="dora"))
    assert sorted((await own.state_of(APP, "bob")).blocked) == ["ann", "cy", "dora"]


async def test_accounts_leave_memory_and_come_back(
    embedded: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "MOST_ACCOUNTS", 1)
    house = House(embedded)
    own = house.chatting.accounts
    for number in range(4):
        for name in ("bob", "ann", "cy"):
            await own.act(await actor(house, name), Save(room=ROOM, id=message(number)))
    assert len(own._held) == 1
    for name in ("bob", "ann", "cy"):
        assert len((await own.state_of(APP, name)).saved) == 4


async def test_the_log_is_cut_at_the_row_which_holds_it_all(
    embedded: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "SAVE_EVERY", 5)
    house, other = House(embedded), House(embedded)
    own, bob = house.chatting.accounts, await actor(house)
    await other.chatting.accounts.state_of(APP, "bob")
    for number in range(12):
        await own.act(bob, Save(room=ROOM, id=message(number)))
    head = await own.head(APP, "bob")
    assert (head.seq, head.floor) == (12, 10)
    with pytest.raises(Below):
        await own.read(bob, "bob", 4, 10)
    assert [e.seq for e in (await own.read(bob, "bob", 10, 10)).entries] == [11, 12]
    for there in (other.chatting.accounts, House(embedded).chatting.accounts):
        assert len((await there.state_of(APP, "bob")).saved) == 12


async def test_a_row_that_cannot_be_written_fails_nobodys_change(
    embedded: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "SAVE_EVERY", 2)
    house = House(embedded)
    own, bob = house.chatting.accounts, await actor(house)
    put = embedded.store.meta.put

    async def away(app: str, kind: str, *rest: Any, **more: Any) -> int:
        if kind == accounts.KIND:
            raise Unavailable("away")
        return await put(app, kind, *rest, **more)

    embedded.store.meta.put = away  # type: ignore[method-assign]
    for number in range(4):
        await own.act(bob, Save(room=ROOM, id=message(number)))
    assert (await own.head(APP, "bob")).floor == 0
    embedded.store.meta.put = put  # type: ignore[method-assign]
    await own.act(bob, Save(room=ROOM, id=message(9)))
    assert (await own.head(APP, "bob")).floor == 5


async def test_a_row_never_grows_beyond_what_the_store_takes(
    embedded: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "SAVE_EVERY", 3)
    monkeypatch.setattr(accounts, "MOST_BYTES", 6000)
    house = House(embedded)
    own, bob = house.chatting.accounts, await actor(house)
    drafts = [Draft(room=message(n), body=Plain(text="x" * 1500)) for n in range(6)]
    for op in drafts:
        await own.act(bob, op)
    with pytest.raises(ClientError) as full:
        await own.act(bob, Save(room=ROOM, id=message(1)))
    assert full.value.code is Code.CONFLICT
    done = await own.integrate(
        bob, "bob", "7", [change(1, drafts[0]), change(2, Prefer(typing=False))]
    )
    assert [n.version for n in done.notices] == [1]
    for n in range(4):
        await own.act(bob, Draft(room=message(n)))
    await own.act(bob, Save(room=ROOM, id=message(1)))
    head = await own.head(APP, "bob")
    assert head.seq - head.floor < 3


async def test_a_restored_store_is_believed(memory: Ground) -> None:
    """The night before: what was done since is not remembered by the process either."""
    house = House(memory)
    own, bob = house.chatting.accounts, await actor(house)
    await own.act(bob, Block(account="ann"))
    log: Any = memory.store.log
    (kept,) = (room for name, room in log._rooms.items() if name == (APP, "@bob"))
    ops, cursors, chain = list(kept.ops), dict(kept.cursors), kept.chain
    await own.act(bob, Block(account="cy"))
    kept.ops, kept.cursors, kept.chain = ops, cursors, chain
    assert sorted((await own.state_of(APP, "bob")).blocked) == ["ann"]
    await own.act(bob, Block(account="dora"))
    assert sorted((await own.state_of(APP, "bob")).blocked) == ["ann", "dora"]


async def test_what_was_erased_keeps_its_place(embedded: Ground) -> None:
    house = House(embedded)
    own, bob = house.chatting.accounts, await actor(house)
    for account in ("ann", "cy"):
        await own.act(bob, Block(account=account))
    await embedded.store.log.erase(APP, "@bob", [1])
    batch = await own.read(bob, "bob", 0, 10)
    assert [(e.seq, type(e.op)) for e in batch.entries] == [(1, Erased), (2, Block)]
    fresh = House(embedded).chatting.accounts
    assert sorted((await fresh.state_of(APP, "bob")).blocked) == ["cy"]


def test_a_full_list_still_takes_changes_of_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (checks, account_state):
        monkeypatch.setattr(module, "MOST_DRAFTS", 3)
    monkeypatch.setattr(checks, "MOST_HIDDEN", 1)
    state = AccountState()
    for seq in range(1, 4):
        state.apply(entry(seq, Draft(room=message(seq), body=Plain(text="x"))))
    fourth = Draft(room=message(4), body=Plain(text="x"))
    with pytest.raises(ClientError) as full:
        checks.check_account(state, fourth)
    assert full.value.code is Code.CONFLICT
    given_up = Draft(room=message(2))
    checks.check_account(state, given_up)
    state.apply(entry(4, given_up, clock=6))
    checks.check_account(state, fourth)
    state.apply(entry(5, fourth))
    # Of those that were given up the oldest made place; nothing that says something did.
    assert [one.draft.room for one in state.drafts.values()] == [message(n) for n in (1, 3, 4)]
    state.apply(entry(6, Hide(room=ROOM, id=message(1))))
    checks.check_account(state, Hide(room=ROOM, id=message(1)))
    with pytest.raises(ClientError):
        checks.check_account(state, Hide(room=ROOM, id=message(2)))


def test_an_older_change_does_not_bring_back_what_was_given_up() -> None:
    state = AccountState()
    state.apply(entry(1, Draft(room=ROOM), clock=9))
    state.apply(entry(2, Draft(room=ROOM, body=Plain(text="late")), clock=8))
    assert [one.draft.body for one in state.drafts.values()] == [None]
