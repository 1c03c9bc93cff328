"""Messages of a call in the timeline and its place in the history, as the media server tells it."""

from __future__ import annotations

from tests.signaling.access.rig import Ground
from tests.signaling.calls.rig import APP, Calls


async def test_started_who_and_ended_in_one_message_that_stays_where_it_began(
    served: Calls,
) -> None:
    room = await served.room("bob", "cy")
    await served.ann.post(room, "before")
    begun = await served.good("ann", room)
    assert await served.timeline("cy", room) == []
    await served.house.come(room, "ann")
    started = await served.timeline("cy", room)
    assert [(one["state"], one["accounts"]) for one in started] == [("started", ["ann"])]
    assert started[0]["encryption"] == "none"
    await served.ann.post(room, "during")
    await served.good("bob/laptop", room)
    await served.house.come(room, "bob/laptop")
    assert (await served.call("cy", room))["inside"] == ["ann", "bob"]
    served.house.ground.clock.advance(15)
    await served.house.come(room)
    served.house.ground.clock.advance(15)
    await served.house.go(room, "ann")
    assert (await served.call("cy", room))["inside"] == ["bob"]
    await served.house.go(room, "bob/laptop")
    [ended] = await served.timeline("cy", room)
    assert (ended["state"], ended["accounts"], ended["seconds"]) == ("ended", ["ann", "bob"], 30)
    answer = await served.ask("cy", "GET", f"/rooms/{room}/messages")
    kinds = [(m.get("kind", "text"), m["id"]) for m in reversed(answer.body["items"])]
    assert [kind for kind, _ in kinds] == ["text", "call", "text"]
    assert kinds[1][1] == begun["call"]["id"]


async def test_who_joins_without_asking_first_begins_a_call(served: Calls) -> None:
    """With a call token of `/calls/tokens`, say."""
    room = await served.room("bob")
    await served.house.come(room, "bob")
    assert (await served.call("ann", room))["caller"] == "bob"
    await served.house.go(room, "bob")
    [call] = await served.timeline("ann", room)
    assert (call["state"], call["accounts"]) == ("ended", ["bob"])
    assert [one["took_part"] for one in await served.history("bob")] == [["bob"]]
    assert await served.history("ann") == []


async def test_call_with_nobody_in_it_ends(served: Calls) -> None:
    room = await served.room("bob")
    await served.good("ann", room)
    await served.house.pass_time(59)
    assert (await served.call("bob", room))["state"] == "idle"
    await served.house.pass_time(1)
    assert (await served.ask("bob", "GET", f"/rooms/{room}/call")).status == 404
    assert await served.timeline("bob", room) == [] == await served.history("ann")
    # Cut off: whoever is back in time goes on with the same call.
    first = await served.good("ann", room)
    await served.house.come(room, "ann")
    await served.house.go(room, "ann", clean=False)
    await served.house.pass_time(9)
    again = await served.good("ann", room)
    assert again["call"]["id"] == first["call"]["id"]
    await served.house.come(room, "ann")
    await served.house.go(room, "ann", clean=False)
    await served.house.pass_time(10)
    assert (await served.timeline("ann", room))[0]["state"] == "ended"


async def test_removed_member_leaves_the_call_and_is_rung_no_more(served: Calls) -> None:
    room = await served.room("bob", "cy")
    await served.good("ann", room, ring=True)
    await served.house.come(room, "ann", "bob")
    for name in ("bob", "cy"):
        answer = await served.ask("ann", "DELETE", f"/rooms/{room}/members/{name}")
        assert answer.status == 204
    await served.house.calls.idle()
    assert sorted(served.house.sfu.removed) == [(room, "bob"), (room, "cy")]
    assert sorted(map(str, served.house.sfu.left)) == [f"('{n}', '{room}')" for n in ("bob", "cy")]
    assert served.house.events("cy")[-1] == ("cancelled", "cy")
    assert (await served.act("cy", room, "accept")).code == "room_not_found"


