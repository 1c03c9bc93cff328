"""What people say, and what happens to it afterwards."""

from __future__ import annotations

from tests.features.town import Shown, Town, until

UNKNOWN = "01a00000-0000-7000-8000-000000000000"
TEA = "%F0%9F%8D%B5"


async def test_posts_with_an_envelope_and_a_body(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    at = f"/rooms/{room}/messages"
    async with bob.phone(room) as phone:
        async with phone.away():
            wish = {"kind": "note", "mentions": {"accounts": [bob.id]}, "custom": {"ticket": 7}}
            sent = await ann.post(room, "**hello**", **wish)
            shown.allowed()
        seen = phone.message(room, sent["id"])
        assert (seen.account, seen.kind, seen.custom) == (ann.id, "note", {"ticket": 7})
        assert seen.mentions is not None and seen.mentions.accounts == (bob.id,)
        assert phone.texts(room) == ["**hello**"]
        shown.offline()
    for wrong in ({}, {"text": ""}, {"text": "x" * 16_001}, {"text": "x", "account": ann.id}):
        shown.refused(await bob.ask("POST", at, wrong), 422, "fields_invalid")
    shown.refused(await town.cy.ask("POST", at, {"text": "x"}), 404, "room_not_found")


async def test_replies(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    first = await bob.post(room, "tea?")
    async with bob.phone(room) as phone:
        async with phone.away():
            answer = await ann.post(room, "yes, please", reply_to=first["id"])
            shown.allowed()
        assert phone.message(room, answer["id"]).reply_to == first["id"]
        assert phone.texts(room) == ["tea?", "yes, please"]
        shown.offline()
        own = phone.client.new_id()
    wish = {"id": own, "text": "me", "reply_to": own}
    at = f"/rooms/{room}/messages"
    shown.refused(await bob.ask("POST", at, wish), 422, "fields_invalid")
    shown.refused(await bob.ask("POST", at, {"text": "x", "reply_to": "no id"}), 422,
                  "fields_invalid")  # fmt: skip


async def test_threads(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    root = await ann.post(room, "root")
    async with bob.phone(room) as phone:
        async with phone.away():
            for n in range(3):
                last = await ann.post(room, f"r{n}", parent=root["id"])
            await ann.must("DELETE", f"/rooms/{room}/messages/{last['id']}")
        thread = phone.message(room, root["id"]).thread
        assert thread is not None and (thread.replies, thread.accounts) == (2, (ann.id,))
        shown.offline()
    listed = (await bob.must("GET", f"/rooms/{room}/messages?parent={root['id']}"))["items"]
    assert [one["body"]["text"] for one in listed if "body" in one] == ["r0", "r1"]
    assert (await bob.unread(room))["threads"] == {root["id"]: 2}
    shown.allowed()
    nowhere = await bob.ask("GET", f"/rooms/{room}/messages?parent={UNKNOWN}")
    shown.refused(nowhere, 404, "message_not_found")
    stranger = await town.cy.ask("GET", f"/rooms/{room}/messages?parent={root['id']}")
    shown.refused(stranger, 404, "room_not_found")


async def test_edits_with_history(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    sent = await ann.post(room, "helo")
    one = f"/rooms/{room}/messages/{sent['id']}"
    etag = (await ann.ask("GET", one)).headers["ETag"]
    async with bob.phone(room) as phone:
        async with phone.away():
            await ann.must("PATCH", one, {"text": "hello"}, **{"If-Match": etag})
            shown.allowed()
        seen = phone.message(room, sent["id"])
        assert phone.texts(room) == ["hello"] and seen.edited_at is not None
        assert [getattr(version.body, "text", "") for version in seen.edits] == ["helo"]
        shown.offline()
    late = await ann.ask("PATCH", one, {"text": "hallo"}, **{"If-Match": etag})
    shown.refused(late, 412, "precondition_failed")
    shown.refused(await bob.ask("PATCH", one, {"text": "mine"}), 403, "not_permitted")


async def test_delete_for_me(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    sent, _ = await ann.post(room, "one"), await ann.post(room, "two")
    at = f"/rooms/{room}/messages/{sent['id']}/hidden"
    async with bob.phone(room) as phone:
        desk = await bob.again()
        async with phone.away():
            await desk.must("PUT", at)
        assert phone.client.own().state().hides(room, sent["id"], sent["seq"])
        shown.offline()
    assert (await bob.texts(room), await ann.texts(room)) == (["two"], ["one", "two"])
    shown.allowed()
    shown.refused(await town.cy.ask("PUT", at), 404, "room_not_found")
    unknown = await bob.ask("PUT", f"/rooms/{room}/messages/{UNKNOWN}/hidden")
    shown.refused(unknown, 404, "message_not_found")


async def test_delete_for_everyone(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room(bob, cy)
    at = f"/rooms/{room}/messages"
    mine, theirs = await bob.post(room, "mine"), await cy.post(room, "theirs")
    shown.refused(await bob.ask("DELETE", f"{at}/{theirs['id']}"), 403, "not_permitted")
    async with cy.phone(room) as phone:
        assert phone.texts(room) == ["mine", "theirs"]
        async with phone.away():
            await bob.must("DELETE", f"{at}/{mine['id']}")
            await ann.must("DELETE", f"{at}/{theirs['id']}")
        for sent, by in ((mine, bob), (theirs, ann)):
            seen = phone.message(room, sent["id"])
            assert seen.deleted is not None and seen.deleted.by == by.id and seen.body is None
        shown.offline()
    assert await ann.texts(room) == []
    shown.allowed()
    again = await cy.ask("PATCH", f"{at}/{theirs['id']}", {"text": "back"})
    shown.refused(again, 404, "message_not_found")


async def test_reactions(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    sent = await ann.post(room, "tea?")
    at = f"/rooms/{room}/messages/{sent['id']}/reactions"
    async with ann.phone(room) as phone:
        async with phone.away():
            for _ in range(2):
                await bob.must("PUT", f"{at}/{TEA}", {})
            await bob.must("PUT", f"{at}/x", {})
            await bob.must("DELETE", f"{at}/x")
            shown.allowed()
        (seen,) = phone.message(room, sent["id"]).reactions
        assert (seen.emoji, seen.accounts) == ("\U0001f375", (bob.id,))
        shown.offline()
    shown.refused(await town.cy.ask("PUT", f"{at}/{TEA}", {}), 404, "room_not_found")
    elsewhere = f"/rooms/{room}/messages/{UNKNOWN}/reactions/{TEA}"
    shown.refused(await bob.ask("PUT", elsewhere, {}), 404, "message_not_found")


async def test_pins(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    first, second = await bob.post(room, "one"), await bob.post(room, "two")
    pins = [f"/rooms/{room}/messages/{sent['id']}/pin" for sent in (first, second)]
    shown.refused(await bob.ask("PUT", pins[0]), 403, "not_permitted")
    async with bob.phone(room) as phone:
        async with phone.away():
            for pin in pins:
                await ann.must("PUT", pin)
            await ann.must("DELETE", pins[0])
        assert phone.message(room, second["id"]).pinned
        assert phone.state(room).pinned() == [second["id"]]
        shown.offline()
    listed = (await bob.must("GET", f"/rooms/{room}/pins"))["items"]
    assert [one["id"] for one in listed] == [second["id"]]
    shown.allowed()
    shown.refused(await town.cy.ask("GET", f"/rooms/{room}/pins"), 404, "room_not_found")


async def test_mentions(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    async with bob.phone(room) as phone:
        async with phone.away():
            one = await ann.post(room, "@bob", mentions={"accounts": [bob.id]})
            everybody = await ann.post(room, "all!", mentions={"room": True})
            await ann.post(room, "nobody in particular")
        counts = await bob.unread(room)
        assert (counts["messages"], counts["mentions"]) == (3, 2)
        shown.allowed()
        named = [phone.message(room, sent["id"]).mentions for sent in (one, everybody)]
        assert named[0] is not None and named[0].accounts == (bob.id,)
        assert named[1] is not None and named[1].room
        shown.offline()
    wish = {"text": "all!", "mentions": {"room": True}}
    answer = await bob.ask("POST", f"/rooms/{room}/messages", wish)
    shown.refused(answer, 403, "not_permitted")


async def test_per_message_expiry(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    sent, _ = await ann.post(room, "brief", ttl=60), await ann.post(room, "lasting")
    one = f"/rooms/{room}/messages/{sent['id']}"
    async with bob.phone(room) as phone:
        assert phone.texts(room) == ["brief", "lasting"]
        shown.allowed()
        await phone.leave()
        town.house.move_on(61)
        shown.refused(await bob.ask("GET", one), 404, "message_not_found")
        await phone.back()
        await phone.until(lambda: phone.texts(room) == ["lasting"])
        shown.offline()
    wish = {"text": "x", "ttl": 0}
    shown.refused(await bob.ask("POST", f"/rooms/{room}/messages", wish), 422, "fields_invalid")


async def test_forwarding(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    source, target = await ann.room(bob), await bob.room(cy)
    sent = await ann.post(source, "news")
    at = f"/rooms/{source}/messages/{sent['id']}/forward"
    async with cy.phone(target) as phone:
        async with phone.away():
            await bob.must("POST", at, {"to": target})
            shown.allowed()
        (seen,) = phone.messages(target)
        assert seen.forwarded is not None and phone.texts(target) == ["news"]
        assert (seen.forwarded.room, seen.forwarded.account) == (source, ann.id)
        shown.offline()
    shown.refused(await ann.ask("POST", at, {"to": target}), 404, "room_not_found")
    shown.refused(await cy.ask("POST", at, {"to": target}), 404, "room_not_found")
    await ann.must("DELETE", f"/rooms/{source}/messages/{sent['id']}")
    shown.refused(await bob.ask("POST", at, {"to": target}), 409, "conflict")


async def test_polls(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    body = {"format": "m.plain.v1", "text": "When?", "options": ["Mon", "Tue"]}
    wish = {"body": body, "kind": "poll", "poll": {"options": 2}}
    poll = await ann.must("POST", f"/rooms/{room}/messages", wish)
    one = f"/rooms/{room}/messages/{poll['id']}"
    shown.refused(await bob.ask("PUT", f"{one}/vote", {"choices": [0, 1]}), 422, "fields_invalid")
    shown.refused(await bob.ask("POST", f"{one}/close"), 403, "not_permitted")
    async with bob.phone(room) as phone:
        await bob.must("PUT", f"{one}/vote", {"choices": [1]})
        async with phone.away():
            await ann.must("PUT", f"{one}/vote", {"choices": [0]})
            await ann.must("POST", f"{one}/close")
            shown.allowed()
        seen = phone.message(room, poll["id"]).poll
        assert seen is not None and (seen.closed, seen.votes) == (True, ((ann.id,), (bob.id,)))
        shown.offline()
    shown.refused(await bob.ask("PUT", f"{one}/vote", {"choices": [0]}), 409, "conflict")


async def test_custom_data(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob, custom={"project": "tea"})
    async with bob.phone(room) as phone:
        desk = await bob.again()
        async with phone.away():
            await ann.change(room, custom={"project": "mate", "year": 2027})
            sent = await ann.post(room, "hello", custom={"urgent": True})
            await desk.must("PATCH", "/preferences", {"custom": {"theme": "dark"}})
            shown.allowed()
        assert phone.state(room).custom == {"project": "mate", "year": 2027}
        assert phone.message(room, sent["id"]).custom == {"urgent": True}
        assert phone.client.own().preferences().custom == {"theme": "dark"}
        shown.offline()
    for custom in ({"a": [1]}, {"a b": 1}, {f"f{n}": "x" * 1000 for n in range(5)}):
        wish = {"text": "x", "custom": custom}
        answer = await bob.ask("POST", f"/rooms/{room}/messages", wish)
        shown.refused(answer, 422, "fields_invalid")


async def test_silent_posts(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    async with bob.phone(room) as phone:
        async with phone.away():
            sent = await ann.post(room, "psst", silent=True, mentions={"accounts": [bob.id]})
            counts = await bob.unread(room)
            assert (counts["messages"], counts["mentions"]) == (0, 0)
            shown.allowed()
        assert phone.message(room, sent["id"]).silent and phone.texts(room) == ["psst"]
        shown.offline()
    wish = {"text": "x", "silent": "yes"}
    shown.refused(await bob.ask("POST", f"/rooms/{room}/messages", wish), 422, "fields_invalid")


async def test_scheduled_posts(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    at = f"/rooms/{room}/scheduled"
    wish = {"at": town.soon(60), "message": {"text": "later"}}
    kept, dropped = await ann.must("POST", at, wish), await ann.must("POST", at, wish)
    waiting = [one["id"] for one in (await ann.must("GET", "/scheduled"))["items"]]
    assert {kept["id"], dropped["id"]} <= set(waiting)
    shown.refused(await bob.ask("DELETE", f"/scheduled/{kept['id']}"), 404, "not_found")
    await ann.must("DELETE", f"/scheduled/{dropped['id']}")
    past = {**wish, "at": town.soon(-60)}
    shown.refused(await ann.ask("POST", at, past), 422, "fields_invalid")
    async with bob.phone(room) as phone:
        assert phone.texts(room) == []

        async def sent() -> bool:
            return bool(await ann.texts(room))

        async with phone.away():
            town.house.move_on(61)
            await until(sent)
            shown.allowed()
        assert phone.texts(room) == ["later"]
        shown.offline()
