"""Cursors and counts, drafts, saved messages, blocks, invitations, reports, presence, search."""

from __future__ import annotations

from typing import Any

from signaling.chat.ports import CursorMoved, Typing
from tests.signaling.chat.rig import APP, Person, Served


async def unread(who: Person, room: str) -> dict[str, Any]:
    answer = await who.ask("GET", f"/rooms/{room}/unread")
    assert answer.status == 200, answer.body
    counts: dict[str, Any] = answer.body
    return counts


async def test_unread_counts_and_always_reaches_zero(served: Served) -> None:
    room = await served.room("bob")
    root = await served.ann.post(room, "one", mentions={"accounts": ["bob"]})
    await served.ann.post(room, "two")
    gone = await served.ann.post(room, "three")
    await served.ann.post(room, "quiet", silent=True)
    await served.ann.post(room, "reply", parent=root["id"])
    await served.bob.post(room, "my own")
    await served.ann.ask("DELETE", f"/rooms/{room}/messages/{gone['id']}")
    counts = await unread(served.bob, room)
    assert (counts["messages"], counts["mentions"]) == (2, 1)
    assert counts["threads"] == {root["id"]: 1}
    head = (await served.bob.ask("GET", f"/rooms/{room}")).body["head"]
    at = f"/rooms/{room}/read"
    assert (await served.bob.ask("POST", at, {"seq": head + 1})).code == "fields_invalid"
    assert (await served.bob.ask("POST", at, {"seq": head})).body["messages"] == 0
    back = (await served.bob.ask("POST", at, {"seq": 1})).body
    assert (back["messages"], back["threads"]) == (0, {root["id"]: 1})
    thread = await served.bob.ask("POST", at, {"seq": head, "parent": root["id"]})
    assert thread.body["threads"] == {}
    await served.ann.post(room, "more")
    await served.ann.post(room, "more", parent=root["id"])
    assert (await served.bob.ask("POST", f"/rooms/{room}/unread")).body["marked"] is True
    assert (await served.bob.ask("DELETE", "/unread")).status == 204
    listed = (await served.bob.ask("GET", "/unread")).body["items"]
    assert [(c["counts"]["messages"], c["counts"]["threads"], c["counts"]["marked"])
            for c in listed] == [(0, {}, False)]  # fmt: skip


