"""What of items is kept and what is not: erased ones, sealed ones, those of transient rooms."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from signaling.delivery import shelf
from signaling.delivery.lanes import MOST_EPHEMERAL, Limits
from signaling.delivery.port import Dead, Delivered, Retry
from signaling.keys import header
from tests.signaling.access.rig import APP, Ground, ground
from tests.signaling.delivery.rig import (
    Recorder,
    first_of_each,
    ids,
    item,
    numbered,
    outbox,
    rows_of,
)
from tests.signaling.storage.places import EmbeddedPlace

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
