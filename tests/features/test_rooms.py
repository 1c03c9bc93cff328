"""What kinds of rooms there are, what people are in them, and how they get in."""

from __future__ import annotations

from tests.features.town import Shown, Town


async def test_direct_room(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    async with bob.phone() as phone:
        await phone.leave()
        room = await ann.room(bob, kind="direct", name="")
        sent = await ann.post(room)
        again = await bob.ask("POST", "/rooms", {"kind": "direct", "members": [ann.id]})
        assert (again.status, again.body["id"]) == (200, room), "a pair has one"
        shown.allowed()
        third = await ann.ask("PUT", f"/rooms/{room}/members/{town.cy.id}", {})
        shown.refused(third, 403, "not_permitted")
        shown.refused(await town.cy.ask("GET", f"/rooms/{room}"), 404, "room_not_found")
        await phone.back(room)
        assert [one.id for one in phone.messages(room)] == [sent["id"]]
        shown.offline()


async def test_group_room(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room(bob, kind="group", name="Tea", topic="leaves")
    async with bob.phone(room) as phone:
        async with phone.away():
            await ann.must("PUT", f"/rooms/{room}/members/{cy.id}", {})
            await ann.change(room, name="Mate")
            await cy.post(room, "hello all")
            shown.allowed()
        assert phone.texts(room) == ["hello all"]
        assert (phone.state(room).name, phone.part(room, cy.id)) == ("Mate", "member")
        shown.offline()
    stranger = await town.person()
    for method, path, body in (
        ("GET", f"/rooms/{room}", None), ("POST", f"/rooms/{room}/messages", {"text": "x"}),
        ("POST", f"/rooms/{room}/join", None),
    ):  # fmt: skip
        shown.refused(await stranger.ask(method, path, body), 404, "room_not_found")


async def test_private_room(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room(bob, kind="private", name="Secret garden")
    shown.refused(await cy.ask("GET", f"/rooms/{room}"), 404, "room_not_found")
    shown.refused(await cy.ask("POST", f"/rooms/{room}/join"), 404, "room_not_found")
    listed = (await cy.must("GET", "/public-rooms?limit=100"))["items"]
    assert room not in [one["id"] for one in listed]
    async with bob.phone(room) as phone:
        async with phone.away():
            await ann.post(room, "between us")
            await ann.must("PUT", f"/rooms/{room}/members/{cy.id}", {})
        shown.allowed()
        assert phone.texts(room) == ["between us"] and phone.part(room, cy.id) == "member"
        shown.offline()


async def test_public_room(town: Town, shown: Shown) -> None:
    ann, cy = town.ann, town.cy
    room = await ann.room(kind="public", name="Lounge", settings={"join": "open"})
    listed = (await cy.must("GET", "/public-rooms?limit=100"))["items"]
    assert (room, "none") in [(one["id"], one["part"]) for one in listed]
    early = await cy.ask("POST", f"/rooms/{room}/messages", {"text": "hi"})
    shown.refused(early, 403, "not_permitted")
    async with ann.phone(room) as phone:
        async with phone.away():
            await cy.must("POST", f"/rooms/{room}/join")
            await cy.post(room, "I found you")
            shown.allowed()
        assert phone.texts(room) == ["I found you"] and phone.part(room, cy.id) == "member"
        shown.offline()
    club = await ann.room(kind="public", name="Club")
    shown.refused(await cy.ask("POST", f"/rooms/{club}/join"), 403, "not_permitted")


async def test_announcement_room(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob, kind="announcement", name="News")
    async with bob.phone(room) as phone:
        async with phone.away():
            await ann.post(room, "Hear ye")
            shown.allowed()
        phone.client.room(room).post("me too")
        await phone.here()
        assert phone.texts(room) == ["Hear ye"], "what a member's device wrote is undone"
        assert len(phone.client.room(room).replica.refused) == 1
        shown.offline()
    answer = await bob.ask("POST", f"/rooms/{room}/messages", {"text": "me too"})
    shown.refused(answer, 403, "not_permitted")


async def test_owner(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    mine, theirs = (f"/rooms/{room}/members/{one.id}" for one in (ann, bob))
    shown.refused(await bob.ask("PUT", theirs, {"part": "owner"}), 403, "not_permitted")
    shown.refused(await ann.ask("DELETE", mine), 409, "last_owner")
    async with bob.phone(room) as phone:
        async with phone.away():
            await ann.must("PUT", theirs, {"part": "owner"})
            await ann.must("DELETE", mine)
        assert (phone.part(room, bob.id), phone.part(room, ann.id)) == ("owner", "none")
        shown.offline()
    await bob.must("PUT", mine, {"part": "moderator"})
    shown.allowed()


async def test_moderators(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room(bob, cy)
    boss, helper, plain = (f"/rooms/{room}/members/{one.id}" for one in (ann, bob, cy))
    shown.refused(await bob.ask("DELETE", plain), 403, "not_permitted")
    rude = await cy.post(room, "rude")
    async with cy.phone(room) as phone:
        async with phone.away():
            await ann.must("PUT", helper, {"part": "moderator"})
            await bob.must("DELETE", f"/rooms/{room}/messages/{rude['id']}")
        assert phone.part(room, bob.id) == "moderator"
        assert phone.message(room, rude["id"]).deleted is not None
        shown.offline()
    await bob.must("DELETE", plain)
    shown.allowed()
    shown.refused(await bob.ask("DELETE", boss), 403, "not_permitted")
    shown.refused(await bob.ask("PUT", helper, {"part": "owner"}), 403, "not_permitted")


async def test_members(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room(bob)
    at = f"/rooms/{room}/members"
    async with bob.phone(room) as phone:
        async with phone.away():
            await ann.must("PUT", f"{at}/{cy.id}", {})
            await cy.must("DELETE", f"{at}/{cy.id}")
        assert phone.part(room, cy.id) == "none"
        shown.offline()
    listed = {one["account"]: one["part"] for one in (await bob.must("GET", at))["items"]}
    assert listed == {ann.id: "owner", bob.id: "member"}
    shown.allowed()
    shown.refused(await cy.ask("GET", at), 404, "room_not_found")
    shown.refused(await bob.ask("PUT", f"{at}/{cy.id}", {}), 403, "not_permitted")
    shown.refused(await ann.ask("PUT", f"{at}/nobody", {}), 404, "not_found")


async def test_banned(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room(bob, kind="public", settings={"join": "open"})
    at = f"/rooms/{room}"
    async with bob.phone(room) as phone:
        await phone.leave()
        await ann.must("PUT", f"{at}/members/{bob.id}", {"part": "banned", "reason": "rude"})
        await ann.post(room, "without him")
        await phone.client.start()
        await phone.until(lambda: any("error 2" in line for line in phone.client.log.read()))
        assert phone.texts(room) == [], "nothing that was said after the ban reaches the device"
        shown.offline()
    for method, tail, body in (
        ("GET", "", None), ("POST", "/join", None), ("POST", "/messages", {"text": "again"}),
    ):  # fmt: skip
        shown.refused(await bob.ask(method, at + tail, body), 403, "banned")
    assert (await cy.must("POST", f"{at}/join"))["part"] == "member"
    await ann.must("PUT", f"{at}/members/{bob.id}", {})
    await bob.post(room, "back")
    shown.allowed()


async def test_invites_with_expiry_and_uses(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room()
    at = f"/rooms/{room}/invites"
    once = await ann.must("POST", at, {"uses": 1})
    brief = await ann.must("POST", at, {"uses": 0, "expires_in": 60})
    gone = await ann.must("POST", at, {})
    async with ann.phone(room) as phone:
        async with phone.away():
            await bob.must("POST", "/room-invites/accept", {"secret": once["secret"]})
            shown.allowed()
        assert phone.part(room, bob.id) == "member"
        shown.offline()
    await ann.must("DELETE", f"{at}/{gone['invite']['id']}")
    town.house.move_on(61)
    for spent in (once, brief, gone):
        answer = await cy.ask("POST", "/room-invites/accept", {"secret": spent["secret"]})
        shown.refused(answer, 410, "link_invalid")
    shown.refused(await bob.ask("POST", at, {}), 403, "not_permitted")


async def test_join_requests(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room(bob, name="Club", settings={"join": "request"})
    at = f"/rooms/{room}/requests"
    await cy.must("POST", at, {"text": "let me in"})
    shown.refused(await cy.ask("POST", f"/rooms/{room}/join"), 403, "not_permitted")
    shown.refused(await bob.ask("GET", at), 403, "not_permitted")
    (asked,) = (await ann.must("GET", at))["items"]
    assert (asked["account"], asked["text"]) == (cy.id, "let me in")
    async with bob.phone(room) as phone:
        async with phone.away():
            await ann.must("POST", f"{at}/{cy.id}", {"accept": True})
            await cy.post(room, "thank you")
            shown.allowed()
        assert phone.texts(room) == ["thank you"] and phone.part(room, cy.id) == "member"
        shown.offline()
    again = await cy.ask("POST", at, {})
    shown.refused(again, 409, "conflict")
