"""What is one's own on all of one's devices, and what of it others may see."""

from __future__ import annotations

from tests.features.town import Shown, Town

UNKNOWN = "01a00000-0000-7000-8000-000000000000"


async def test_drafts_across_devices(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    body = {"body": {"format": "m.plain.v1", "text": "unfinished"}}
    desk = await bob.again()
    async with bob.phone(room) as phone:
        async with phone.away():
            await desk.must("PUT", f"/rooms/{room}/draft", body)
        (draft,) = [one for one in phone.client.own().drafts() if one.room == room]
        assert getattr(draft.body, "text", "") == "unfinished"
        await phone.leave()
        phone.client.own().draft(room, "finished in the tunnel")
        await phone.back()
        shown.offline()
    listed = (await desk.must("GET", "/drafts"))["items"]
    assert [one["body"]["text"] for one in listed if one["room"] == room] == [
        "finished in the tunnel"
    ]
    shown.allowed()
    theirs = (await ann.must("GET", "/drafts"))["items"]
    assert room not in [one["room"] for one in theirs], "a draft is nobody else's"
    shown.refused(await town.cy.ask("PUT", f"/rooms/{room}/draft", body), 404, "room_not_found")


async def test_saved_messages(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    kept, given_up = await ann.post(room, "keep"), await ann.post(room, "drop")
    saved = [f"/rooms/{room}/messages/{sent['id']}/saved" for sent in (kept, given_up)]
    desk = await bob.again()
    async with bob.phone(room) as phone:
        async with phone.away():
            for path in saved:
                await desk.must("PUT", path, {"note": "later"})
            await desk.must("DELETE", saved[1])
        mine = [one for one in phone.client.own().saved() if one.room == room]
        assert [(one.id, one.note) for one in mine] == [(kept["id"], "later")]
        shown.offline()
    listed = (await bob.must("GET", "/saved?limit=100"))["items"]
    assert [one["id"] for one in listed if one["room"] == room] == [kept["id"]]
    shown.allowed()
    unknown = await bob.ask("PUT", f"/rooms/{room}/messages/{UNKNOWN}/saved", {})
    shown.refused(unknown, 404, "message_not_found")
    shown.refused(await town.cy.ask("PUT", saved[0], {}), 404, "room_not_found")


async def test_read_receipts(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob)
    sent = await ann.post(room, "read me")
    at, asked = f"/rooms/{room}/read", f"/rooms/{room}/receipts"
    async with ann.phone(room) as phone:
        async with phone.away():
            await bob.must("POST", at, {"seq": sent["seq"]})
        (seen,) = (await ann.must("GET", asked))["items"]
        assert (seen["account"], seen["read"]) == (bob.id, sent["seq"])
        shown.offline()
        more = await ann.post(room, "and me")
        await bob.must("POST", at, {"seq": more["seq"]})
        await phone.until(lambda: bool(phone.heard("cursor", account=bob.id, read=more["seq"])))
        shown.allowed()
    # Each shows it or not, and who does not show it does not see it.
    await bob.must("PATCH", "/preferences", {"read_receipts": False})
    assert [one["read"] for one in (await ann.must("GET", asked))["items"]] == [None]
    await ann.must("POST", at, {"seq": more["seq"]})
    assert not [one for one in (await bob.must("GET", asked))["items"] if one["read"]]
    head = (await bob.must("GET", f"/rooms/{room}"))["head"]
    shown.refused(await bob.ask("POST", at, {"seq": head + 1}), 422, "fields_invalid")
    shown.refused(await town.cy.ask("GET", asked), 404, "room_not_found")


async def test_delivered_receipts(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob)
    sent = await ann.post(room, "on its way")
    at, asked = f"/rooms/{room}/delivered", f"/rooms/{room}/receipts"
    async with ann.phone(room) as phone:
        async with phone.away():
            await bob.must("POST", at, {"seq": sent["seq"]})
        (seen,) = (await ann.must("GET", asked))["items"]
        assert (seen["account"], seen["delivered"]) == (bob.id, sent["seq"])
        assert not seen["read"]
        shown.offline()
        more = await ann.post(room, "one more")
        await bob.must("POST", at, {"seq": more["seq"]})
        told = {"account": bob.id, "delivered": more["seq"]}
        await phone.until(lambda: bool(phone.heard("cursor", **told)))
        shown.allowed()
    await bob.must("PATCH", "/preferences", {"delivered_receipts": False})
    assert not [one for one in (await ann.must("GET", asked))["items"] if one.get("delivered")]
    head = (await bob.must("GET", f"/rooms/{room}"))["head"]
    shown.refused(await bob.ask("POST", at, {"seq": head + 1}), 422, "fields_invalid")
    shown.refused(await town.cy.ask("POST", at, {"seq": 1}), 404, "room_not_found")


async def test_unread_counts(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    at = f"/rooms/{room}/read"
    desk = await bob.again()
    async with bob.phone(room) as phone:
        async with phone.away():
            root = await ann.post(room, "one")
            await ann.post(room, "two")
            await ann.post(room, "reply", parent=root["id"])
            counts = await bob.unread(room)
            assert (counts["messages"], counts["threads"]) == (2, {root["id"]: 1})
            head = (await desk.must("GET", f"/rooms/{room}"))["head"]
            counts = await desk.must("POST", at, {"seq": head, "everything": True})
            assert (counts["messages"], counts["threads"]) == (0, {})
        # The phone that had heard of none of it counts nothing either.
        listed = (await phone.person.must("GET", "/unread?limit=100"))["items"]
        (mine,) = [one["counts"] for one in listed if one["room"] == room]
        assert (mine["messages"], mine["threads"], len(phone.texts(room))) == (0, {}, 3)
        shown.offline()
    await ann.post(room, "three")
    await bob.must("DELETE", "/unread")
    assert (await bob.unread(room))["messages"] == 0
    shown.allowed()
    shown.refused(await town.cy.ask("GET", f"/rooms/{room}/unread"), 404, "room_not_found")
    beyond = await bob.ask("POST", at, {"seq": 2**40})
    shown.refused(beyond, 422, "fields_invalid")


async def test_typing(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob)
    at = f"/rooms/{room}/typing"
    async with ann.phone(room) as phone:
        await bob.must("POST", at, {"seconds": 5})
        await phone.until(lambda: bool(phone.heard("typing", account=bob.id, seconds=5)))
        shown.allowed()
        await bob.must("PATCH", "/preferences", {"typing": False})
        await bob.must("POST", at, {"seconds": 6})
        await bob.must("PATCH", "/preferences", {"typing": True})
        async with phone.away():
            await bob.must("POST", at, {"seconds": 7})
        await bob.must("POST", at, {"seconds": 8})
        await phone.until(lambda: bool(phone.heard("typing", seconds=8)))
        # Neither what bob did not want to show nor what is over by now.
        assert [one["seconds"] for one in phone.heard("typing")] == [5, 8]
        shown.offline()
    shown.refused(await town.cy.ask("POST", at, {}), 404, "room_not_found")
    shown.refused(await bob.ask("POST", at, {"seconds": 31}), 422, "fields_invalid")


async def test_presence_with_privacy(town: Town, shown: Shown) -> None:
    """Online by a live device alone, and told to a device that follows; nobody stands above it."""
    ann, bob = await town.pair()
    room = await ann.room(bob)
    at = f"/presence/{bob.id}"
    async with ann.phone(room) as phone:
        presence = phone.client.presence()
        await phone.until(lambda: presence.of(ann.id).state == "online")
        async with bob.phone(room) as other:
            await phone.until(lambda: presence.of(bob.id).state == "online")
            assert (await ann.must("GET", at))["state"] == "online"
            other.client.background(True)
            await phone.until(lambda: presence.of(bob.id).state == "away")
            other.client.background(False)
            async with phone.away():
                await bob.must("PUT", "/presence", {"state": "busy"})
            await phone.until(lambda: presence.of(bob.id).state == "busy")
            shown.offline()
            await bob.must("PATCH", "/preferences", {"presence": "nobody"})
            await phone.until(lambda: presence.of(bob.id).state == "offline")
            for watcher in (ann, town.owner, town.cy):
                assert (await watcher.must("GET", at))["state"] == "offline"
            # Who hides it does not see it either.
            assert (await bob.must("GET", f"/presence/{ann.id}"))["state"] == "offline"
            await bob.must("PATCH", "/preferences", {"presence": "contacts"})
            await phone.until(lambda: presence.of(bob.id).state == "busy")
            for stranger in (town.owner, town.cy):
                assert (await stranger.must("GET", at))["state"] == "offline", "no room is shared"
            shown.allowed()
        await phone.until(lambda: presence.of(bob.id).state == "offline")
    shown.note("shown as `offline`")
    shown.refused(await bob.ask("PUT", "/presence", {"state": "lurking"}), 422, "fields_invalid")
    shown.refused(await town.there.ask("GET", at), 401, "token_missing")


async def test_custom_status(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob)
    at = f"/presence/{bob.id}"
    said = {"state": "away", "text": "at the sea", "emoji": "\U0001f30a", "until": town.soon(60)}
    async with ann.phone(room) as phone:
        async with phone.away():
            await bob.must("PUT", "/presence", said)
        seen = await ann.must("GET", at)
        assert (seen["text"], seen["emoji"]) == ("at the sea", "\U0001f30a")
        shown.offline()
    await bob.must("PATCH", "/preferences", {"status": "nobody"})
    assert (await ann.must("GET", at))["text"] == ""
    await bob.must("PATCH", "/preferences", {"status": "everyone"})
    assert (await ann.must("GET", at))["text"] == "at the sea"
    town.house.move_on(61)
    assert (await ann.must("GET", at))["text"] == "", "it had an end"
    shown.allowed()
    shown.note("shown as empty")
    wish = {"text": "x" * 141}
    shown.refused(await bob.ask("PUT", "/presence", wish), 422, "fields_invalid")


async def test_block(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob, town.cy)
    desk = await bob.again()
    async with bob.phone(room) as phone:
        async with phone.away():
            await desk.must("PUT", f"/blocks/{ann.id}")
            await ann.post(room, "noise")
            await town.cy.post(room, "signal")
        assert phone.client.own().blocked() == [ann.id]
        shown.offline()
        assert (await bob.unread(room))["messages"] == 1
        await ann.must("POST", f"/rooms/{room}/call", {"ring": True})
        await town.cy.post(room, "after the ring")
        await phone.until(lambda: "after the ring" in phone.texts(room))
        assert not phone.heard("call", event="ring")
        await ann.must("DELETE", f"/rooms/{room}/call")
    direct = {"kind": "direct", "members": [bob.id]}
    shown.refused(await ann.ask("POST", "/rooms", direct), 403, "not_permitted")
    shown.refused(await bob.ask("PUT", f"/blocks/{UNKNOWN}"), 404, "not_found")
    await bob.must("DELETE", f"/blocks/{ann.id}")
    assert (await bob.unread(room))["messages"] == 3
    await ann.must("POST", "/rooms", direct)
    shown.allowed()


async def test_report_and_moderators_queue(town: Town, shown: Shown) -> None:
    ann, bob, cy = town.ann, town.bob, town.cy
    room = await ann.room(bob, cy)
    sent = await cy.post(room, "rude")
    at, queue = f"/rooms/{room}/messages/{sent['id']}/reports", f"/rooms/{room}/reports"
    async with ann.phone(room) as phone:
        async with phone.away():
            made = await bob.must("POST", at, {"reason": "abuse", "text": "see"})
        (waits,) = (await ann.must("GET", queue))["items"]
        assert (waits["id"], waits["author"], waits["reason"]) == (made["id"], cy.id, "abuse")
        shown.offline()
        await phone.person.must("DELETE", f"/rooms/{room}/messages/{sent['id']}")
        done = await ann.must("POST", f"{queue}/{made['id']}", {"outcome": "deleted"})
        assert done["by"] == ann.id and (await ann.must("GET", queue))["items"] == []
        shown.allowed()
    shown.refused(await bob.ask("GET", queue), 403, "not_permitted")
    stranger = await town.person()
    shown.refused(await stranger.ask("POST", at, {}), 404, "room_not_found")
    unknown = await ann.ask("POST", f"{queue}/{UNKNOWN}", {"outcome": "dismissed"})
    shown.refused(unknown, 404, "not_found")