async def test_another_part_is_told_to_the_call_and_a_new_member_is_not(served: Calls) -> None:
    """Its rights in a running call follow; somebody who just came has none to be looked at."""
    room = await served.room("bob", "cy")
    await served.house.calls.idle()
    assert served.house.sfu.looked_at == []
    for part in ("moderator", "moderator", "member", "owner"):
        answer = await served.ask("ann", "PUT", f"/rooms/{room}/members/bob", {"part": part})
        assert answer.status == 200, answer.body
    await served.house.calls.idle()
    assert served.house.sfu.looked_at == [("bob", room)] * 4
    assert served.house.sfu.left == []
    for _ in range(2):
        answer = await served.ask("ann", "PUT", f"/rooms/{room}/members/dora", {"part": "member"})
        assert answer.status == 200, answer.body
        answer = await served.ask("ann", "DELETE", f"/rooms/{room}/members/dora")
        assert answer.status == 204
    await served.house.calls.idle()
    assert ("dora", room) not in served.house.sfu.looked_at


async def test_ended_for_everybody_by_a_moderator_or_either_of_a_pair(served: Calls) -> None:
    room = await served.room("bob")
    await served.good("bob", room)
    await served.house.come(room, "bob", "ann")
    assert (await served.ask("bob", "DELETE", f"/rooms/{room}/call")).code == "not_permitted"
    ended = await served.ask("ann", "DELETE", f"/rooms/{room}/call")
    assert (ended.status, ended.body["outcome"]) == (200, "ended")
    assert room not in served.house.sfu.rooms
    assert served.house.events("bob")[-1] == ("ended", "bob")
    pair = await served.direct()
    await served.good("ann", pair)
    await served.good("bob", pair, "accept")
    assert (await served.ask("bob", "DELETE", f"/rooms/{pair}/call")).body["outcome"] == "ended"


async def test_call_that_another_process_has_is_ended_there_too(served: Calls) -> None:
    room = await served.room("bob")
    await served.good("ann", room)
    await served.house.come(room, "ann")
    served.house.sfu.rooms.clear()
    await served.ask("ann", "DELETE", f"/rooms/{room}/call")
    assert served.house.sfu.left == [(None, room)]


async def test_history_comes_newest_first_in_pages_and_is_ones_own(served: Calls) -> None:
    room, made = await served.direct(), []
    for _ in range(5):
        begun = await served.good("ann", room)
        await served.good("bob", room, "reject")
        made.append(begun["call"]["id"])
        served.house.ground.clock.advance(2)
    assert [call["id"] for call in await served.history("bob")] == made[::-1]
    first = await served.ask("ann", "GET", "/calls?limit=3")
    assert [call["id"] for call in first.body["items"]] == made[:1:-1]
    cursor = first.body["next_cursor"]
    rest = await served.ask("ann", "GET", f"/calls?limit=3&cursor={cursor}")
    assert [call["id"] for call in rest.body["items"]] == made[1::-1]
    assert rest.body["next_cursor"] is None
    assert await served.history("cy") == []
    theirs = await served.ask("cy", "GET", f"/calls/{made[0]}")
    assert (theirs.status, theirs.code) == (404, "not_found")
    ringing = await served.good("ann", room)
    for name in ("ann", "bob"):
        going = await served.history(name, "?open=true")
        assert [call["id"] for call in going] == [ringing["call"]["id"]]


async def test_history_is_forgotten_in_time_and_by_erasure(served: Calls, embedded: Ground) -> None:
    room = await served.direct()
    calls = served.house.calls
    await served.good("ann", room)
    await served.good("bob", room, "reject")
    embedded.clock.advance(30 * 86400 + 1)
    assert await served.history("ann") == []
    await served.good("ann", room)
    await served.good("bob", room, "reject")
    assert await calls.forget_account(APP, "bob") == 1
    assert await served.history("bob") == []
    [left] = await served.history("ann")
    assert left["callees"] == []
    assert await calls.forget_room(APP, room) == 1
    assert await served.history("ann") == []


async def test_transient_room_keeps_no_history(served: Calls, embedded: Ground) -> None:
    room = await served.room("bob", mode="transient")
    await served.good("ann", room, ring=True)
    await served.good("bob", room, "reject")
    assert await served.history("ann") == await served.history("bob") == []
    assert await embedded.store.meta.scan(APP, "call") == []


async def test_nothing_of_a_call_can_be_read_in_the_store(served: Calls, embedded: Ground) -> None:
    room = await served.direct()
    await served.good("ann", room)
    for kind in ("call", "call.open"):
        rows = await embedded.store.meta.scan(APP, kind)
        assert rows
        for row in rows:
            said = row.value + row.key.encode() + " ".join(row.terms).encode()
            assert b"bob" not in said and b"ringing" not in said and room.encode() not in said
