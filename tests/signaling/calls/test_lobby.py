"""The lobby: who is not let in waits, hears nothing and sees nobody; moderators see who waits."""

from __future__ import annotations

from typing import Any

import pytest

from signaling.accounts.principal import Kind, Principal
from signaling.accounts.signin import AccountView
from signaling.calls.policy import Gated
from signaling.errors import Refused
from signaling.rtc.grants import VideoGrant
from tests.signaling.calls.rig import APP, Calls


async def waiting(served: Calls, lobby: str = "everybody") -> str:
    """Ann moderates, bob and cy are members, a guest has a link; ann is in the call."""
    room = await served.room("bob", "cy", settings={"lobby": lobby})
    served.house.registry.rooms["guest"] = room
    await served.good("ann", room)
    await served.house.come(room, "ann")
    return room


async def gate(served: Calls, name: str, room: str) -> VideoGrant:
    """As a call token is asked for by any other way in."""

    async def anything(principal: Principal, view: AccountView, room: str) -> VideoGrant:
        return VideoGrant(room=room, room_join=True)

    policy = Gated(anything, served.house.calls.gate)
    view: Any = await served.house.registry.view(APP, name)
    return await policy(Principal(app=APP, kind=Kind.ACCOUNT, account=name), view, room)


async def test_who_is_not_let_in_waits_without_media_or_a_view_of_who_is_in(served: Calls) -> None:
    room = await waiting(served)
    wait = await served.good("bob", room)
    assert wait["call"]["waiting"] is True
    assert wait["token"] is wait["url"] is wait["identity"] is None
    for shown in (wait["call"], await served.call("bob", room)):
        assert (shown["inside"], shown["callees"], shown["caller"]) == ([], [], None)
        assert shown["took_part"] == []
    with pytest.raises(Refused):
        await gate(served, "bob", room)
    assert served.house.told["ann"][-1].event == "knock"
    assert [one["state"] for one in await served.timeline("bob", room)] == ["started"]
    assert (await served.timeline("bob", room))[0]["accounts"] == []
    assert (await served.act("bob", room, "ring")).code == "not_permitted"


async def test_moderators_see_the_queue_and_let_in_one_or_all(served: Calls) -> None:
    room = await waiting(served)
    for name in ("bob", "guest", "cy"):
        await served.good(name, room)
        served.house.ground.clock.advance(1)
    path = f"/rooms/{room}/call/lobby"
    assert (await served.ask("bob", "GET", path)).code == "not_permitted"
    queue = (await served.ask("ann", "GET", path)).body
    assert [one["account"] for one in queue["waiting"]] == ["bob", "guest", "cy"]
    assert queue["waiting"][0]["name"] == "Bob"
    assert (await served.act("bob", room, "lobby/admit")).code == "not_permitted"
    left = await served.good("ann", room, "lobby/admit", accounts=["guest"])
    assert [one["account"] for one in left["waiting"]] == ["bob", "cy"]
    assert served.house.events("guest") == [("admitted", "guest")]
    assert (await served.good("guest", room))["token"]
    await gate(served, "guest", room)
    rest = await served.good("ann", room, "lobby/admit")
    assert (rest["waiting"], rest["admitted"]) == ([], ["guest", "bob", "cy"])
    admitted = await served.good("bob", room)
    assert admitted["token"] and admitted["call"]["inside"] == ["ann"]
    assert (await served.act("ann", room, "lobby/admit", accounts=["eve"])).status == 404


async def test_denied_stays_out_for_this_call_and_who_was_in_leaves(served: Calls) -> None:
    room = await waiting(served)
    await served.good("bob", room)
    shown = await served.good("ann", room, "lobby/deny", account="bob")
    assert (shown["waiting"], shown["denied"]) == ([], ["bob"])
    assert served.house.events("bob") == [("denied", "bob")]
    assert (await served.act("bob", room)).code == "not_permitted"
    await served.good("cy", room)
    await served.good("ann", room, "lobby/admit")
    await served.house.come(room, "cy")
    await served.good("ann", room, "lobby/deny", account="cy")
    assert served.house.sfu.removed[-1] == (room, "cy")
    with pytest.raises(Refused):
        await gate(served, "cy", room)
    # Somebody may change their mind; the next call begins with an empty lobby.
    await served.good("ann", room, "lobby/admit", accounts=["bob"])
    assert (await served.good("bob", room))["token"]
    await served.house.go(room, "ann", "cy")
    assert (await served.good("cy", room))["call"]["waiting"] is True


async def test_lobby_for_guests_lets_members_in(served: Calls) -> None:
    room = await waiting(served, "guests")
    assert (await served.good("bob", room))["token"]
    assert (await served.good("guest", room))["call"]["waiting"] is True
    with pytest.raises(Refused):
        await gate(served, "guest", room)
    await gate(served, "bob", room)


async def test_whom_a_moderator_rings_need_not_wait(served: Calls) -> None:
    room = await waiting(served)
    await served.good("ann", room, "ring", accounts=["bob"])
    assert (await served.good("bob", room, "accept"))["token"]
    assert (await served.good("cy", room))["call"]["waiting"] is True


async def test_waits_also_before_anybody_is_in_and_not_for_ever(served: Calls) -> None:
    room = await served.room("bob", settings={"lobby": "everybody"})
    assert (await served.good("bob", room, ring=True))["call"]["waiting"] is True
    assert not [hint for hint in served.house.told["ann"] if hint.event == "ring"]
    await served.house.pass_time(599)
    assert (await served.call("ann", room))["state"] == "idle"
    await served.house.pass_time(1)
    assert served.house.events("bob")[0] == ("timed_out", "bob")
    assert (await served.ask("ann", "GET", f"/rooms/{room}/call")).status == 404


async def test_lobby_is_a_setting_of_the_owner(served: Calls) -> None:
    room = await served.room("bob")
    etag = (await served.ask("ann", "GET", f"/rooms/{room}")).headers["ETag"]
    wish = {"lobby": "guests"}
    refused = await served.ask("bob", "PATCH", f"/rooms/{room}", wish, If_Match=etag)
    assert refused.code == "not_permitted"
    done = await served.ask("ann", "PATCH", f"/rooms/{room}", wish, If_Match=etag)
    assert done.body["settings"]["lobby"] == "guests"
    assert (await served.good("bob", room))["token"]


async def test_a_ban_stands_above_every_token(served: Calls) -> None:
    """The gate before a call token that is asked for with an access token."""
    room = await served.room("bob")
    refuse = served.house.calls.refuse_banned
    for name in ("bob", "anybody", ""):
        await refuse(APP, name, room)
    assert (
        await served.ask("ann", "PUT", f"/rooms/{room}/members/bob", {"part": "banned"})
    ).status == 200
    with pytest.raises(Refused) as refused:
        await refuse(APP, "bob", room)
    assert refused.value.code == "banned"
    for elsewhere in ("01a00000-0000-7000-8000-000000000000", "a call that is no room"):
        await refuse(APP, "bob", elsewhere)
