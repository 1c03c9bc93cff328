"""Rooms that left a process's memory and came back: nothing of them is another room's."""

from __future__ import annotations

from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, Served, serving


async def test_what_is_posted_after_a_room_was_dropped_from_memory_is_there(
    served: Served,
) -> None:
    """The versions of REST begin anew with each opening; its idents must too."""
    room = await served.room("bob")
    for number in range(3):
        await served.bob.post(room, f"before {number}")
    for opening in range(3):
        served.house.chat.rooms.drop(APP, room)
        await served.bob.post(room, f"after {opening}")
        await served.ann.post(room, f"also {opening}")
    wanted = [f"before {n}" for n in range(3)]
    wanted += [f"{word} {n}" for n in range(3) for word in ("after", "also")]
    assert await served.ann.texts(room) == wanted


async def test_a_transient_room_that_was_dropped_goes_on_where_its_log_is(served: Served) -> None:
    room = await served.room("bob", mode="transient")
    await served.bob.post(room, "whisper")
    before = (await served.ann.ask("GET", f"/rooms/{room}")).body["head"]
    served.house.chat.rooms.drop(APP, room)
    assert (await served.ann.ask("GET", f"/rooms/{room}")).body["head"] == before
    put = await served.ann.ask("PUT", f"/rooms/{room}/members/cy", {})
    assert put.status == 200
    banned = await served.ann.ask("PUT", f"/rooms/{room}/members/bob", {"part": "banned"})
    assert banned.status == 200
    await served.cy.post(room, "heard")
    assert (await served.bob.ask("POST", f"/rooms/{room}/messages", {"text": "x"})).status == 403
    assert await served.house.chat.epoch(APP, room) != ""
    lasting = await served.room("bob")
    assert await served.house.chat.epoch(APP, lasting) == ""


async def test_a_transient_room_takes_changes_of_its_members_after_a_restart(
    embedded: Ground,
) -> None:
    """Its log begins anew, below the places where its members came in."""
    async with serving(embedded) as served:
        room = await served.room("bob", "cy", mode="transient", kind="private")
        for number in range(5):
            await served.bob.post(room, f"whisper {number}")
        done = await served.ann.ask("PUT", f"/rooms/{room}/members/cy", {"part": "moderator"})
        assert done.status == 200
    async with serving(embedded) as served:
        at = f"/rooms/{room}/members"
        banned = await served.ann.ask("PUT", f"{at}/bob", {"part": "banned"})
        assert (banned.status, banned.body["part"]) == (200, "banned")
        tried = await served.bob.ask("POST", f"/rooms/{room}/messages", {"text": "x"})
        assert tried.code == "banned"
        assert (await served.cy.ask("PUT", f"{at}/dora", {})).body["part"] == "member"
        await served.dora.post(room, "here")
    async with serving(embedded) as served:
        assert (await served.bob.ask("GET", f"/rooms/{room}")).code == "banned"
        assert (await served.dora.ask("GET", f"/rooms/{room}")).body["part"] == "member"
