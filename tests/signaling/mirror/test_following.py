"""From a room's log into the mirror: folded, resumed, fenced; and what leaves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from signaling.chat.erasing import erase
from signaling.chat.ops import Erase
from signaling.mirror.documents import TOMBSTONE, place_of
from signaling.mirror.port import Reason
from tests.peers.mongo.stand_in import StandIn
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP
from tests.signaling.mirror.rig import Scene, scene


@pytest.fixture
async def stage(embedded: Ground, server: StandIn) -> AsyncIterator[Scene]:
    async with scene(embedded, server) as made:
        yield made


async def test_a_message_is_written_as_it_stands(stage: Scene) -> None:
    ann, bob, writer = stage.served.ann, stage.served.bob, stage.writer
    room = await stage.served.room("bob")
    first = await ann.post(room, "one", custom={"n": 2**63, "order": "7"})
    reply = await bob.post(room, "two", parent=first["id"])
    gone = await bob.post(room, "three", parent=first["id"])
    path = f"/rooms/{room}/messages"
    await ann.ask("PATCH", f"{path}/{first['id']}", {"text": "one, mended"})
    await bob.ask("PUT", f"{path}/{first['id']}/reactions/x", {})
    await ann.ask("PUT", f"{path}/{first['id']}/pin")
    await writer.all_of(room)
    await bob.ask("DELETE", f"{path}/{gone['id']}")
    await writer.all_of(room)
    found = await writer.messages(room)
    head = found[first["id"]]
    assert head["body"]["text"] == "one, mended"
    assert [one["body"]["text"] for one in head["edits"]] == ["one"]
    assert head["custom"] == {"n": str(2**63), "order": "7"}
    assert head["reactions"] == [{"emoji": "x", "accounts": ["bob"]}]
    assert (head["pinned"], head["thread"]["replies"]) == (True, 1)
    assert found[reply["id"]]["parent"] == first["id"]
    deleted = found[gone["id"]]
    assert deleted["body"] is None and deleted["deleted"]["by"] == "bob"
    facts = await stage.databases[0]._database["rooms"].find_one({"_id": room})
    assert facts is not None
    assert {one["account"] for one in facts["members"]} == {"ann", "bob"}
    assert facts["pinned"] == [first["id"]]


async def test_it_goes_on_from_its_place_and_a_late_writer_changes_nothing(stage: Scene) -> None:
    ann, room = stage.served.ann, await stage.served.room("bob")
    sent = [await ann.post(room, f"m{n}") for n in range(450)]
    old = stage.writer
    while await old.follower.follow(APP, room):
        late = await old.messages(room)
    before = (await old.messages(room))[sent[0]["id"]]
    new = await stage.another()
    await ann.ask("PATCH", f"/rooms/{room}/messages/{sent[0]['id']}", {"text": "newer"})
    chat = stage.served.house.chat
    known = await chat.rooms.find(APP, room)
    assert known is not None
    await chat.erase(known, [(sent[1]["id"], sent[1]["seq"])], "erasure")
    await new.all_of(room)
    assert len(late) < 450
    # What the other read before that, it writes now.
    await stage.databases[0].write([before, late[sent[1]["id"]]])
    found = await new.messages(room)
    assert found[sent[0]["id"]]["body"]["text"] == "newer"
    tomb = found[sent[1]["id"]]
    assert tomb["erased"] is True and set(tomb) <= {"_id", "erased", *TOMBSTONE}
    assert len(found) == 450


async def test_what_is_told_erased_is_gone_though_the_log_still_has_it(stage: Scene) -> None:
    ann, bob, writer = stage.served.ann, stage.served.bob, stage.writer
    room = await stage.served.room("bob")
    first = await ann.post(room, "one")
    path = f"/rooms/{room}/messages/{first['id']}/reactions"
    await bob.ask("PUT", f"{path}/x", {})
    reply = await bob.post(room, "two", parent=first["id"])
    await writer.all_of(room)
    found = (await writer.messages(room))[first["id"]]
    assert found["reactions"] and found["thread"]["replies"] == 1
    chat = stage.served.house.chat
    known = await chat.rooms.find(APP, room)
    assert known is not None
    seqs = (reply["seq"] - 1, reply["seq"])
    await chat.say(known, Erase(seqs=seqs, ids=(reply["id"],), reason="erasure"))
    await writer.all_of(room)
    found = (await writer.messages(room))[first["id"]]
    assert (found["reactions"], found["thread"], found["ops"]) == ([], None, [first["seq"]])
    await ann.ask("PUT", f"{path}/y", {})
    await writer.all_of(room)
    (only,) = (await writer.messages(room))[first["id"]]["reactions"]
    assert only == {"emoji": "y", "accounts": ["ann"]}


async def test_erased_reactions_and_replies_leave_what_they_were_part_of(stage: Scene) -> None:
    ann, bob, writer = stage.served.ann, stage.served.bob, stage.writer
    room = await stage.served.room("bob")
    head = await ann.post(room, "head")
    reply = await bob.post(room, "reply", parent=head["id"])
    await bob.ask("PUT", f"/rooms/{room}/messages/{head['id']}/reactions/x", {})
    await writer.all_of(room)
    found = (await writer.messages(room))[head["id"]]
    assert found["reactions"] and found["thread"]["replies"] == 1
    chat = stage.served.house.chat
    known = await chat.rooms.find(APP, room)
    assert known is not None
    (reaction,) = set(found["ops"]) - {head["seq"]}
    await erase(chat, known, [(reply["id"], reply["seq"])], [reaction], "erasure")
    await (await stage.another()).all_of(room)
    found = (await writer.messages(room))[head["id"]]
    assert (found["reactions"], found["thread"]) == ([], None)


async def test_what_retention_took_is_gone(stage: Scene) -> None:
    ann, room, writer = stage.served.ann, await stage.served.room("bob"), stage.writer
    sent = [await ann.post(room, f"m{n}") for n in range(10)]
    await writer.all_of(room)
    chat = stage.served.house.chat
    known = await chat.rooms.find(APP, room)
    assert known is not None
    await chat.rooms.save(known)
    await known.log.purge(APP, room, sent[5]["seq"])
    await writer.all_of(room)
    assert await writer.texts(room) == ["m6", "m7", "m8", "m9"]
    # One that begins behind the floor has only what is left.
    late = await stage.another()
    await stage.databases[0].forget_room(room)
    await late.all_of(room)
    assert await writer.texts(room) == ["m6", "m7", "m8", "m9"]


@pytest.mark.parametrize(
    "place",
    [
        {"upto": 10**6}, {"upto": -5}, {"upto": "3"}, {"chain": "00" * 32}, {"bodies": False},
        {"floor": None},
    ],
)  # fmt: skip
async def test_a_place_that_is_not_this_logs_means_writing_it_anew(
    stage: Scene, place: dict[str, Any]
) -> None:
    """Another program changed it, or either database came back from a backup."""
    ann, room = stage.served.ann, await stage.served.room("bob")
    for n in range(3):
        await ann.post(room, f"m{n}")
    await stage.writer.all_of(room)
    database = stage.databases[0]._database
    await database["rooms"].update_one({"_id": room}, {"$set": place})
    strange = {"_id": place_of(room, "x"), "room": room, "id": "x", "seq": 9, "upto": 10**9}
    await database["messages"].insert_one(strange)
    await (await stage.another()).all_of(room)
    assert await stage.writer.texts(room) == ["m0", "m1", "m2"]


async def test_rooms_that_may_not_be_mirrored_leave_nothing(stage: Scene) -> None:
    ann, writer = stage.served.ann, stage.writer
    whispers = await stage.served.room("bob", mode="transient")
    health = await stage.served.room("bob", settings={"phi": True})
    tea = await stage.served.room("bob")
    for room in (whispers, health, tea):
        await ann.post(room, "hello")
    nowhere = "01926f0e-7c1a-7000-8000-00000000000a"
    for _ in range(2):
        await writer.all_of(whispers, health, tea, nowhere)
    assert writer.told == [
        (whispers, Reason.ROOM_TRANSIENT), (health, Reason.ROOM_PHI),
        (nowhere, Reason.ROOM_NOT_FOUND),
    ]  # fmt: skip
    assert await writer.database.rooms() == [tea]
    chosen = await stage.another(phi=True)
    await chosen.all_of(health)
    assert await writer.texts(health) == ["hello"]
    # A room that becomes one of health data leaves, and one that is named no longer.
    await ann.ask("PATCH", f"/rooms/{tea}", {"phi": True}, If_Match="*")
    await writer.all_of(tea)
    assert await writer.messages(tea) == {}
    await writer.follower.begin([])
    assert await writer.database.rooms() == []
    assert await writer.messages(health) == {}


async def test_without_bodies_nothing_that_was_said_is_written(stage: Scene) -> None:
    ann, room = stage.served.ann, await stage.served.room("bob", name="canary-name")
    sent = await ann.post(room, "canary-said")
    await ann.ask("PATCH", f"/rooms/{room}/messages/{sent['id']}", {"text": "canary-edited"})
    envelope = await stage.another(bodies=False)
    await envelope.all_of(room)
    collections = [
        await envelope.database._database[name].find().to_list() for name in ("messages", "rooms")
    ]
    assert sent["id"] in repr(collections) and "canary" not in repr(collections)
    place = await envelope.database.place(room)
    assert place is not None and (place.bodies, place.upto > 0) == (False, True)


async def test_a_person_is_buried_everywhere(stage: Scene) -> None:
    room = await stage.served.room("bob")
    await stage.served.ann.post(room, "hers")
    await stage.served.bob.post(room, "his")
    await stage.writer.all_of(room)
    assert await stage.writer.database.bury_account("bob") == 1
    found = (await stage.writer.messages(room)).values()
    assert sorted(bool(one.get("erased")) for one in found) == [False, True]
    assert "his" not in repr(found)
