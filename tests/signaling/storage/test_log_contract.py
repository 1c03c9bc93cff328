"""Op logs: contiguous, exactly once, paged, purged, erased; and blobs."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from signaling.clock import FakeClock
from signaling.storage.port import (
    GENESIS,
    MAX_BATCH,
    MAX_BODY,
    MAX_VERSION,
    Appended,
    Conflict,
    Head,
    NewOp,
    Op,
    Store,
    digest_of,
    link,
)
from tests.signaling.storage.places import Place

A, B, ROOM = "app-a", "app-b", "room"


def ops(*pairs: tuple[str, int]) -> list[NewOp]:
    return [NewOp(ident, version, f"{ident}{version}".encode()) for ident, version in pairs]


async def fill(store: Store, count: int, room: str = ROOM) -> None:
    await store.log.append(A, room, ops(*(("i", n + 1) for n in range(count))))


def seqs(found: list[Op]) -> list[int]:
    return [op.seq for op in found]


def check_chain(found: list[Op], chain: bytes = GENESIS) -> bytes:
    for op in found:
        chain = link(chain, op.ident, op.version, digest_of(op))
        assert op.chain == chain
    return chain


async def test_ops_are_numbered_from_one_without_gaps(store: Store) -> None:
    assert await store.log.head(A, ROOM) == Head()
    answers = await store.log.append(A, ROOM, ops(("a", 1), ("b", 5), ("a", 2)))
    assert answers == [Appended(1), Appended(2), Appended(3)]
    found = await store.log.read(A, ROOM, after=0, limit=10)
    assert [(op.seq, op.ident, op.version, op.body) for op in found] == [
        (1, "a", 1, b"a1"),
        (2, "b", 5, b"b5"),
        (3, "a", 2, b"a2"),
    ]
    head = await store.log.head(A, ROOM)
    assert head == Head(3, check_chain(found), 0)
    for number in (found[1].version, head.seq, await store.log.cursor(A, ROOM, "b")):
        assert type(number) is int  # a driver's own kind of number cannot be encoded


async def test_a_repeated_op_is_a_duplicate(store: Store) -> None:
    await store.log.append(A, ROOM, ops(("a", 1), ("a", 3)))
    repeated = await store.log.append(A, ROOM, ops(("a", 3), ("a", 1), ("a", 2), ("a", 4)))
    assert repeated == [
        Appended(2, duplicate=True),
        Appended(0, duplicate=True),
        Appended(0, duplicate=True),
        Appended(3),
    ]
    assert seqs(await store.log.read(A, ROOM, after=0, limit=10)) == [1, 2, 3]
    assert await store.log.cursor(A, ROOM, "a") == 4
    assert await store.log.cursor(A, ROOM, "b") == 0
    assert await store.log.append(A, ROOM, []) == []


async def test_one_batch_may_repeat_itself(store: Store) -> None:
    answers = await store.log.append(A, ROOM, ops(("a", 1), ("a", 1), ("b", 1)))
    assert answers == [Appended(1), Appended(1, duplicate=True), Appended(2)]


async def test_idents_count_for_themselves_in_each_room_and_app(store: Store) -> None:
    for app, room in ((A, ROOM), (A, "other"), (B, ROOM)):
        assert await store.log.append(app, room, ops(("a", 1))) == [Appended(1)]
    await store.log.append(B, ROOM, ops(("a", 2)))
    assert (await store.log.head(A, ROOM)).seq == 1
    assert await store.log.cursor(A, "other", "a") == 1


async def test_concurrent_writers_leave_no_gap_and_no_double(store: Store) -> None:
    async def write(ident: str) -> list[int]:
        given = []
        for n in range(20):
            (answer,) = await store.log.append(A, ROOM, ops((ident, n + 1)))
            assert not answer.duplicate
            given.append(answer.seq)
        return given

    per_writer = await asyncio.gather(*(write(f"w{n}") for n in range(10)))
    assert sorted(seq for given in per_writer for seq in given) == list(range(1, 201))
    assert all(given == sorted(given) for given in per_writer)
    found = await store.log.read(A, ROOM, after=0, limit=1000)
    assert seqs(found) == list(range(1, 201))
    check_chain(found)


async def test_who_expects_the_newest_op_appends_behind_it_or_nothing(store: Store) -> None:
    log = store.log
    with pytest.raises(Conflict):
        await log.append(A, ROOM, ops(("a", 1)), expect=4)  # a room that is not there yet
    assert await log.append(A, ROOM, ops(("a", 1), ("a", 2)), expect=0) == [
        Appended(1),
        Appended(2),
    ]
    for missed in (0, 1, 3):
        with pytest.raises(Conflict):
            await log.append(A, ROOM, ops(("b", 1), ("a", 3)), expect=missed)
    assert (await log.head(A, ROOM)).seq == 2
    assert (await log.cursor(A, ROOM, "a"), await log.cursor(A, ROOM, "b")) == (2, 0)
    assert await log.append(A, ROOM, ops(("b", 1)), expect=2) == [Appended(3)]
    # What is there already is answered again, wherever the room ends now.
    again = await log.append(A, ROOM, ops(("b", 1)), expect=2)
    assert again == [Appended(3, duplicate=True)]
    check_chain(await log.read(A, ROOM, after=0, limit=10))


async def test_of_many_who_expect_the_same_one_appends(store: Store) -> None:
    """Also while others write there who expect nothing."""
    await fill(store, 3)

    async def behind(place: int) -> list[Appended] | Conflict:
        try:
            return await store.log.append(A, ROOM, ops((f"w{place}", 1)), expect=3)
        except Conflict as late:
            return late

    for round_ in range(5):
        tries = [behind(10 * round_ + n) for n in range(8)]
        found = await asyncio.gather(*tries, store.log.append(A, ROOM, ops((f"o{round_}", 1))))
        taken = [one for one in found[:-1] if not isinstance(one, Conflict)]
        assert taken in ([], [[Appended(4)]]) and (not round_ or not taken)
    found_ops = await store.log.read(A, ROOM, after=0, limit=100)
    assert seqs(found_ops) == list(range(1, len(found_ops) + 1))
    check_chain(found_ops)


def turning(ident: str, version: int) -> NewOp:
    return NewOp(ident, version, b"turns", turns=True)


async def test_who_has_not_seen_the_newest_turn_appends_nothing(store: Store) -> None:
    log = store.log
    await fill(store, 2)
    # Whatever others said: only what turns must have been seen.
    assert await log.append(A, ROOM, ops(("a", 1)), seen=2) == [Appended(3)]
    await fill(store, 4)
    assert await log.append(A, ROOM, ops(("a", 2)), seen=3) == [Appended(6)]
    assert await log.append(A, ROOM, [turning("b", 1)]) == [Appended(7)]
    await fill(store, 5)
    for seen in (0, 3, 6):
        assert await log.append(A, ROOM, ops(("a", 3), ("c", 1)), seen=seen) == []
    assert (await log.head(A, ROOM)).seq == 8
    assert (await log.cursor(A, ROOM, "a"), await log.cursor(A, ROOM, "c")) == (2, 0)
    # What is there already is answered again, up to what is not.
    again = await log.append(A, ROOM, ops(("a", 1), ("a", 2), ("a", 3), ("a", 2)), seen=6)
    assert again == [Appended(0, duplicate=True), Appended(6, duplicate=True)]
    found = await log.append(A, ROOM, ops(("a", 3), ("c", 1)), seen=7)
    assert found == [Appended(9), Appended(10)]
    # Behind a turn of one's own stands what one says after it.
    found = await log.append(A, ROOM, [turning("c", 2), *ops(("c", 3))], seen=10)
    assert found == [Appended(11), Appended(12)]
    check_chain(await log.read(A, ROOM, after=0, limit=20))


async def test_of_turns_and_words_at_once_no_word_follows_a_turn_unseen(store: Store) -> None:
    log = store.log
    await fill(store, 1)

    async def say(place: int) -> list[Appended]:
        return await log.append(A, ROOM, ops((f"w{place}", 1)), seen=1)

    tries = [say(place) for place in range(6)]
    await asyncio.gather(*tries[:3], log.append(A, ROOM, [turning("t", 1)]), *tries[3:])
    found = await log.read(A, ROOM, after=1, limit=20)
    assert found[-1].ident == "t"
    check_chain(found, (await log.read(A, ROOM, after=0, limit=1))[0].chain)


async def test_a_turn_is_remembered_by_a_store_that_was_opened_again(
    place: Place, clock: FakeClock
) -> None:
    if not place.lasting:
        return
    first = await place.open(clock)
    await fill(first, 2)
    await first.log.append(A, ROOM, [turning("b", 1)])
    await fill(first, 3)
    await first.close()
    store = await place.open(clock)
    assert await store.log.append(A, ROOM, ops(("a", 1)), seen=2) == []
    assert await store.log.append(A, ROOM, ops(("a", 1)), seen=4) == [Appended(5)]
    await store.close()


async def test_pages(store: Store) -> None:
    await fill(store, 10)
    read = store.log.read
    assert seqs(await read(A, ROOM, after=0, limit=3)) == [1, 2, 3]
    assert seqs(await read(A, ROOM, after=8, limit=3)) == [9, 10]
    assert seqs(await read(A, ROOM, after=10, limit=3)) == []
    assert seqs(await read(A, ROOM, after=99, limit=3)) == []
    assert seqs(await read(A, ROOM, limit=3)) == [8, 9, 10]
    assert seqs(await read(A, ROOM, before=4, limit=2)) == [2, 3]
    assert seqs(await read(A, ROOM, before=4, limit=9)) == [1, 2, 3]
    assert seqs(await read(A, ROOM, before=1, limit=9)) == []
    assert seqs(await read(A, ROOM, before=99, limit=2)) == [9, 10]
    assert seqs(await read(A, ROOM, after=3, before=6, limit=9)) == [4, 5]
    assert seqs(await read(A, ROOM, after=3, before=6, limit=1)) == [4]
    assert seqs(await read(A, ROOM, after=-5, limit=1)) == [1]
    assert seqs(await read(A, ROOM, after=2**80, before=2**90, limit=1)) == []
    assert seqs(await read(A, ROOM, before=2**90, limit=1)) == [10]
    assert await read(A, "nothing", limit=5) == []
    with pytest.raises(ValueError, match="at least"):
        await read(A, ROOM, limit=0)


async def test_single_ops_are_picked(store: Store) -> None:
    await fill(store, 20)
    pick = store.log.pick
    assert seqs(await pick(A, ROOM, [7, 3, 3, 19])) == [3, 7, 19]
    assert await pick(A, ROOM, [4]) == await store.log.read(A, ROOM, after=3, limit=1)
    assert await pick(A, ROOM, [0, -1, 21, 2**70]) == await pick(A, ROOM, []) == []
    assert await pick(A, "nothing", [1]) == await pick(B, ROOM, [1]) == []
    await store.log.erase(A, ROOM, [7])
    await store.log.purge(A, ROOM, 4)
    found = await pick(A, ROOM, range(1, MAX_BATCH + 1))
    assert found == await store.log.read(A, ROOM, after=0, limit=100)
    assert [op.seq for op in found if op.erased] == [7]
    await store.log.purge(A, ROOM, 20)
    assert await pick(A, ROOM, [20]) == []
    with pytest.raises(ValueError, match="at most"):
        await pick(A, ROOM, range(1, MAX_BATCH + 2))


async def test_purging_raises_the_floor(store: Store) -> None:
    await fill(store, 10)
    before = await store.log.read(A, ROOM, after=0, limit=10)
    await store.log.purge(A, ROOM, 4)
    head = await store.log.head(A, ROOM)
    assert (head.seq, head.floor) == (10, 4)
    assert seqs(await store.log.read(A, ROOM, after=0, limit=2)) == [5, 6]
    assert seqs(await store.log.read(A, ROOM, before=6, limit=5)) == [5]
    await store.log.purge(A, ROOM, 2)
    assert (await store.log.head(A, ROOM)).floor == 4
    left = await store.log.read(A, ROOM, after=0, limit=10)
    assert check_chain(left, before[3].chain) == before[-1].chain


async def test_a_room_goes_on_after_everything_was_purged(store: Store) -> None:
    await fill(store, 5)
    head = await store.log.head(A, ROOM)
    await store.log.purge(A, ROOM, 99)
    assert await store.log.head(A, ROOM) == Head(5, head.chain, 5)
    assert await store.log.read(A, ROOM, limit=5) == []
    assert await store.log.cursor(A, ROOM, "i") == 5
    answers = await store.log.append(A, ROOM, ops(("i", 5), ("i", 6)))
    assert answers == [Appended(5, duplicate=True), Appended(6)]
    found = await store.log.read(A, ROOM, after=0, limit=5)
    check_chain(found, head.chain)
    await store.log.purge(A, "nothing", 5)


async def test_a_long_purge(store: Store) -> None:
    for first in range(0, 2500, 500):
        await store.log.append(A, ROOM, ops(*(("i", first + n + 1) for n in range(500))))
    await store.log.purge(A, ROOM, 2400)
    assert seqs(await store.log.read(A, ROOM, after=0, limit=9999)) == list(range(2401, 2501))


async def test_erasing_keeps_place_and_chain(store: Store) -> None:
    await fill(store, 4)
    await store.log.purge(A, ROOM, 1)
    before = await store.log.read(A, ROOM, after=0, limit=9)
    await store.log.erase(A, ROOM, [1, 3, 3, 77, 0, -1, 2**70])
    await store.log.erase(A, ROOM, [3])
    await store.log.erase(A, "nothing", [3])
    found = await store.log.read(A, ROOM, after=0, limit=9)
    assert [(op.seq, op.body, op.erased) for op in found] == [
        (2, b"i2", False),
        (3, b"", True),
        (4, b"i4", False),
    ]
    assert found[1].digest == hashlib.sha256(b"i3").digest()
    assert [op.chain for op in found] == [op.chain for op in before]
    assert (await store.log.append(A, ROOM, ops(("i", 3))))[0].duplicate


async def test_the_servers_own_rooms_are_rooms_like_others(store: Store) -> None:
    await store.log.append(A, "\0audit", ops(("a", 1)))
    await store.log.append(A, "audit", ops(("b", 1)))
    assert [op.ident for op in await store.log.read(A, "\0audit", limit=9)] == ["a"]


async def test_what_cannot_be_appended_changes_nothing(store: Store) -> None:
    bad = [
        NewOp("", 1, b""),
        NewOp("x" * 600, 1, b""),
        NewOp("\ud800", 1, b""),
        NewOp("i", 0, b""),
        NewOp("i", -1, b""),
        NewOp("i", MAX_VERSION + 1, b""),
        NewOp("i", 1, bytes(MAX_BODY + 1)),
    ]
    for op in bad:
        with pytest.raises(ValueError, match=r"ident|version|bytes"):
            await store.log.append(A, ROOM, [NewOp("good", 1, b""), op])
    with pytest.raises(ValueError, match="at most"):
        await store.log.append(A, ROOM, ops(*(("i", n + 1) for n in range(MAX_BATCH + 1))))
    for app, room in (("", ROOM), (A, ""), ("a\0b", ROOM), (A, "\udfff")):
        with pytest.raises(ValueError, match="UTF-8"):
            await store.log.append(app, room, ops(("i", 1)))
        assert await store.log.head(app, room) == Head()
        assert await store.log.read(app, room, limit=1) == []
        assert await store.log.cursor(app, room, "i") == 0
    assert await store.log.head(A, ROOM) == Head()
    assert await store.log.cursor(A, ROOM, "\ud800") == 0


async def test_the_largest_op_and_version(store: Store) -> None:
    answer = await store.log.append(A, ROOM, [NewOp("i", MAX_VERSION, bytes(MAX_BODY))])
    assert answer == [Appended(1)]
    (found,) = await store.log.read(A, ROOM, limit=1)
    assert (found.version, len(found.body)) == (MAX_VERSION, MAX_BODY)


async def test_a_batch_of_the_largest_size(store: Store) -> None:
    await fill(store, MAX_BATCH)
    assert (await store.log.head(A, ROOM)).seq == MAX_BATCH


async def test_blobs(store: Store) -> None:
    name = hashlib.sha256(b"chunk").hexdigest()
    assert await store.blobs.get(A, name) is None
    await store.blobs.put(A, name, b"chunk\0\xff")
    await store.blobs.put(A, name, b"chunk\0\xff")
    assert await store.blobs.get(A, name) == b"chunk\0\xff"
    assert await store.blobs.get(B, name) is None
    assert not await store.blobs.delete(B, name)
    assert await store.blobs.delete(A, name)
    assert not await store.blobs.delete(A, name)
    assert await store.blobs.get(A, name) is None


@pytest.mark.parametrize("name", ["", "../x", "/etc/passwd", ".hidden", "A", "a/b", "x" * 129])
async def test_blob_names_that_lead_elsewhere(store: Store, name: str) -> None:
    assert await store.blobs.get(A, name) is None
    assert not await store.blobs.delete(A, name)
    with pytest.raises(ValueError, match="blob"):
        await store.blobs.put(A, name, b"")
