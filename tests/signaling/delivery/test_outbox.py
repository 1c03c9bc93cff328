"""The outbox: at least once, in order, through the death of processes; failures, ends, erasure.

Long because all that can become of an item is shown on one rig.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from signaling.clock import FakeClock
from signaling.delivery import shelf
from signaling.delivery.outbox import MOST_EPHEMERAL, DurableOutbox
from signaling.delivery.port import Dead, Delivered, Gone, Item, Retry
from signaling.delivery.worker import Limits, Pace, backoff
from signaling.keys import header
from signaling.storage.memory import MemoryStore
from signaling.storage.port import Store
from tests.signaling.access.rig import APP, Ground, ground
from tests.signaling.delivery.rig import (
    Killed,
    Mortal,
    Recorder,
    first_of_each,
    item,
    items,
    outbox,
    outbox_on,
)
from tests.signaling.storage.places import EmbeddedPlace
from tests.signaling.storage.test_table import FakeSealer


def numbered(first: int, last: int, lane: str = "route:r:a", **more: object) -> list[Item]:
    return items(*(f"{lane[-1]}{n:04d}" for n in range(first, last)), lane=lane, **more)


def ids(listed: Sequence[Item]) -> list[str]:
    return [one.id for one in listed]


async def rows_of(store: Store, kind: str) -> int:
    return len(await store.meta.scan(APP, kind, limit=10_000))


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


# Failures


async def test_failures_wait_longer_each_time_and_then_go_on(memory: Ground) -> None:
    sender = Recorder(answers=[Retry(0.0, "down")] * 4)
    box = outbox(memory, sender, Limits(retry_s=1.0, retry_most_s=4.0))
    await box.put(numbered(0, 2))
    for wait in (1.0, 2.0, 4.0, 4.0):
        before = len(sender.batches)
        await box.settle()
        assert len(sender.batches) == before + 1
        memory.clock.advance(wait - 0.1)
        await box.settle()
        assert len(sender.batches) == before + 1, "not before its time"
        memory.clock.advance(0.2)
    await box.settle()
    assert sender.ids[-2:] == ids(numbered(0, 2))
    assert box.counters["retried"] == 4 and box.counters["delivered"] == 2


def test_back_off_doubles_to_its_bound_and_half_is_chance() -> None:
    limits = Limits(retry_s=1.0, retry_most_s=900.0)
    assert [backoff(limits, n, 1.0) for n in (0, 1, 2, 9, 10, 5000)] == [1, 2, 4, 512, 900, 900]
    assert backoff(limits, 3, 0.0) == 4.0


async def test_the_receivers_wish_to_wait_is_honoured(memory: Ground) -> None:
    sender = Recorder(answers=[Retry(120.0, "busy")])
    box = outbox(memory, sender)
    await box.put(numbered(0, 1))
    await box.settle()
    memory.clock.advance(119)
    await box.settle()
    assert len(sender.batches) == 1
    memory.clock.advance(2)
    await box.settle()
    assert len(sender.batches) == 2


async def test_one_lanes_failure_holds_up_no_other(memory: Ground) -> None:
    sender = Recorder(answers=[Retry(0.0, "down")])
    box = outbox(memory, sender)
    await box.put(numbered(0, 2))
    await box.settle()
    await box.put(numbered(0, 3, "route:r:b"))
    await box.settle()
    assert sender.ids == ["a0000", "b0000", "b0001", "b0002"]


async def test_what_fails_for_too_long_is_a_dead_letter_and_can_be_sent_again(
    lasting: Ground,
) -> None:
    sender = Recorder(always=Retry(0.0, "it answers 500"))
    box = outbox(lasting, sender, Limits(give_up_s=100.0, retry_most_s=30.0))
    await box.put(numbered(0, 2))
    for _ in range(40):
        await box.settle()
        lasting.clock.advance(31)
    dead = await box.dead(APP, "r")
    assert [row.value.item.id for row in dead] == ids(numbered(0, 2))
    assert {row.value.reason for row in dead} == {"it answers 500"}
    sender.always, sender.batches = Delivered(), []
    await box.put(numbered(2, 3))
    await box.settle()
    assert await box.replay(APP, "r") == 2
    await box.settle()
    assert sender.ids == ["a0002", "a0000", "a0001"]
    assert await box.dead(APP, "r") == [] and await box.replay(APP, "r") == 0


async def test_of_a_refused_batch_only_the_guilty_one_is_dead(memory: Ground) -> None:
    class Picky(Recorder):
        async def send(self, app: str, target: str, items: Sequence[Item]) -> Dead | Delivered:
            if any(one.id == "a0002" for one in items):
                return Dead("it is poison")
            await super().send(app, target, items)
            return Delivered()

    sender = Picky()
    box = outbox(memory, sender, Limits(batch=5))
    await box.put(numbered(0, 8))
    await box.settle()
    assert sender.ids == [one for one in ids(numbered(0, 8)) if one != "a0002"]
    assert [row.value.item.id for row in await box.dead(APP, "r")] == ["a0002"]
    assert [len(batch) for _, batch in sender.batches] == [1, 1, 1, 1, 3]


async def test_a_target_that_is_gone_takes_its_items_along(memory: Ground) -> None:
    sender = Recorder(answers=[Gone("410")])
    box = outbox(memory, sender)
    await box.put([*numbered(0, 3), *numbered(0, 2, "route:x:b", target="x")])
    await box.settle()
    assert sender.ids == ["a0000", "b0000", "b0001"]
    assert await rows_of(memory.store, shelf.ITEMS) == 0 and box.counters["gone"] == 3


async def test_our_own_error_loses_nothing(memory: Ground) -> None:
    class Broken(Recorder):
        async def send(self, app: str, target: str, items: Sequence[Item]) -> Delivered:
            if not self.batches:
                self.batches.append((target, ["failed"]))
                raise RuntimeError("our own")
            await super().send(app, target, items)
            return Delivered()

    sender = Broken()
    box = outbox(memory, sender)
    await box.put(numbered(0, 2))
    await box.settle()
    memory.clock.advance(2)
    await box.settle()
    assert sender.ids[1:] == ids(numbered(0, 2))


async def test_who_never_answers_is_asked_again(memory: Ground) -> None:
    class Slow(Recorder):
        async def send(self, app: str, target: str, items: Sequence[Item]) -> Delivered:
            self.batches.append((target, []))
            if len(self.batches) == 1:
                await asyncio.sleep(3600)
            return Delivered()

    sender = Slow()
    box = outbox(memory, sender, Limits(send_s=0.01))
    await box.put(numbered(0, 1))
    await box.settle()
    memory.clock.advance(2)
    await box.settle()
    assert len(sender.batches) == 2 and box.counters["delivered"] == 1


# Time, replacement, ends


async def test_nothing_goes_before_its_time_and_others_pass_it(memory: Ground) -> None:
    sender = Recorder()
    box = outbox(memory, sender, Limits(batch=5))
    now = memory.clock.unix()
    await box.put([item("later", due=now + 100), item("now")])
    await box.settle()
    assert sender.ids == ["now"]
    memory.clock.advance(101)
    await box.settle()
    assert sender.ids == ["now", "later"]


async def test_what_expired_is_dropped_and_counted(memory: Ground) -> None:
    sender = Recorder(answers=[Retry(0.0, "down")])
    box = outbox(memory, sender)
    await box.put([item("short", expires=memory.clock.unix() + 30), item("long")])
    await box.settle()
    memory.clock.advance(31)
    await box.settle()
    assert sender.ids == ["short", "long"] and box.counters["expired"] == 1


async def test_the_newest_of_a_collapse_key_stands_for_all(lasting: Ground) -> None:
    sender = Recorder()
    box = outbox(lasting, sender, Limits(batch=10))
    await box.put(items("one", "two", collapse="room"))
    await box.put([item("other"), item("three", collapse="room")])
    await box.put([item("four", "route:r:b", collapse="room")])
    await box.settle()
    assert sorted(sender.ids) == ["four", "other", "three"]
    assert box.counters["collapsed"] == 2


# Erasure and secrecy


async def test_what_is_dropped_is_neither_sent_nor_kept(lasting: Ground) -> None:
    sender = Recorder(always=Dead("no"))
    box = outbox(lasting, sender)
    await box.put([item("dead", room="a", subject="m1")])
    await box.settle()
    sender.always = Delivered()
    waiting = [
        item("a1", room="a", subject="m1"), item("a2", room="a", subject="m2"),
        item("b1", room="b", subject="m1"), item("x1", "route:x:a", target="x", room="a"),
    ]  # fmt: skip
    await box.put(waiting)
    assert await box.drop(APP, room="a", subject="m1") == 2  # one waits, one is dead
    assert await box.dead(APP, "r") == []
    assert await box.drop(APP, target="x") == 1
    assert await box.drop(APP, room="nowhere") == 0
    await box.settle()
    assert sender.ids == ["dead", "a2", "b1"]
    with pytest.raises(ValueError, match="name what"):
        await box.drop(APP)


async def test_a_shredded_rooms_items_vanish_and_the_others_go_on(memory: Ground) -> None:
    sender = Recorder()
    box = outbox(memory, sender)
    await box.put([item("gone", room="a"), item("stays", room="b")])
    await memory.sealer.shred(APP, "room:a")
    await box.settle()
    assert sender.ids == ["stays"]
    assert await rows_of(memory.store, shelf.ITEMS) == 0


async def test_nothing_of_an_item_can_be_read_in_the_store(tmp_path: Path) -> None:
    async with ground(EmbeddedPlace(tmp_path / "store"), tmp_path) as made:
        box = outbox(made, Recorder(always=Dead("no")))
        secret = item(
            "canary-id", "route:canary-target:canary-room", target="canary-target",
            room="canary-room", subject="canary-subject", collapse="canary-collapse",
        )  # fmt: skip
        await box.put([secret])
        await box.settle()
        await box.put([secret])
    with sqlite3.connect(next((tmp_path / "store").glob("**/sotto.db"))) as store:
        rows = store.execute("SELECT kind, key, value FROM meta").fetchall()
        terms = store.execute("SELECT kind, term FROM term").fetchall()
    ours = [row for row in rows if row[0].startswith("delivery.")]
    assert {row[0] for row in ours} == {shelf.ITEMS, shelf.LANES, shelf.DEAD}
    for _, key, value in ours:
        header.parse(value)
        assert "canary" not in key and b"canary" not in value
    assert not [term for _, term in terms if "canary-room" in term or "canary-subject" in term]


# Transient rooms


async def test_ephemeral_items_are_sent_and_lie_in_no_store(memory: Ground) -> None:
    sender = Recorder(answers=[Retry(0.0, "down")])
    box = outbox(memory, sender)
    await box.put(numbered(0, 3), ephemeral=True)
    await box.settle()
    for kind in (shelf.ITEMS, shelf.LANES, shelf.DEAD):
        assert await rows_of(memory.store, kind) == 0
    memory.clock.advance(2)
    await box.settle()
    assert first_of_each(sender.ids) == ids(numbered(0, 3))


async def test_of_ephemeral_items_nothing_is_kept_after_its_failure(memory: Ground) -> None:
    box = outbox(memory, Recorder(always=Dead("no")))
    await box.put(numbered(0, 3), ephemeral=True)
    await box.settle()
    assert await rows_of(memory.store, shelf.DEAD) == 0 and box.counters["dead"] == 3


async def test_ephemeral_lanes_are_bounded_and_the_oldest_goes_first(memory: Ground) -> None:
    sender = Recorder()
    box = outbox(memory, sender, Limits(batch=500))
    await box.put(numbered(0, MOST_EPHEMERAL + 10), ephemeral=True)
    await box.settle()
    assert sender.ids == ids(numbered(10, MOST_EPHEMERAL + 10))
    assert box.counters["overflow"] == 10


# Receivers that acknowledge nothing


async def test_what_had_not_settled_goes_again_after_a_loss(memory: Ground) -> None:
    sender = Recorder(always=Delivered(settle_s=60.0))
    box = outbox(memory, sender, Limits(batch=2))
    await box.put(numbered(0, 2))
    await box.settle()
    memory.clock.advance(59)
    await box.put(numbered(2, 4))
    await box.settle()
    memory.clock.advance(2)
    await box.settle()
    assert await rows_of(memory.store, shelf.ITEMS) == 2, "the first two are settled"
    sender.lost += 1
    await box.put(numbered(4, 6))
    await box.settle()
    assert sender.ids == ids([*numbered(0, 4), *numbered(2, 6)])
    memory.clock.advance(61)
    await box.settle()
    assert await rows_of(memory.store, shelf.ITEMS) == 0
    assert len(sender.ids) == 8


async def test_another_process_sends_again_what_had_not_settled(memory: Ground) -> None:
    first, second = Recorder(always=Delivered(60.0)), Recorder(always=Delivered(60.0))
    one = outbox(memory, first)
    await one.put(numbered(0, 2))
    await one.settle()
    memory.clock.advance(61)
    other = outbox(memory, second)
    await other.settle()
    assert second.ids == ids(numbered(0, 2))


# Beside the loop


async def test_run_sends_what_is_put_and_gives_its_leases_back(memory: Ground) -> None:
    sender = Recorder()
    box: DurableOutbox = outbox(memory, sender)
    task = asyncio.create_task(box.run())
    await box.put(numbered(0, 20))
    async with asyncio.timeout(5):
        while len(sender.ids) < 20:
            await asyncio.sleep(0.01)
    sender.always = Retry(3600.0, "down")
    await box.put(numbered(20, 21))
    async with asyncio.timeout(5):
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
