"""Ringing and what comes of it, the lobby, and what a call leaves in its room.

Long because each verb is told by what another device of the same account makes of it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.features.town import Annex, Person, Phone, Shown, Town, until
from tests.interop import clients
from tests.interop.peer import running
from tests.rows.house import Answer
from tests.signaling.calls.test_server import joins


async def act(person: Person, room: str, verb: str = "", **wish: Any) -> Answer:
    return await person.ask("POST", f"/rooms/{room}/call" + (f"/{verb}" if verb else ""), wish)


async def good(person: Person, room: str, verb: str = "", **wish: Any) -> Any:
    answer = await act(person, room, verb, **wish)
    assert answer.status == 200, answer.text
    return answer.body


async def open_calls(person: Person) -> list[Any]:
    return list((await person.must("GET", "/calls?open=true"))["items"])


async def told(phone: Phone, event: str) -> dict[str, Any]:
    """The first frame of a call that says so."""
    await phone.until(lambda: bool(phone.heard("call", event=event)))
    return phone.heard("call", event=event)[0]


async def left(phone: Phone, room: str, state: str) -> list[str]:
    """A message of a call in the device's own copy of the room: whom it names."""

    def calls() -> list[Any]:
        return [one.call for one in phone.messages(room) if one.call is not None]

    await phone.until(lambda: bool(calls()) and calls()[-1].state == state)
    return list(calls()[-1].accounts)


async def test_call(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, kind="direct", name="")
    desk = await bob.again()
    async with bob.phone(room) as phone, desk.phone() as other:
        async with other.away():
            begun = await good(ann, room, video=True)
            assert begun["token"] and begun["identity"].startswith(ann.id)
            ring = await told(phone, "ring")
            assert (ring["room"], ring["caller"], ring["video"]) == (room, ann.id, True)
            shown.allowed()
        (waits,) = await open_calls(desk)
        assert (waits["id"], waits["mine"]) == (begun["call"]["id"], "ringing")
        shown.offline()
    shown.refused(await act(town.cy, room), 404, "room_not_found")
    shown.refused(await act(ann, room, name="a\nb"), 422, "fields_invalid")
    wish = {"kind": "group", "settings": {"call_encryption": "required"}}
    shown.refused(await ann.ask("POST", "/rooms", wish), 422, "encryption_unavailable")
    await ann.must("DELETE", f"/rooms/{room}/call")


async def test_ring(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, town.cy)
    desk = await bob.again()
    async with bob.phone(room) as phone, desk.phone() as other:
        begun = await good(ann, room)
        assert begun["call"]["state"] == "idle"
        shown.refused(await act(bob, room, "ring"), 403, "not_permitted")
        async with other.away():
            rung = await good(ann, room, "ring", accounts=[bob.id])
            assert [one["account"] for one in rung["callees"]] == [bob.id]
            assert (await told(phone, "ring"))["call"] == begun["call"]["id"]
            shown.allowed()
        assert [one["mine"] for one in await open_calls(desk)] == ["ringing"]
        shown.offline()
        stranger = await town.person()
        outside = await act(ann, room, "ring", accounts=[stranger.id])
        shown.refused(outside, 404, "not_found")
    await ann.must("DELETE", f"/rooms/{room}/call")


async def test_accept(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, kind="direct", name="")
    shown.refused(await act(bob, room, "accept"), 404, "not_found")
    async with ann.phone(room) as caller, bob.phone(room) as phone:
        async with phone.away():
            begun = await good(ann, room)
        (waits,) = await open_calls(phone.person)
        taken = await good(bob, room, "accept", call=waits["id"])
        assert taken["token"] and taken["identity"].startswith(bob.id)
        shown.offline()
        assert (await told(caller, "accepted"))["account"] == bob.id
        shown.allowed()
    await ann.must("DELETE", f"/rooms/{room}/call")
    late = await act(bob, room, "accept", call=begun["call"]["id"])
    shown.refused(late, 409, "conflict")
    shown.refused(await act(town.cy, room, "accept"), 404, "room_not_found")


