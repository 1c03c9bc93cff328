"""What becomes of items: failures, dead letters, ends, their times, and what had not settled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from signaling.delivery import shelf
from signaling.delivery.lanes import Limits, backoff
from signaling.delivery.port import Dead, Delivered, Gone, Item, Retry
from tests.signaling.access.rig import APP, Ground
from tests.signaling.delivery.rig import Recorder, ids, item, items, numbered, outbox, rows_of

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
