"""What is in no log and passes by: receipts and presence, for who names them, as far as shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from signaling.delivery.events import EventFilter, EventType
from signaling.delivery.sender import group_of
from signaling.delivery.sinks.kafka import records_of
from signaling.delivery.telling import Event
from tests.signaling.access.rig import APP
from tests.signaling.delivery.house import Post
from tests.signaling.delivery.rig import item


async def read(post: Post, who: str, room: str, seq: int) -> None:
    for verb in ("read", "delivered"):
        answer = await post.ask("POST", f"/rooms/{room}/{verb}", {"seq": seq}, who=who)
        assert answer.status in (200, 204), answer.body


async def presence(post: Post, who: str, **more: Any) -> None:
    assert (await post.ask("PUT", "/presence", more, who=who)).status == 200


async def test_receipts_are_told_to_who_names_them(post: Post) -> None:
    await post.webhook(filter={"events": ["receipt.*"]})
    where, other = await post.served.room("bob"), await post.served.room("cy")
    message = await post.served.ann.post(where, "hello")
    await post.settle()
    assert post.receiver.events == []
    await read(post, "bob", where, message["seq"])
    await read(post, "cy", other, 1)
    await post.settle()
    told = [e["data"] for e in post.receiver.events if e["data"]["room"] == where]
    assert set(post.receiver.types) == {"sotto.receipt.moved"}
    assert told[-1] == {
        "room": where, "account": "bob", "read": message["seq"], "delivered": message["seq"]
    }  # fmt: skip
    assert {e["subject"] for e in post.receiver.events} == {"bob", "cy"}
    assert len({e["id"] for e in post.receiver.events}) == len(post.receiver.events)


async def test_who_names_no_receipts_hears_of_none_and_a_room_only_of_its_own(post: Post) -> None:
    where, other = await post.served.room("bob"), await post.served.room("bob")
    await post.webhook()
    await post.webhook(room=where, filter={"events": ["receipt.moved"], "accounts": ["bob"]})
    await read(post, "bob", other, 1)
    await read(post, "ann", where, 1)
    await presence(post, "bob", state="busy")
    await post.settle()
    assert not [kind for kind in post.receiver.types if "receipt" in kind or "presence" in kind]


async def test_receipts_that_nobody_may_see_are_told_to_nobody(post: Post) -> None:
    await post.webhook(filter={"events": ["receipt.*"]})
    where = await post.served.room("bob")
    hide = {"read_receipts": False, "delivered_receipts": False}
    assert (await post.ask("PATCH", "/preferences", hide, who="bob")).status == 200
    await read(post, "bob", where, 1)
    await post.settle()
    assert post.receiver.events == []


async def openly(post: Post, who: str) -> None:
    """Shown to everybody."""
    wish = {"presence": "everyone", "status": "everyone"}
    assert (await post.ask("PATCH", "/preferences", wish, who=who)).status == 200


async def test_presence_is_told_when_it_changes_as_far_as_everybody_may_see_it(
    post: Post,
) -> None:
    await post.webhook(filter={"events": ["presence.changed"]})
    await presence(post, "bob", state="busy", text="to contacts alone, as it is by default")
    await post.settle()
    assert post.receiver.events == []
    await openly(post, "bob")
    await post.settle()
    for state in ("away", "away", "invisible"):
        await presence(post, "bob", state=state, text="tea")
        await post.settle()
    shown = [(e["data"]["state"], e["data"]["text"]) for e in post.receiver.events]
    before = ("busy", "to contacts alone, as it is by default")
    assert shown == [before, ("away", "tea"), ("offline", "tea")]
    assert {event["subject"] for event in post.receiver.events} == {"bob"}
    wish = {"presence": "contacts", "status": "nobody"}
    assert (await post.ask("PATCH", "/preferences", wish, who="bob")).status == 200
    await presence(post, "bob", state="busy", text="none of your business")
    await post.settle()
    # What was told is taken back, and nothing else is said.
    (last,) = post.receiver.events[3:]
    assert (last["data"]["state"], last["data"]["text"]) == ("offline", "")


async def states(post: Post, count: int) -> list[tuple[str, str]]:
    """So many events of presence: of whom, and which state."""
    async with asyncio.timeout(30):
        while len(post.receiver.events) < count:
            await post.settle()
            await asyncio.sleep(0.01)
    return [(event["subject"], event["data"]["state"]) for event in post.receiver.events]


async def test_c18_a_live_device_is_told_of_who_shows_it_to_everybody(post: Post) -> None:
    await post.webhook(filter={"events": ["presence.changed"]})
    attendance = post.house.chatting.presences.attendance
    attendance.linger = post.house.chatting.presences.moves.pace_seconds = 0.02
    await openly(post, "bob")
    for name in ("cy", "bob"):
        await attendance.came((APP, name), "phone", f"socket-of-{name}", 30.0)
    told = [("bob", "online")]
    assert await states(post, 1) == told
    hides = {"presence": "nobody", "status": "nobody"}
    assert (await post.ask("PATCH", "/preferences", hides, who="bob")).status == 200
    told.append(("bob", "offline"))
    assert await states(post, 2) == told
    await openly(post, "bob")
    assert await states(post, 3) == [*told, ("bob", "online")]
    for name in ("cy", "bob"):
        await attendance.gone((APP, name), f"socket-of-{name}")
    assert await states(post, 4) == [*told, ("bob", "online"), ("bob", "offline")]


async def test_of_a_transient_room_receipts_pass_only_where_it_is_allowed(post: Post) -> None:
    await post.webhook(filter={"events": ["receipt.*"]})
    where = await post.served.room("bob", mode="transient")
    await post.served.ann.post(where, "passing")
    await read(post, "bob", where, 1)
    await post.settle()
    assert post.receiver.events == []
    await post.webhook(filter={"events": ["receipt.*"]}, transient=True)
    await read(post, "bob", where, 2)
    await post.settle()
    assert set(post.receiver.types) == {"sotto.receipt.moved"}


async def test_what_passes_by_lies_in_no_store(post: Post) -> None:
    await post.webhook(filter={"events": ["presence.*"]})
    await openly(post, "bob")
    post.receiver.status = 503
    await presence(post, "bob", state="busy")
    await post.settle()
    kinds = ("delivery.item", "delivery.lane", "delivery.dead")
    for kind in kinds:
        assert await post.house.ground.store.meta.scan(APP, kind, limit=10) == []
    post.receiver.status = 200
    await post.waited(5)
    assert post.receiver.types == ["sotto.presence.changed"]


@pytest.mark.parametrize(
    ("wish", "asks"),
    [
        (EventFilter(), False),
        (EventFilter(events=("message.*",)), False),
        (EventFilter(events=("receipt.*",)), True),
        (EventFilter(events=("message.*", "receipt.moved")), True),
        (EventFilter(events=("receipt.*",), accounts=("ann",)), False),
        (EventFilter(events=("receipt.*",), accounts=("bob",)), True),
        (EventFilter(events=("receipt.*",), custom={"urgent": True}), False),
    ],
)
def test_what_passes_by_is_asked_for_by_name(wish: EventFilter, asks: bool) -> None:
    assert wish.asks_for(EventType.RECEIPT_MOVED, "bob") is asks


def test_what_is_about_no_room_is_grouped_by_whose_it_is() -> None:
    event = {"subject": "phone", "id": "1", "data": {"account": "bob"}}
    assert group_of(item("1", room="r"), event) == "r"
    assert group_of(item("1"), event) == "bob"
    assert group_of(item("1"), {"subject": "r", "id": "2", "data": {"room": "r"}}) == "r"


def test_b15_each_record_of_a_batch_has_the_key_of_its_account() -> None:
    events: list[Event] = [
        {"specversion": "1.0", "id": f"{who}{n}", "source": "s", "type": "t", "time": "now",
         "subject": f"{who}{n}", "data": {"account": who}}
        for n in range(3) for who in ("ann", "bob")
    ]  # fmt: skip
    assert [one.key for one in records_of(item("1"), events)] == [b"ann", b"bob"] * 3
    assert {one.key for one in records_of(item("1", room="r"), events)} == {b"r"}