async def test_reject(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, kind="direct", name="")
    tablet = await ann.again()
    async with ann.phone(room) as caller, tablet.phone(room) as away, bob.phone() as phone:
        async with away.away():
            begun = await good(ann, room)
            await told(phone, "ring")
            done = await good(bob, room, "reject")
            assert (done["state"], done["outcome"], done["mine"]) == (
                "ended", "rejected", "rejected",
            )  # fmt: skip
            assert (await told(caller, "rejected"))["account"] == bob.id
            shown.allowed()
        assert await left(away, room, "rejected") == [ann.id, bob.id]
        shown.offline()
    late = await act(bob, room, "accept", call=begun["call"]["id"])
    shown.refused(late, 409, "conflict")
    shown.refused(await act(bob, room, "reject", reason="tired"), 422, "fields_invalid")


async def test_reject_by_plain_http(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, kind="direct", name="")
    async with ann.phone(room) as phone:
        async with phone.away():
            await good(ann, room)
            (waits,) = await open_calls(bob)
            token = waits["reject_token"]
            body = {"token": token}
            wrong = await town.there.ask("POST", "/calls/reject", {"token": token[:-1] + "AB"})
            shown.refused(wrong, 401, "token_invalid")
            answer = await town.there.ask("POST", "/calls/reject", body)
            assert answer.status == 204, answer.text
            shown.allowed()
        assert await left(phone, room, "rejected") == [ann.id, bob.id]
        shown.offline()
    shown.refused(await town.there.ask("POST", "/calls/reject", body), 409, "conflict")