async def test_receipts_go_both_ways_or_not_at_all(served: Served) -> None:
    room = await served.room("bob")
    sent = await served.ann.post(room, "one")
    heard: list[Any] = []
    served.house.chat.watch(APP, room, heard.append)
    await served.bob.ask("POST", f"/rooms/{room}/delivered", {"seq": sent["seq"]})
    at = f"/rooms/{room}/receipts"
    shown = (await served.ann.ask("GET", at)).body["items"]
    assert shown == [{"account": "bob", "read": 0, "delivered": sent["seq"]}]
    await served.bob.ask("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
    assert (await served.ann.ask("GET", at)).body["items"][0]["read"] == sent["seq"]
    assert [hint.read for hint in heard if isinstance(hint, CursorMoved)] == [0, sent["seq"]]
    await served.bob.ask("PATCH", "/preferences", {"read_receipts": False})
    assert (await served.ann.ask("GET", at)).body["items"][0]["read"] is None
    await served.ann.ask("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
    assert (await served.bob.ask("GET", at)).body["items"][0]["read"] is None
    assert (await served.cy.ask("GET", at)).status == 404


async def test_draft_and_saved_message_are_ones_own(served: Served) -> None:
    room = await served.room("bob")
    sent = await served.ann.post(room, "keep")
    body = {"body": {"format": "m.plain.v1", "text": "unfini"}}
    assert (await served.bob.ask("PUT", f"/rooms/{room}/draft", body)).status == 204
    assert (await served.cy.ask("PUT", f"/rooms/{room}/draft", body)).status == 404
    assert [d["body"]["text"] for d in (await served.bob.ask("GET", "/drafts")).body["items"]] == [
        "unfini"
    ]
    assert (await served.ann.ask("GET", "/drafts")).body["items"] == []
    assert (await served.bob.ask("DELETE", f"/rooms/{room}/draft")).status == 204
    assert (await served.bob.ask("GET", "/drafts")).body["items"] == []
    one = f"/rooms/{room}/messages/{sent['id']}/saved"
    assert (await served.bob.ask("PUT", one, {"note": "later"})).status == 204
    assert [s["note"] for s in (await served.bob.ask("GET", "/saved")).body["items"]] == ["later"]
    assert (await served.bob.ask("DELETE", one)).status == 204
    assert (await served.bob.ask("GET", "/saved")).body["items"] == []


async def test_blocked_account_counts_and_opens_nothing(served: Served) -> None:
    room = await served.room("bob", "cy")
    assert (await served.bob.ask("PUT", "/blocks/ann")).status == 204
    await served.ann.post(room, "noise")
    await served.cy.post(room, "signal")
    assert (await unread(served.bob, room))["messages"] == 1
    direct = {"kind": "direct", "members": ["bob"]}
    assert (await served.ann.ask("POST", "/rooms", direct)).code == "not_permitted"
    assert (await served.bob.ask("DELETE", "/blocks/ann")).status == 204
    assert (await served.ann.ask("POST", "/rooms", direct)).status == 201
    assert (await unread(served.bob, room))["messages"] == 2


async def test_invite_lets_in_as_many_as_it_says_until_it_expires(served: Served) -> None:
    room = await served.room("bob", kind="private")
    at = f"/rooms/{room}/invites"
    assert (await served.bob.ask("POST", at, {})).code == "not_permitted"
    made = (await served.ann.ask("POST", at, {"uses": 1, "expires_in": 60})).body
    accept = {"secret": made["secret"]}
    joined = await served.cy.ask("POST", "/room-invites/accept", accept)
    assert (joined.status, joined.body["part"]) == (200, "member")
    used = await served.dora.ask("POST", "/room-invites/accept", accept)
    assert (used.status, used.code) == (410, "link_invalid")
    short = (await served.ann.ask("POST", at, {"uses": 0, "expires_in": 60})).body
    served.house.clock.advance(61)
    late = await served.dora.ask("POST", "/room-invites/accept", {"secret": short["secret"]})
    assert late.code == "link_invalid"
    third = (await served.ann.ask("POST", at, {})).body
    withdrawn = await served.ann.ask("DELETE", f"{at}/{third['invite']['id']}")
    assert withdrawn.status == 204
    gone = await served.dora.ask("POST", "/room-invites/accept", {"secret": third["secret"]})
    assert gone.code == "link_invalid"


async def test_join_request_waits_for_a_moderator(served: Served) -> None:
    room = await served.room("bob", kind="public", settings={"join": "request"})
    at = f"/rooms/{room}/requests"
    for who in (served.cy, served.dora):
        assert (await who.ask("POST", at, {"text": "please"})).status == 204
    assert (await served.bob.ask("GET", at)).code == "not_permitted"
    asked = (await served.ann.ask("GET", at)).body["items"]
    assert sorted(one["account"] for one in asked) == ["cy", "dora"]
    assert (await served.ann.ask("POST", f"{at}/cy", {"accept": True})).status == 204
    assert (await served.ann.ask("POST", f"{at}/dora", {"accept": False})).status == 204
    await served.cy.post(room, "in")
    assert (await served.dora.ask("POST", f"/rooms/{room}/messages", {"text": "x"})).status == 403
    closed = await served.room()
    assert (await served.cy.ask("POST", f"/rooms/{closed}/requests", {})).status == 404


async def test_report_waits_in_the_moderators_queue(served: Served) -> None:
    room = await served.room("bob", "cy")
    sent = await served.cy.post(room, "rude")
    at = f"/rooms/{room}/messages/{sent['id']}/reports"
    made = await served.bob.ask("POST", at, {"reason": "abuse", "text": "see"})
    assert (made.status, made.body["author"]) == (201, "cy")
    assert (await served.dora.ask("POST", at, {})).status == 404
    queue = f"/rooms/{room}/reports"
    assert (await served.bob.ask("GET", queue)).code == "not_permitted"
    assert [r["reason"] for r in (await served.ann.ask("GET", queue)).body["items"]] == ["abuse"]
    one = f"{queue}/{made.body['id']}"
    assert (await served.ann.ask("POST", one, {"outcome": "dismissed"})).body["by"] == "ann"
    assert (await served.ann.ask("GET", queue)).body["items"] == []
    assert len((await served.ann.ask("GET", f"{queue}?done=true")).body["items"]) == 1


async def test_typing_is_told_to_the_room_as_its_owner_likes(served: Served) -> None:
    room = await served.room("bob")
    heard: list[Any] = []
    served.house.chat.watch(APP, room, heard.append)
    at = f"/rooms/{room}/typing"
    assert (await served.bob.ask("POST", at, {"seconds": 5})).status == 204
    assert (await served.cy.ask("POST", at, {})).status == 404
    await served.bob.ask("PATCH", "/preferences", {"typing": False})
    assert (await served.bob.ask("POST", at, {})).status == 204
    told = [(h.account, h.seconds) for h in heard if isinstance(h, Typing)]
    assert told == [("bob", 5)]


async def test_presence_and_custom_status_are_shown_as_wished(served: Served) -> None:
    await served.room("bob")
    said = {"state": "busy", "text": "writing", "emoji": "x"}
    assert (await served.bob.ask("PUT", "/presence", said)).body["state"] == "busy"
    at = "/presence/bob"
    seen = (await served.ann.ask("GET", at)).body
    assert (seen["state"], seen["text"]) == ("busy", "writing")
    await served.bob.ask("PATCH", "/preferences", {"presence": "contacts", "status": "nobody"})
    assert (await served.ann.ask("GET", at)).body["state"] == "busy"
    stranger = (await served.cy.ask("GET", at)).body
    assert (stranger["state"], stranger["text"]) == ("offline", "")
    await served.ann.ask("PATCH", "/preferences", {"presence": "nobody"})
    assert (await served.ann.ask("GET", at)).body["state"] == "offline"
    served.house.clock.advance(100)
    assert (await served.bob.ask("GET", at)).body["state"] == "offline"


async def test_nobody_reports_what_they_cannot_read(served: Served) -> None:
    """Said before one came, in a room that begins with one's coming; or over."""
    room = await served.room("bob", settings={"since_join": True})
    sent = await served.ann.post(room, "before cy came")
    await served.ann.ask("PUT", f"/rooms/{room}/members/cy", {"part": "member"})
    at = f"/rooms/{room}/messages/{sent['id']}"
    assert (await served.cy.ask("GET", at)).status == 404
    told = await served.cy.ask("POST", f"{at}/reports", {"reason": "abuse"})
    assert (told.status, told.code) == (404, "message_not_found")
    assert (await served.bob.ask("POST", f"{at}/reports", {})).status == 201
    found = (await served.ann.ask("GET", f"/rooms/{room}/reports")).body["items"]
    assert [one["reporter"] for one in found] == ["bob"]
    brief = await served.ann.post(room, "brief", ttl=60)
    served.house.clock.advance(61)
    at = f"/rooms/{room}/messages/{brief['id']}"
    assert (await served.bob.ask("POST", f"{at}/reports", {})).code == "message_not_found"


async def test_what_one_deleted_for_oneself_is_shown_nowhere(served: Served) -> None:
    room = await served.room("bob")
    sent = await served.ann.post(room, "mine to forget")
    await served.bob.post(room, "reply", parent=sent["id"])
    at = f"/rooms/{room}/messages/{sent['id']}"
    listed = f"/rooms/{room}/messages"
    assert (await served.ann.ask("PUT", f"{at}/pin")).status == 204
    assert (await served.ann.ask("PUT", f"{at}/hidden")).status == 204
    asked: tuple[tuple[str, str, Any], ...] = (
        ("GET", at, None),
        ("GET", f"{listed}?around={sent['id']}", None),
        ("GET", f"{listed}?parent={sent['id']}", None),
        ("PATCH", at, {"text": "otherwise"}),
        ("PUT", f"{at}/reactions/x", {}),
        ("POST", f"{at}/forward", {"to": room}),
    )
    for method, path, body in asked:
        refused = await served.ann.ask(method, path, body)
        assert (refused.status, refused.code) == (404, "message_not_found"), (method, path)
    pins = f"/rooms/{room}/pins"
    assert (await served.ann.ask("GET", pins)).body["items"] == []
    # Others have it, and what is done to it for everybody can still be done.
    assert (await served.bob.ask("GET", at)).status == 200
    assert [m["id"] for m in (await served.bob.ask("GET", pins)).body["items"]] == [sent["id"]]
    assert (await served.ann.ask("DELETE", f"{at}/pin")).status == 204
    assert (await served.ann.ask("DELETE", at)).status == 204
    assert (await served.bob.ask("GET", at)).body["deleted"]["by"] == "ann"
