"""Ring, accept, reject, busy, cancel, time-out, answered elsewhere: over HTTP, with several
devices, in virtual time, and as each account's devices are told.
"""

from __future__ import annotations

import asyncio

from signaling.bus.local import LocalBus
from signaling.calls.port import CallNoticeKind
from signaling.errors import Code
from tests.signaling.access.rig import Ground
from tests.signaling.calls.rig import APP, Calls, calling


async def test_direct_room_rings_the_other_and_is_answered_on_one_device(served: Calls) -> None:
    room = await served.direct()
    begun = await served.good("ann", room, video=True)
    assert begun["token"].startswith(room) and begun["encryption"] == "none"
    assert (begun["call"]["state"], begun["call"]["caller"]) == ("ringing", "ann")
    ring = served.house.told["bob"][0]
    assert (ring.event, ring.caller, ring.video) == ("ring", "ann", True)
    assert ring.until == served.house.clock.unix() + 45
    seen = await served.call("bob", room)
    assert (seen["mine"], seen["state"], seen["encryption"]) == ("ringing", "ringing", "none")
    taken = await served.good("bob/laptop", room, "accept", call=ring.call)
    assert taken["identity"] == "bob:bob-laptop" and taken["call"]["mine"] == "accepted"
    assert [h.device for h in served.house.told["bob"] if h.event == "accepted"] == ["bob-laptop"]
    late = await served.act("bob/phone", room, "accept")
    assert (late.status, late.code, late.body["outcome"]) == (409, "conflict", "accepted")
    assert (await served.act("bob/phone", room, "reject")).status == 409
    # The device that has it may ask for its token again.
    assert (await served.good("bob/laptop", room, "accept"))["token"]
    assert served.house.events("ann")[-1] == ("accepted", "bob")


async def test_rejected_on_one_device_stops_all_and_ends_the_call(served: Calls) -> None:
    room = await served.direct()
    await served.good("ann", room)
    await served.house.come(room, "ann")
    answer = await served.good("bob/phone", room, "reject")
    assert (answer["state"], answer["outcome"], answer["mine"]) == ("ended", "rejected", "rejected")
    assert ("rejected", "bob") in served.house.events("bob")
    assert ("rejected", "bob") in served.house.events("ann")
    # Whoever waited for an answer is alone in it no longer.
    assert served.house.sfu.rooms == {}
    assert (await served.ask("ann", "GET", f"/rooms/{room}/call")).code == "not_found"
    shown = await served.timeline("bob", room)
    assert [(one["state"], one["accounts"]) for one in shown] == [("rejected", ["ann", "bob"])]


async def test_rejected_without_a_session_by_the_token_of_the_ring(served: Calls) -> None:
    room = await served.direct()
    await served.good("ann", room)
    notice = served.house.phones.notices["bob"][0]
    assert (notice.kind, notice.sender, notice.ttl_s) == (CallNoticeKind.CALL, "ann", 45)
    token = notice.reject
    assert (await served.call("bob", room))["reject_token"] == token
    assert (await served.call("ann", room))["reject_token"] is None
    for wrong in ("x", token[:-1] + "AB", token.replace("bob", "ann"), ".".join(["a"] * 3)):
        answer = await served.ask("", "POST", "/calls/reject", {"token": wrong})
        assert (answer.status, answer.code) == (401, "token_invalid")
    assert (await served.ask("", "POST", "/calls/reject", {"token": token})).status == 204
    assert ("rejected", "bob") in served.house.events("ann")
    again = await served.ask("", "POST", "/calls/reject", {"token": token})
    assert (again.status, again.body["outcome"]) == (409, "rejected")
    # Another ring has another token.
    await served.good("ann", room)
    assert served.house.phones.notices["bob"][-1].reject != token
    assert (await served.ask("", "POST", "/calls/reject", {"token": token})).status == 409


async def test_who_is_in_another_call_is_busy(served: Calls) -> None:
    other = await served.direct("bob", "cy")
    await served.good("bob", other)
    await served.good("cy", other, "accept")
    await served.house.come(other, "bob", "cy")
    room = await served.direct()
    begun = await served.good("ann", room)
    assert begun["token"] is None
    assert (begun["call"]["outcome"], begun["call"]["callees"][0]["outcome"]) == ("missed", "busy")
    assert ("ring", "bob") not in served.house.events("bob")
    assert served.house.phones.notices["bob"][-1].kind is CallNoticeKind.MISSED
    assert (await served.timeline("bob", room))[0]["state"] == "missed"
    # A device may say so itself too.
    await served.ask("bob", "DELETE", f"/rooms/{other}/call")
    await served.good("ann", room)
    busy = await served.good("bob", room, "reject", reason="busy")
    assert (busy["mine"], busy["outcome"]) == ("busy", "missed")


async def test_one_device_that_cannot_leaves_the_others_ringing(served: Calls) -> None:
    room = await served.direct()
    await served.good("ann", room)
    for _ in range(2):
        still = await served.good("bob/tv", room, "reject", reason="not_supported")
        assert still["mine"] == "ringing"
    assert (await served.good("bob/phone", room, "accept"))["token"]


