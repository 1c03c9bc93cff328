"""Batches: thousands of items at once, as long as they fit into the bytes that one may have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from signaling.delivery import shelf
from signaling.delivery.lanes import Limits
from signaling.delivery.port import Delivered, Item, Outcome
from signaling.delivery.subscriptions import MOST_BATCH
from tests.signaling.access.rig import Ground
from tests.signaling.delivery.house import Post, delivering
from tests.signaling.delivery.rig import Recorder, ids, numbered, outbox, rows_of

BYTES = 16 * 1024


class Sparing(Recorder):
    """Takes no more than so many at once."""

    most = 7

    async def send(self, app: str, target: str, items: Sequence[Item]) -> Outcome:
        await super().send(app, target, items[: self.most])
        return Delivered(taken=min(self.most, len(items)))


@pytest.fixture
async def small(embedded: Ground) -> AsyncIterator[Post]:
    async with delivering(embedded, batch_bytes=BYTES) as made:
        yield made


async def routed(post: Post, **more: Any) -> dict[str, Any]:
    to = {"type": "https", "url": post.receiver.url}
    wish = {"to": to, "filter": {"events": ["message.posted"]}, **more}
    answer = await post.ask("POST", "/routes", wish)
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.body
    return found


async def test_b15_ten_thousand_items_are_one_batch(memory: Ground) -> None:
    sender = Recorder()
    box = outbox(memory, sender, Limits(batch=MOST_BATCH))
    await box.put(numbered(0, MOST_BATCH + 500))
    await box.settle()
    assert [len(batch) for _, batch in sender.batches] == [MOST_BATCH, 500]
    assert sender.ids == ids(numbered(0, MOST_BATCH + 500))
    assert await rows_of(memory.store, shelf.ITEMS) == 0


async def test_what_was_too_much_at_once_follows_in_order_and_waits_for_nothing(
    lasting: Ground,
) -> None:
    sender = Sparing()
    # A window that never ends: what a batch left behind does not wait for it.
    box = outbox(lasting, sender, Limits(batch=50, window=lambda app, target: 300.0))
    await box.put(numbered(0, 50))
    await box.settle()
    assert sender.ids == ids(numbered(0, 50))
    assert [len(batch) for _, batch in sender.batches] == [7] * 7 + [1]
    assert await rows_of(lasting.store, shelf.ITEMS) == 0


async def test_what_passes_by_does_not_wait_until_it_is_dropped(memory: Ground) -> None:
    """A lane in memory is shorter than the largest batch."""
    sender = Recorder()
    limits = Limits(batch=MOST_BATCH, window=lambda app, target: 300.0)
    box = outbox(memory, sender, limits)
    for start in (0, 600, 1200):
        await box.put(numbered(start, start + 600), ephemeral=True)
        await box.settle()
    memory.clock.advance(301)
    await box.settle()
    assert sender.ids == ids(numbered(0, 1800))
    assert not box.counters["overflow"]


async def test_b15_a_batch_has_no_more_bytes_than_it_may(small: Post) -> None:
    """All of it, in order and once, through an outage too."""
    room = await small.served.room("bob")
    await routed(small, batch=MOST_BATCH)
    small.receiver.status = 503
    said = [f"m{number} " + "x" * 700 for number in range(60)]
    for text in said[:30]:
        await small.served.ann.post(room, text)
    await small.settle()
    for text in said[30:]:
        await small.served.ann.post(room, text)
    small.receiver.status = 200
    await small.waited(60)
    assert small.receiver.texts == said
    sizes = [len(body) for _, body in small.receiver.requests]
    assert len(sizes) > 3 and max(sizes) <= BYTES + len(sizes) * 64
    assert len({event["id"] for event in small.receiver.events}) == len(said)


async def test_one_event_that_is_larger_goes_alone(small: Post) -> None:
    room = await small.served.room("bob")
    await routed(small, batch=100)
    said = ["before", "ß" * (BYTES - 1000), "after"]  # of two bytes each
    for text in said:
        await small.served.ann.post(room, text)
    await small.settle()
    assert small.receiver.texts == said
    assert len(small.receiver.requests) == 3


async def test_what_was_erased_meanwhile_leaves_no_gap_that_stops_a_batch(small: Post) -> None:
    room = await small.served.room("bob")
    await routed(small, batch=MOST_BATCH)
    small.receiver.status = 503
    made = [await small.served.ann.post(room, f"m{number}") for number in range(12)]
    await small.settle()
    for message in made[2:9]:
        at = f"/rooms/{room}/messages/{message['id']}"
        assert (await small.served.ann.ask("DELETE", at)).status in (200, 204)
    small.receiver.status = 200
    await small.waited(60)
    assert small.receiver.texts[-3:] == ["m9", "m10", "m11"]


@pytest.mark.parametrize(
    ("to", "most"),
    [
        ({"type": "https", "url": "https://1.1.1.1/"}, MOST_BATCH),
        ({"type": "syslog", "host": "1.1.1.1"}, 1000),
        ({"type": "amqp", "host": "1.1.1.1", "user": "u", "password": "p"}, 1000),
        ({"type": "sqs", "queue_url": "https://1.1.1.1/q", "access_key": "a", "secret_key": "s"},
         10),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else str(value),
)  # fmt: skip
async def test_b15_a_batch_is_as_large_as_its_receiver_takes(
    post: Post, to: dict[str, Any], most: int
) -> None:
    made = await routed(post, to=to, batch=MOST_BATCH)
    assert made["batch"] == most
    at = f"/routes/{made['id']}"
    assert (await post.ask("PATCH", at, {"batch": MOST_BATCH})).body["batch"] == most
    for wrong in (0, MOST_BATCH + 1, "many", 1.5):
        assert (await post.ask("PATCH", at, {"batch": wrong})).status == 422
