"""Lanes of the outbox: at least once, in order, in batches, through the death of processes."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from signaling.clock import FakeClock
from signaling.delivery import shelf
from signaling.delivery.gathering import Gathering
from signaling.delivery.lanes import Limits, Pace
from signaling.delivery.outbox import DurableOutbox
from signaling.delivery.port import Delivered, Item, Retry
from signaling.storage.memory import MemoryStore
from tests.signaling.access.rig import APP, Ground, ground
from tests.signaling.delivery.rig import (
    Killed,
    Mortal,
    Recorder,
    first_of_each,
    ids,
    item,
    numbered,
    outbox,
    outbox_on,
    rows_of,
)
from tests.signaling.storage.places import EmbeddedPlace
from tests.signaling.storage.test_table import FakeSealer

# Order and batches


async def test_items_of_a_lane_go_in_order_and_in_batches(lasting: Ground) -> None:
    sender = Recorder()
    box = outbox(lasting, sender, Limits(batch=4))
    mine, others = numbered(0, 10), numbered(0, 6, "route:r:b")
    await box.put([*mine[:5], *others, *mine[5:]])
    await box.settle()
    assert [one for one in sender.ids if one[0] == "a"] == ids(mine)
    assert [one for one in sender.ids if one[0] == "b"] == ids(others)
    assert max(len(batch) for _, batch in sender.batches) == 4
    assert await rows_of(lasting.store, shelf.ITEMS) == 0
    # Later ones go on from there, also those that another process puts.
    other = outbox(lasting, sender, Limits(batch=4))
    await box.put(numbered(10, 12))
    await other.put(numbered(12, 14))
    await box.settle()
    await other.settle()
    assert [one for one in sender.ids if one[0] == "a"] == ids(numbered(0, 14))


async def test_what_was_put_survives_a_restart(tmp_path: Path) -> None:
    place = EmbeddedPlace(tmp_path / "store")
    sender = Recorder()
    async with ground(place, tmp_path) as made:
        await outbox(made, sender).put(numbered(0, 5))
    async with ground(place, tmp_path) as made:
        await outbox(made, sender).settle()
    assert sender.ids == ids(numbered(0, 5))


async def test_items_with_a_place_are_put_once(memory: Ground) -> None:
    sender = Recorder()
    box = outbox(memory, sender)
    placed = [item(f"p{n}", place=n) for n in (3, 7, 9)]
    await box.put(placed[:2])
    assert await box.top(APP, "route:r:a") == 7
    await box.put(placed)
    await box.settle()
    await box.put(placed)
    await box.settle()
    assert sender.ids == ["p3", "p7", "p9"]
    await box.pass_over(item("skipped", place=40))
    assert await box.top(APP, "route:r:a") == 40 and await box.top(APP, "route:r:z") is None


# Batches that wait for more


def ten(_: str, __: str) -> float:
    return 10.0


async def test_a_batch_waits_for_more_until_it_is_full(lasting: Ground) -> None:
    sender = Recorder()
    box = outbox(lasting, sender, Limits(batch=4, window=ten))
    await box.put(numbered(0, 3))
    await box.settle()
    assert sender.batches == []
    await box.put(numbered(3, 4))
    await box.settle()
    assert [batch for _, batch in sender.batches] == [ids(numbered(0, 4))]
    # What does not fill a batch waits anew.
    await box.put(numbered(4, 13))
    await box.settle()
    assert [len(batch) for _, batch in sender.batches] == [4, 4, 4]
    lasting.clock.advance(10.1)
    await box.settle()
    assert sender.ids == ids(numbered(0, 13))
    assert await rows_of(lasting.store, shelf.ITEMS) == 0


async def test_a_batch_waits_no_longer_than_its_first_item_may(memory: Ground) -> None:
    sender = Recorder()
    box = outbox(memory, sender, Limits(batch=50, window=ten))
    for n in range(9):
        await box.put(numbered(n, n + 1))
        await box.settle()
        memory.clock.advance(1.2)
    await box.settle()
    assert [len(batch) for _, batch in sender.batches] == [9]
    await box.put(numbered(9, 10))
    await box.settle()
    memory.clock.advance(9.9)
    await box.settle()
    assert len(sender.batches) == 1
    memory.clock.advance(0.2)
    await box.settle()
    assert sender.ids == ids(numbered(0, 10))


async def test_what_waits_for_more_is_anothers_when_its_process_died(memory: Ground) -> None:
    first, second = Recorder(), Recorder()
    one = outbox(memory, first, Limits(batch=5, window=ten))
    await one.put(numbered(0, 2))
    await one.settle()
    other = outbox(memory, second, Limits(batch=5, window=ten))
    await other.put(numbered(2, 4))
    await other.settle()
    memory.clock.advance(10.1)
    await other.settle()
    assert (first.ids, second.ids) == ([], ids(numbered(0, 4)))


async def test_after_a_failure_nothing_waits_for_more(memory: Ground) -> None:
    sender = Recorder(answers=[Retry(0.0, "down")])
    box = outbox(memory, sender, Limits(batch=5, window=ten))
    await box.put(numbered(0, 2))
    memory.clock.advance(10.1)
    await box.settle()
    memory.clock.advance(10.1)
    await box.settle()
    assert len(sender.batches) == 1
    memory.clock.advance(1.1)
    await box.settle()
    assert sender.ids == ids([*numbered(0, 2), *numbered(0, 2)])


async def test_what_had_not_settled_is_not_sent_again_while_others_gather(memory: Ground) -> None:
    sender = Recorder(always=Delivered(settle_s=60.0))
    box = outbox(memory, sender, Limits(batch=2, window=ten), Pace(lease_s=3600.0))
    await box.put(numbered(0, 2))
    await box.settle()
    await box.put(numbered(2, 3))
    for _ in range(12):
        await box.settle()
        memory.clock.advance(1.0)
    await box.settle()
    assert sender.ids == ids(numbered(0, 3))


def test_gathering_counts_what_comes_and_begins_anew_after_each_batch() -> None:
    one = Gathering()
    assert one.wait(100.0, 3, 3, 5.0) == 0.0 and one.wait(100.0, 1, 3, 0.0) == 0.0
    assert one.wait(100.0, 1, 3, 5.0) == 5.0
    assert one.lacks(101.0, 1) and not one.lacks(101.5, 1)
    assert one.wait(102.0, 2, 3, 5.0) == 3.0
    assert not one.lacks(105.0, 0)
    assert one.wait(105.0, 2, 3, 5.0) == 0.0
    assert one.wait(106.0, 2, 3, 5.0) == 5.0


# Two processes


async def test_another_process_takes_over_when_the_lease_ends(lasting: Ground) -> None:
    stuck = asyncio.Event()

    async def hang(_: Sequence[Item]) -> None:
        stuck.set()
        await asyncio.sleep(3600)

    first, second = Recorder(before=hang), Recorder()
    pace = Pace(lease_s=60.0, look_s=10.0)
    one, other = outbox(lasting, first, pace=pace), outbox(lasting, second, pace=pace)
    await one.put(numbered(0, 3))
    task = asyncio.create_task(one.settle())
    await stuck.wait()
    await other.settle()
    assert second.ids == [], "the lease is the other's"
    lasting.clock.advance(59)
    await other.settle()
    assert second.ids == []
    lasting.clock.advance(2)
    await other.settle()
    assert second.ids == ids(numbered(0, 3))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    # Who was slow has lost the lane: what it finishes now harms nobody.
    await other.put(numbered(3, 5))
    await other.settle()
    assert second.ids == ids(numbered(0, 5))


async def test_two_processes_on_one_lane_never_send_at_once(memory: Ground) -> None:
    running, overlaps = 0, 0

    async def watch(_: Sequence[Item]) -> None:
        nonlocal running, overlaps
        running += 1
        overlaps += running > 1
        await asyncio.sleep(0)
        running -= 1

    sender = Recorder(before=watch)
    boxes = [outbox(memory, sender), outbox(memory, sender)]
    for n in range(0, 40, 2):
        await boxes[n // 2 % 2].put(numbered(n, n + 2))
        await asyncio.gather(*(box.settle() for box in boxes))
        memory.clock.advance(0.5)
    for _ in range(3):
        memory.clock.advance(61)
        await asyncio.gather(*(box.settle() for box in boxes))
    assert not overlaps
    assert first_of_each(sender.ids) == ids(numbered(0, 40)) and len(sender.ids) == 40


async def test_a_clock_that_was_set_back_delays_nothing_for_long(memory: Ground) -> None:
    sender = Recorder(answers=[Retry(0.0, "down")])
    box = outbox(memory, sender)
    await box.put(numbered(0, 2))
    await box.settle()
    memory.clock.step(-3600.0 * 24)
    again = outbox(memory, sender)
    await again.settle()
    assert first_of_each(sender.ids) == ids(numbered(0, 2))


# Every way to die


async def life(store: Mortal, clock: FakeClock, sender: Recorder, wish: list[list[Item]]) -> None:
    """One process: puts what is left of the wish, and sends, until it dies or is done."""
    box = outbox_on(store, FakeSealer(), clock, sender, Limits(batch=3), Pace(lease_s=60.0))
    try:
        while wish:
            await box.put(wish[0])
            wish.pop(0)
            await box.settle()
        await box.settle()
    except Killed:
        # What its other tasks would do is not done any more.
        store.dead = True
        for state in box._lanes.values():
            if state.task is not None:
                state.task.cancel()
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(25))
async def test_killed_between_any_two_steps_all_arrive_in_order(seed: int) -> None:
    chosen = random.Random(seed)
    clock = FakeClock()
    store = MemoryStore(clock)
    mortal = Mortal(store, seed, 0.02)

    async def perhaps_die(_: Sequence[Item]) -> None:
        mortal.fate("before sending")

    sender = Recorder(before=perhaps_die)
    lanes = ["route:r:a", "route:r:b", "route:s:c"]
    wish: list[list[Item]] = []
    counts = dict.fromkeys(lanes, 0)
    for _ in range(40):
        lane, size = chosen.choice(lanes), chosen.randint(1, 4)
        first = counts[lane]
        counts[lane] += size
        # Half of the makers number their items themselves and put them again after a crash.
        places = lane == lanes[0]
        made = numbered(first, first + size, lane)
        wish.append(
            [msgspec.structs.replace(m, place=first + n + 1) for n, m in enumerate(made)]
            if places else made
        )  # fmt: skip
    lives = 0
    while wish or await rows_of(store, shelf.ITEMS):
        lives += 1
        assert lives < 500
        mortal.dead = False
        await life(mortal, clock, sender, wish)
        clock.advance(61)
    print(f"seed {seed}: {lives} lives, deaths {dict(mortal.deaths)}")
    assert lives > 3
    for lane in lanes:
        got = [one for one in sender.ids if one[0] == lane[-1]]
        assert first_of_each(got) == ids(numbered(0, counts[lane], lane)), lane


# Beside the loop


async def test_run_sends_what_is_put_and_gives_its_leases_back(memory: Ground) -> None:
    sender = Recorder()
    box: DurableOutbox = outbox(memory, sender)
    task = asyncio.create_task(box.run())
    await box.put(numbered(0, 20))
    async with asyncio.timeout(60):
        while len(sender.ids) < 20:
            await asyncio.sleep(0.01)
    sender.always = Retry(3600.0, "down")
    await box.put(numbered(20, 21))
    async with asyncio.timeout(60):
        while len(sender.ids) < 21:
            await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    # Nobody has to wait for the end of a lease; the receiver's own wish holds.
    sender.always = Delivered()
    memory.clock.advance(3601)
    await outbox(memory, sender).settle()
    assert sender.ids[-1] == "a0020"