async def test_cancelled_by_who_rang_and_by_nobody_else(served: Calls) -> None:
    room = await served.room("bob", "cy", by="ann")
    await served.good("bob", room, ring=True)
    assert (await served.act("cy", room, "cancel")).code == "not_permitted"
    await served.good("bob", room, "cancel", accounts=["cy"])
    assert served.house.events("cy")[-1] == ("cancelled", "cy")
    assert (await served.call("ann", room))["mine"] == "ringing"
    ended = await served.good("bob", room, "cancel")
    assert (ended["state"], ended["outcome"]) == ("ended", "cancelled")
    assert served.house.events("ann")[-1] == ("cancelled", "ann")
    assert (await served.timeline("cy", room))[0]["state"] == "cancelled"
    assert (await served.act("bob", room, "cancel")).status == 404


async def test_a_ring_times_out_and_was_missed(served: Calls) -> None:
    room = await served.direct()
    begun = await served.good("ann", room)
    await served.house.come(room, "ann")
    for _ in range(4):
        await served.house.pass_time(11)
        await served.house.come(room)
    assert (await served.call("ann", room))["state"] == "ringing"
    await served.house.pass_time(1)
    call = (await served.ask("bob", "GET", f"/calls/{begun['call']['id']}")).body
    assert (call["state"], call["outcome"], call["mine"]) == ("ended", "missed", "timed_out")
    for name in ("ann", "bob"):
        assert ("timed_out", "bob") in served.house.events(name)
    missed = served.house.phones.notices["bob"]
    assert [notice.kind for notice in missed] == ["call", "missed"]
    assert missed[0].collapse == missed[1].collapse
    assert (await served.act("bob", room, "accept", call=call["id"])).body["outcome"] == "timed_out"


async def test_a_missed_call_is_unread_for_whom_it_rang(served: Calls) -> None:
    room = await served.direct()

    async def unread(name: str) -> int:
        answer = await served.ask(name, "GET", f"/rooms/{room}/unread")
        return int(answer.body["messages"])

    await served.good("ann", room)
    assert await unread("bob") == 0
    await served.good("ann", room, "cancel")
    assert (await served.timeline("bob", room))[-1]["state"] == "cancelled"
    assert (await unread("bob"), await unread("ann")) == (1, 0)
    await served.good("bob", room)
    await served.good("ann", room, "reject")
    assert (await unread("bob"), await unread("ann")) == (1, 0)
    head = (await served.ask("bob", "GET", f"/rooms/{room}")).body["head"]
    await served.ask("bob", "POST", f"/rooms/{room}/read", {"seq": head})
    assert await unread("bob") == 0


async def test_two_that_call_each_other_have_one_call(served: Calls) -> None:
    room = await served.direct()
    both = await asyncio.gather(served.good("ann", room), served.good("bob", room))
    one, other = (answer["call"] for answer in both)
    assert one["id"] == other["id"]
    call = await served.call("ann", room)
    assert call["state"] == "up"
    assert [callee["outcome"] for callee in call["callees"]] == ["accepted"]
    assert all(answer["token"] for answer in both)
    assert len(await served.history("ann")) == len(await served.history("bob")) == 1


async def test_a_later_call_of_the_rung_is_an_answer(served: Calls) -> None:
    room = await served.direct()
    first = await served.good("ann", room)
    await served.house.come(room, "ann")
    second = await served.good("bob", room, ring=True)
    assert second["call"]["id"] == first["call"]["id"]
    assert (second["call"]["state"], second["call"]["mine"]) == ("up", "accepted")
    assert ("ring", "ann") not in served.house.events("ann")


async def test_group_rings_only_when_asked_and_only_members_who_are_not_in(served: Calls) -> None:
    room = await served.room("bob", "cy", "dora")
    begun = await served.good("ann", room)
    assert begun["call"]["state"] == "idle" and not served.house.told["bob"]
    assert (await served.act("bob", room, "ring")).code == "not_permitted"
    await served.house.come(room, "ann", "dora")
    rung = await served.good("ann", room, "ring", accounts=["bob"])
    assert [callee["account"] for callee in rung["callees"]] == ["bob"]
    await served.good("dora", room, "ring")
    assert [name for name in ("ann", "bob", "cy", "dora") if served.house.events(name)
            and ("ring", name) in served.house.events(name)] == ["bob", "cy"]  # fmt: skip
    assert served.house.events("bob").count(("ring", "bob")) == 1
    assert (await served.act("ann", room, "ring", accounts=["eve"])).status == 404
    await served.good("cy", room, "reject")
    again = await served.good("ann", room, "ring", accounts=["cy"])
    assert {c["account"]: c["outcome"] for c in again["callees"]}["cy"] == "ringing"


