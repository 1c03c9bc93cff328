"""Rows C18, B32: what one shows of oneself is the server's to keep to; nobody looks people up."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.rows.house import Visit
from tests.rows.peer import Peer, seated
from tests.rows.rightful import Person, people


async def listening(peer: Peer, room: str) -> None:
    await peer.bind(f"room:{room}", 1)
    await peer.bind("account", 2)


async def hints(peer: Peer, speaker: Person, room: str) -> list[dict[str, Any]]:
    """Typing and cursors that came before what `speaker` says now."""
    text = f"marker {secrets.token_hex(8)}"
    await speaker.post(room, text)
    found = await peer.until(lambda frame: text in str(frame))
    return [one for one in found if one["type"] in ("typing", "cursor") and one["session"] == 1]


async def test_c18_typing_is_told_of_who_shows_it(there: Visit) -> None:
    ann, bob, stranger = await people(there, 3)
    room = await ann.room(bob)
    path = f"/rooms/{room}/typing"
    async with seated(ann) as (peer,):
        await listening(peer, room)
        await bob.must("POST", path, {"seconds": 5})
        told = await hints(peer, bob, room)
        assert [(one["account"], one["seconds"]) for one in told] == [(bob.id, 5)]
        await bob.must("PATCH", "/preferences", {"typing": False})
        await bob.must("POST", path, {"seconds": 5})
        assert await hints(peer, bob, room) == []
    assert (await stranger.ask("POST", path, {"seconds": 5})).status == 404
    assert (await bob.ask("POST", path, {"seconds": 31})).status == 422


async def test_c18_receipts_go_both_ways_or_not_at_all(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    sent = await ann.post(room, "one")
    path, at = f"/rooms/{room}/receipts", {"seq": sent["seq"]}

    async def seen(who: Person) -> tuple[Any, Any]:
        (found,) = (await who.must("GET", path))["items"]
        return found["read"], found["delivered"]

    async with seated(ann) as (peer,):
        await listening(peer, room)
        await bob.must("POST", f"/rooms/{room}/delivered", at)
        await bob.must("POST", f"/rooms/{room}/read", at)
        assert await seen(ann) == (sent["seq"], sent["seq"])
        assert [one["read"] for one in await hints(peer, bob, room)] == [0, sent["seq"]]
        await bob.must("PATCH", "/preferences", {"read_receipts": False})
        assert await seen(ann) == (None, sent["seq"])
        await bob.must("PATCH", "/preferences", {"delivered_receipts": False})
        assert (await ann.must("GET", path))["items"] == []
        await bob.must("POST", f"/rooms/{room}/read", {"seq": sent["seq"] + 1})
        assert await hints(peer, bob, room) == []
    # Who shows none sees none, and the count is one's own all the same.
    await ann.must("POST", f"/rooms/{room}/read", at)
    found = (await bob.must("GET", path))["items"]
    assert all(one["read"] is None and one["delivered"] is None for one in found)
    assert (await bob.must("GET", f"/rooms/{room}/unread"))["messages"] == 0


async def test_c18_a_room_can_do_without_receipts(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob, settings={"receipts": False})
    sent = await ann.post(room, "one")
    await bob.must("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
    assert (await ann.must("GET", f"/rooms/{room}/receipts"))["items"] == []


async def test_c18_presence_last_seen_and_status_are_shown_as_wished(there: Visit) -> None:
    ann, bob, stranger = await people(there, 3)
    await ann.room(bob)
    await bob.must("PUT", "/presence", {"state": "busy", "text": "writing", "emoji": "x"})

    async def shown(who: Person) -> tuple[str, str, bool]:
        found = await who.must("GET", f"/presence/{bob.id}")
        return found["state"], found["text"], found["seen_at"] is not None

    wishes: list[tuple[dict[str, str], tuple[str, str, bool], tuple[str, str, bool]]] = [
        ({"presence": "everyone", "status": "everyone", "last_seen": "everyone"},
         ("busy", "writing", True), ("busy", "writing", True)),
        ({"presence": "contacts"}, ("busy", "writing", True), ("offline", "writing", True)),
        ({"status": "contacts"}, ("busy", "writing", True), ("offline", "", True)),
        ({"last_seen": "nobody"}, ("busy", "writing", False), ("offline", "", False)),
        ({"presence": "nobody", "status": "nobody"}, ("offline", "", False),
         ("offline", "", False)),
    ]  # fmt: skip
    for wish, contact, other in wishes:
        await bob.must("PATCH", "/preferences", wish)
        assert await shown(ann) == contact, wish
        assert await shown(stranger) == other, wish
    assert (await shown(bob))[:2] == ("busy", "writing")
    everybody = {"presence": "everyone", "status": "everyone", "last_seen": "everyone"}
    await bob.must("PATCH", "/preferences", everybody)
    await ann.must("PATCH", "/preferences", {"presence": "nobody"})
    assert (await shown(ann))[0] == "offline", "who hides a thing does not see it of others"


async def test_c18_who_is_blocked_reaches_nobody(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    await bob.must("PUT", "/presence", {"state": "online"})
    await bob.must("PUT", f"/blocks/{ann.id}")
    async with seated(bob) as (peer,):
        await peer.bind("account", 1)
        await ann.post(room, "noise", mentions={"accounts": [bob.id]})
        counts = await bob.must("GET", f"/rooms/{room}/unread")
        assert (counts["messages"], counts["mentions"]) == (0, 0)
        refused = await ann.ask("POST", "/rooms", {"kind": "direct", "members": [bob.id]})
        assert (refused.status, refused.code) == (403, "not_permitted")
        await ann.must("POST", f"/rooms/{room}/call", {"ring": True})
        draft = {"body": {"format": "m.plain.v1", "text": "x"}}
        await bob.must("PUT", f"/rooms/{room}/draft", draft)
        frames = await peer.until(lambda frame: frame["type"] == "download")
        assert "call" not in {frame["type"] for frame in frames}
        await ann.must("DELETE", f"/rooms/{room}/call")
    assert (await ann.must("GET", f"/presence/{bob.id}"))["state"] == "offline"
    await bob.must("DELETE", f"/blocks/{ann.id}")
    assert (await ann.ask("POST", "/rooms", {"kind": "direct", "members": [bob.id]})).status == 201


async def test_c18_who_may_begin_add_and_ring_is_ones_own_to_say(there: Visit) -> None:
    """By REST and by sync alike; who is refused may still send an invitation."""
    ann, bob, stranger = await people(there, 3)
    room, theirs = await ann.room(bob), await stranger.room()
    wish = {"direct_from": "contacts", "added_by": "contacts", "calls_from": "nobody"}
    assert wish.items() <= (await bob.must("PATCH", "/preferences", wish)).items()
    direct = {"kind": "direct", "members": [bob.id]}
    for ask in (
        stranger.ask("POST", "/rooms", direct),
        stranger.ask("POST", "/rooms", {"name": "Ours", "members": [bob.id]}),
        stranger.ask("PUT", f"/rooms/{theirs}/members/{bob.id}", {}),
    ):
        refused = await ask
        assert (refused.status, refused.code) == (403, "not_permitted")
    async with seated(stranger) as (peer,):
        await peer.bind(f"room:{theirs}")
        op = {"type": "member", "account": bob.id, "part": "member"}
        await peer.upload({"version": 1, "clock": 1, "op": op})
        told = await peer.until(lambda frame: frame["type"] == "error")
        assert told[-1]["code"] == 231
    assert (await bob.ask("GET", f"/rooms/{theirs}")).status == 404
    made = await stranger.must("POST", f"/rooms/{theirs}/invites", {})
    await bob.must("POST", "/room-invites/accept", {"secret": made["secret"]})
    assert (await ann.ask("POST", "/rooms", direct)).status == 201
    await ann.must("POST", "/rooms", {"name": "More", "members": [bob.id]})
    async with seated(bob) as (peer,):
        await peer.bind("account")
        await ann.must("POST", f"/rooms/{room}/call", {"ring": True})
        draft = {"body": {"format": "m.plain.v1", "text": "x"}}
        await bob.must("PUT", f"/rooms/{room}/draft", draft)
        frames = await peer.until(lambda frame: frame["type"] == "download")
        assert "call" not in {frame["type"] for frame in frames}
        await ann.must("DELETE", f"/rooms/{room}/call")
    await bob.must("PATCH", "/preferences", {"direct_from": "nobody", "added_by": "nobody"})
    for body in ({**direct, "mode": "e2ee"}, {"name": "Most", "members": [bob.id]}):
        assert (await ann.ask("POST", "/rooms", body)).status == 403
    assert (await ann.ask("PUT", f"/rooms/{room}/members/{bob.id}", {})).status == 200, "is in it"


@pytest.mark.parametrize(
    "wish",
    [{"typing": "yes"}, {"calls_from": "friends"}, {"presence": "friends"}, {"unknown": True},
     {"custom": {"a": [1]}},
     {"custom": {f"k{n}": "x" * 1000 for n in range(5)}}],
    ids=lambda wish: next(iter(wish)),
)  # fmt: skip
async def test_c18_what_is_no_preference_is_422(there: Visit, wish: dict[str, Any]) -> None:
    (ann,) = await people(there, 1)
    before = await ann.must("GET", "/preferences")
    refused = await ann.ask("PATCH", "/preferences", wish)
    assert (refused.status, refused.code) == (422, "fields_invalid")
    assert await ann.must("GET", "/preferences") == before


async def test_b32_nobody_looks_people_up_and_no_operation_takes_a_number(there: Visit) -> None:
    """There is no address book to match: no field of any operation is for one."""
    ann, bob = await people(there, 2)
    for path in ("/accounts", f"/accounts/{bob.id}", "/accounts?phone=%2B49", "/sessions/x"):
        refused = await ann.ask("GET", path)
        assert refused.status in (403, 404, 405, 422), path
    assert (await ann.ask("GET", "/accounts")).code == "not_permitted"
    for path in ("/contacts", "/address-book", "/accounts/lookup", "/account/contacts"):
        assert (await ann.ask("POST", path, {"phones": ["+49 30 1"]})).status in (404, 405), path
    # Whoever is not there and whoever hides look the same.
    nobody = "0192aaaa-0000-7000-8000-00000000aaaa"
    await bob.must("PATCH", "/preferences", {"presence": "nobody", "last_seen": "nobody"})
    hidden = await ann.must("GET", f"/presence/{bob.id}")
    assert {**hidden, "account": nobody} == await ann.must("GET", f"/presence/{nobody}")
    document = (await there.send("GET", "/api/openapi.json")).body
    names: set[str] = set()
    for schema in document["components"]["schemas"].values():
        names |= set(schema.get("properties", ()))
    assert len(names) > 200
    assert not [name for name in names if "phone" in name or "contact" in name or "birth" in name]
