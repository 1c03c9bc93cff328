"""Scheduled posts and expiry, with the clock moved."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from signaling.chat.ops import Erased, Post
from signaling.chat.sealing import from_ms
from signaling.compose.attachments import ChatRooms
from signaling.errors import Unavailable
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, Served, serving


async def test_scheduled_post_is_sent_at_its_time_once(served: Served) -> None:
    room = await served.room("bob")
    clock, later = served.house.clock, served.house.chatting.later
    at = from_ms(int(clock.unix() * 1000)) + timedelta(seconds=60)
    path = f"/rooms/{room}/scheduled"
    wish = {"at": at, "message": {"text": "good morning"}}
    made = await served.bob.ask("POST", path, wish)
    other = await served.bob.ask("POST", path, {**wish, "message": {"text": "cancelled"}})
    assert made.status == other.status == 201
    assert (await served.cy.ask("POST", path, wish)).status == 404
    past = {**wish, "at": at - timedelta(seconds=120)}
    assert (await served.bob.ask("POST", path, past)).code == "fields_invalid"
    assert len((await served.bob.ask("GET", "/scheduled")).body["items"]) == 2
    assert (await served.ann.ask("GET", "/scheduled")).body["items"] == []
    assert (await served.ann.ask("DELETE", f"/scheduled/{other.body['id']}")).status == 404
    assert (await served.bob.ask("DELETE", f"/scheduled/{other.body['id']}")).status == 204
    assert await later.send_due(APP) == 0
    clock.advance(61)
    assert await later.send_due(APP) == 1
    assert await later.send_due(APP) == 0
    assert await served.ann.texts(room) == ["good morning"]


async def test_scheduled_post_of_who_was_banned_is_not_sent(served: Served) -> None:
    room = await served.room("bob")
    clock, later = served.house.clock, served.house.chatting.later
    at = from_ms(int(clock.unix() * 1000)) + timedelta(seconds=60)
    wish = {"at": at, "message": {"text": "ha"}}
    assert (await served.bob.ask("POST", f"/rooms/{room}/scheduled", wish)).status == 201
    await served.ann.ask("PUT", f"/rooms/{room}/members/bob", {"part": "banned"})
    clock.advance(61)
    assert await later.send_due(APP) == 0
    assert await served.ann.texts(room) == []


async def test_expired_message_leaves_the_store_with_all_about_it(
    served: Served, embedded: Ground
) -> None:
    room = await served.room("bob")
    sent = await served.bob.post(room, "brief", ttl=60)
    await served.ann.post(room, "lasting")
    await served.ann.ask("PUT", f"/rooms/{room}/messages/{sent['id']}/reactions/x", {})
    served.house.clock.advance(61)
    assert await served.house.chatting.later.erase_due(APP) == 1
    stored = await embedded.store.log.read(APP, room, after=0, limit=100)
    assert [op.seq for op in stored if op.erased] == [sent["seq"], sent["seq"] + 2]
    log = (await served.ann.ask("GET", f"/rooms/{room}/log")).body["entries"]
    assert [e["op"]["reason"] for e in log if e["op"]["type"] == "erase"] == ["expired"]
    assert await served.ann.texts(room) == ["lasting"]


async def test_what_a_process_took_and_died_expires_all_the_same(embedded: Ground) -> None:
    async with serving(embedded) as killed:
        chat, room = killed.house.chat, await killed.room("bob")
        reached, gone = asyncio.Event(), asyncio.Event()

        async def dying(*_: Any, **__: Any) -> None:
            reached.set()
            await gone.wait()
            raise Unavailable("the process died")

        # Between the log and all that hangs on it.
        chat.committed[:] = [dying]
        words = ("POST", f"/rooms/{room}/messages", {"text": "brief", "ttl": 60})
        post = asyncio.create_task(killed.bob.ask(*words))
        await reached.wait()
        held = chat.rooms.held(APP, room)
        assert held is not None
        saving = asyncio.create_task(chat.rooms.save(held))
        await asyncio.sleep(0.2)
        assert not saving.done(), "a row says that it was folded before all was noted"
        gone.set()
        assert (await post).status == 503
        with pytest.raises(Unavailable):
            await saving
    for others in (1, 0):
        async with serving(embedded) as served:
            assert (await served.bob.ask("GET", f"/rooms/{room}")).status == 200
            await asyncio.gather(*served.house.chat.rooms._tasks)
            embedded.clock.advance(61)
            assert await served.house.chatting.later.erase_due(APP) == others
    stored = await embedded.store.log.read(APP, room, after=0, limit=100)
    assert [op.erased for op in stored].count(True) == 1


async def test_what_is_over_is_an_empty_place_though_it_is_held(
    served: Served, embedded: Ground
) -> None:
    """In the log as in the views, with all that was said about it; its bytes stay in the store."""
    later, clock = served.house.chatting.later, served.house.clock

    async def everything(app: str, room: str, message: str) -> bool:
        return True

    later.held = everything
    room = await served.room("bob")
    sent = await served.bob.post(room, "canary", ttl=60)
    at = f"/rooms/{room}/messages/{sent['id']}"
    await served.bob.ask("PATCH", at, {"text": "canary too"})
    await served.ann.ask("PUT", f"{at}/reactions/canary", {})
    await served.ann.ask("PUT", f"{at}/pin")
    lasting = await served.ann.post(room, "lasting")
    before = await entries_of(served, room)
    assert [e["op"]["type"] for e in before[-5:]] == ["post", "edit", "react", "pin", "post"]
    clock.advance(61)
    just_over = await entries_of(served, room)
    assert await later.erase_due(APP) == 0
    rooms = served.house.chat.rooms
    held = rooms.held(APP, room)
    assert held is not None
    await rooms.save(held)
    rooms.drop(APP, room)
    for found in (just_over, await entries_of(served, room)):
        assert [e["op"]["type"] for e in found[-5:]] == ["erased"] * 3 + ["pin", "post"]
        assert [(e["seq"], e["ident"], e["version"]) for e in found] == [
            (e["seq"], e["ident"], e["version"]) for e in before
        ]
        assert "canary" not in str(found)
    # Behind the message alone it is the same.
    found = await entries_of(served, room, after=sent["seq"])
    assert [e["op"]["type"] for e in found] == ["erased", "erased", "pin", "post"]
    assert await served.ann.texts(room) == ["lasting"]
    assert (await served.ann.ask("GET", at)).status == 404
    files = ChatRooms(served.house.chat, later)
    assert not await files.shows(APP, room, sent["id"], "ann")
    assert await files.shows(APP, room, lasting["id"], "ann")
    stored = await embedded.store.log.read(APP, room, after=0, limit=100)
    assert not any(op.erased for op in stored) and stored[-1].seq == lasting["seq"]


async def test_a_device_gets_nothing_of_what_is_over(served: Served) -> None:
    """What sync reads is what the log shows, from any place."""
    house, room = served.house, await served.room("bob")
    sent = await served.bob.post(room, "canary", ttl=60)
    await served.ann.post(room, "lasting")
    house.clock.advance(61)
    ann = await house.chatting.people.actor(house.principal("ann"))
    for after in (0, sent["seq"] - 1):
        batch = await house.chat.read(ann, room, after, 100)
        found = [entry for entry in batch.entries if entry.seq >= sent["seq"]]
        assert [type(entry.op) for entry in found] == [Erased, Post]
        assert found[0].account is None
        assert batch.chain == await house.chat.chain(APP, room, found[-1].seq)


async def entries_of(served: Served, room: str, after: int = 0) -> list[dict[str, Any]]:
    answer = await served.ann.ask("GET", f"/rooms/{room}/log?after={after}")
    assert answer.status == 200, answer.body
    entries: list[dict[str, Any]] = answer.body["entries"]
    return entries