async def test_busy(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    other = await town.person()
    elsewhere = await other.room(bob, kind="direct", name="")
    room = await ann.room(bob, kind="direct", name="")
    await good(other, elsewhere)
    await good(bob, elsewhere, "accept")
    async with bob.phone(room) as phone:
        async with phone.away():
            begun = await good(ann, room)
            assert begun["token"] is None
            assert begun["call"]["outcome"] == "missed"
            assert [one["outcome"] for one in begun["call"]["callees"]] == ["busy"]
        assert bob.id in await left(phone, room, "missed")
        assert not phone.heard("call", event="ring", room=room)
        shown.offline()
        # A device may say so itself.
        await bob.must("DELETE", f"/rooms/{elsewhere}/call")
        await good(ann, room)
        assert (await good(bob, room, "reject", reason="busy"))["mine"] == "busy"
        shown.allowed()
    shown.note("not rung")
    shown.refused(await act(bob, room, "reject", reason="busy"), 404, "not_found")


async def test_cancel(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    cy = await town.person()
    room = await ann.room(bob, cy)
    tablet = await cy.again()
    async with cy.phone(room) as phone, tablet.phone(room) as away:
        async with away.away():
            await good(bob, room, ring=True)
            await told(phone, "ring")
            shown.refused(await act(cy, room, "cancel"), 403, "not_permitted")
            ended = await good(bob, room, "cancel")
            assert (ended["state"], ended["outcome"]) == ("ended", "cancelled")
            assert (await told(phone, "cancelled"))["account"] == cy.id
            shown.allowed()
        assert bob.id in await left(away, room, "cancelled")
        assert await open_calls(tablet) == []
        shown.offline()
    shown.refused(await act(bob, room, "cancel"), 404, "not_found")


async def test_timeout(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, kind="direct", name="")
    async with ann.phone(room) as caller, bob.phone(room) as phone:
        async with phone.away():
            begun = await good(ann, room)
            town.house.move_on(46)
            assert (await told(caller, "timed_out"))["account"] == bob.id
            shown.allowed()
        assert await left(phone, room, "missed") == [ann.id, bob.id]
        shown.offline()
    late = await act(bob, room, "accept", call=begun["call"]["id"])
    shown.refused(late, 409, "conflict")
    assert late.body["outcome"] == "timed_out"


async def test_answered_elsewhere(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, kind="direct", name="")
    desk, tablet = await bob.again(), await bob.again()
    async with bob.phone(room) as phone, tablet.phone(room) as away:
        async with away.away():
            await good(ann, room)
            await told(phone, "ring")
            assert (await good(desk, room, "accept"))["token"]
            assert (await told(phone, "accepted"))["elsewhere"] is True
            shown.allowed()
        assert [one["mine"] for one in await open_calls(tablet)] == ["accepted"]
        assert not away.heard("call", event="ring")
        shown.offline()
    for late in (bob, tablet):
        answer = await act(late, room, "accept")
        shown.refused(answer, 409, "conflict")
        assert answer.body["outcome"] == "accepted"
    await ann.must("DELETE", f"/rooms/{room}/call")


async def test_call_history(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, kind="direct", name="")
    made = []
    async with bob.phone(room) as phone:
        async with phone.away():
            for _ in range(2):
                made.append((await good(ann, room))["call"]["id"])
                await good(ann, room, "cancel")
        listed = (await phone.person.must("GET", "/calls"))["items"]
        assert [(one["id"], one["outcome"]) for one in listed] == [
            (made[1], "cancelled"), (made[0], "cancelled"),
        ]  # fmt: skip
        shown.offline()
    page = await ann.must("GET", "/calls?limit=1")
    rest = await ann.must("GET", f"/calls?limit=1&cursor={page['next_cursor']}")
    assert [one["id"] for one in (*page["items"], *rest["items"])] == made[::-1]
    assert (await ann.must("GET", f"/calls/{made[0]}"))["caller"] == ann.id
    shown.allowed()
    shown.refused(await town.cy.ask("GET", f"/calls/{made[0]}"), 404, "not_found")


async def test_lobby(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    cy = await town.person()
    room = await ann.room(bob, cy, settings={"lobby": "everybody"})
    await good(ann, room)
    at = f"/rooms/{room}/call/lobby"
    async with ann.phone() as host, bob.phone() as phone:
        waits = await good(bob, room)
        assert waits["call"]["waiting"] and waits["token"] is None
        assert (await told(host, "knock"))["account"] == bob.id
        shown.refused(await bob.ask("GET", at), 403, "not_permitted")
        shown.refused(await bob.ask("POST", f"{at}/admit", {}), 403, "not_permitted")
        async with phone.away():
            await good(cy, room)
            queue = (await ann.must("GET", at))["waiting"]
            assert [one["account"] for one in queue] == [bob.id, cy.id]
            await ann.must("POST", f"{at}/admit", {"accounts": [bob.id]})
            await ann.must("POST", f"{at}/deny", {"account": cy.id})
        assert (await good(phone.person, room))["token"]
        shown.offline()
        shown.allowed()
    shown.refused(await act(cy, room), 403, "not_permitted")
    await ann.must("DELETE", f"/rooms/{room}/call")


async def test_call_messages(annex: Annex, shown: Shown, tmp_path: Path) -> None:
    ann, bob = await annex.pair()
    room = await ann.room(bob, name="Tea")
    starting = [clients.start("libwebrtc", tmp_path, name=name) for name in ("ann", "bob")]
    async with bob.phone(room) as phone, running(*starting) as (one, two):
        async with phone.away():
            await joins(one, annex.house, await good(ann, room))
            await until(lambda: _is(ann, room, "started"))
            await joins(two, annex.house, await good(bob, room))
            await until(lambda: _inside(ann, room, {ann.id, bob.id}))
            await asyncio.gather(one.do("leave"), two.do("leave"))
            await until(lambda: _is(ann, room, "ended"))
            await good(ann, room, ring=True)
            await good(ann, room, "cancel")
            shown.allowed()
        first, second = [one.call for one in phone.messages(room) if one.call is not None]
        assert (first.state, set(first.accounts)) == ("ended", {ann.id, bob.id})
        assert (second.state, first.encryption) == ("cancelled", "none")
        shown.offline()
    # They are the server's to write.
    forged = {"text": "x", "kind": "call", "call": {"state": "ended"}}
    shown.refused(await bob.ask("POST", f"/rooms/{room}/messages", forged), 422, "fields_invalid")
    stranger = await annex.person()
    shown.refused(await stranger.ask("GET", f"/rooms/{room}/messages"), 404, "room_not_found")


async def _is(person: Person, room: str, state: str) -> bool:
    """The newest message of a call says so."""
    found = (await person.must("GET", f"/rooms/{room}/messages"))["items"]
    return bool(found) and found[0]["call"]["state"] == state


async def _inside(person: Person, room: str, accounts: set[str]) -> bool:
    return set((await person.must("GET", f"/rooms/{room}/call"))["inside"]) == accounts