async def test_strangers_and_blocked_callers_ring_nobody(served: Calls) -> None:
    room = await served.room("bob")
    absent = "01a00000-0000-7000-8000-000000000000"
    for verb in ("", "ring", "accept", "reject", "cancel", "lobby/admit"):
        met, nobodys = await served.act("eve", room, verb), await served.act("eve", absent, verb)
        assert (met.status, met.code) == (nobodys.status, nobodys.code) == (404, "room_not_found")
    assert (await served.act("", room)).status == 401
    pair = await served.direct("cy", "dora")
    assert (await served.ask("dora", "PUT", "/blocks/cy")).status in (200, 201, 204)
    begun = await served.good("cy", pair)
    assert begun["call"]["callees"][0]["outcome"] == "ringing"
    assert not served.house.told["dora"] and not served.house.phones.notices["dora"]
    assert await served.history("dora") == []


async def test_announcement_room_is_rung_by_moderators_alone(served: Calls) -> None:
    room = await served.room("bob", kind="announcement")
    assert (await served.act("bob", room, ring=True)).code == "not_permitted"
    await served.good("ann", room, ring=True)
    assert ("ring", "bob") in served.house.events("bob")


async def test_two_processes_make_one_call_and_let_one_device_answer(lasting: Ground) -> None:
    bus = LocalBus(lasting.clock)
    async with calling(lasting, bus) as one, calling(lasting, bus) as other:
        for first, second in (("ann", "bob"), ("cy", "dora"), ("eve", "ann")):
            room = await one.direct(first, second)
            both = await asyncio.gather(one.good(first, room), other.good(second, room))
            assert both[0]["call"]["id"] == both[1]["call"]["id"]
            call = await one.call(first, room)
            assert (call["state"], len(call["callees"])) == ("up", 1)
            # Who accepted is busy for others until it ends.
            assert (await other.ask(first, "DELETE", f"/rooms/{room}/call")).status == 200
        room = await one.direct("bob", "cy")
        begun = await one.good("bob", room)
        answers = await asyncio.gather(
            one.act("cy/phone", room, "accept"), other.act("cy/laptop", room, "accept")
        )
        assert sorted(answer.status for answer in answers) == [200, 409]
        for process in (one, other):
            told = [h.event for h in process.house.told["cy"] if h.call == begun["call"]["id"]]
            assert told == ["ring", "accepted"]


async def test_ring_survives_a_restart_and_times_out_in_the_next_process(lasting: Ground) -> None:
    async with calling(lasting, LocalBus(lasting.clock)) as first:
        room = await first.direct()
        begun = await first.good("ann", room)
        await first.house.come(room, "ann")
    async with calling(lasting, LocalBus(lasting.clock)) as second:
        assert (await second.call("bob", room))["mine"] == "ringing"
        await second.house.ringing.keeper.catch_up(APP)
        await second.house.come(room, "ann")
        await second.house.pass_time(19)
        taken = await second.good("bob", room, "accept")
        assert taken["call"]["id"] == begun["call"]["id"] and taken["token"]
    async with calling(lasting, LocalBus(lasting.clock)) as third:
        # Its media went with the process, and nobody came back.
        await third.house.ringing.keeper.catch_up(APP)
        await third.house.pass_time(21)
        await third.house.pass_time(60)
        call = (await third.history("bob"))[0]
        assert (call["state"], call["outcome"], call["seconds"]) == ("ended", "ended", 0)
        assert [one["state"] for one in await third.timeline("ann", room)] == ["ended"]


async def test_what_a_crash_kept_from_the_timeline_is_written_later(lasting: Ground) -> None:
    async with calling(lasting, LocalBus(lasting.clock)) as first:
        room = await first.direct()

        async def crash(app: str, ident: str) -> None:
            return None

        first.house.calls.following.write = crash  # type: ignore[method-assign]
        await first.good("ann", room)
        await first.good("bob", room, "reject")
        assert await first.timeline("ann", room) == []
    async with calling(lasting, LocalBus(lasting.clock)) as second:
        lasting.clock.advance(6)
        await second.house.ringing.keeper.catch_up(APP)
        assert [one["state"] for one in await second.timeline("ann", room)] == ["rejected"]
        await second.house.ringing.keeper.catch_up(APP)
        assert len(await second.timeline("ann", room)) == 1


async def test_encryption_is_none_and_required_is_refused(served: Calls) -> None:
    wish = {"kind": "group", "settings": {"call_encryption": "required"}}
    refused = await served.ask("ann", "POST", "/rooms", wish)
    assert (refused.status, refused.code) == (422, Code.ENCRYPTION_UNAVAILABLE)
    room = await served.room("bob")
    begun = await served.good("ann", room)
    assert begun["encryption"] == begun["call"]["encryption"] == "none"
    assert (await served.ask("ann", "GET", f"/rooms/{room}")).body["call_encryption"] == "none"


async def test_a_wish_that_is_none_is_refused(served: Calls) -> None:
    room = await served.direct()
    assert (await served.act("ann", room, name="a\nb")).status == 422
    await served.ask("ann", "DELETE", f"/rooms/{room}/call")
    assert (await served.act("ann", room, rings=True)).status == 422
    for verb, wish in (("reject", {"reason": "accepted"}), ("ring", {"accounts": ["x"] * 101})):
        assert (await served.act("ann", room, verb, **wish)).status == 422
    gone = await served.act("ann", room, "accept", call="01a00000-0000-7000-8000-000000000000")
    assert gone.code == "not_found"
