"""Row 1.E Dialogs: a look at a public room before joining it; a message that begins a room."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.rows.house import Visit
from tests.rows.rightful import Person, owner, people, person

OPEN: dict[str, Any] = {"kind": "public", "settings": {"join": "open", "peek": True}}
ANY = {"If-Match": "*"}


async def looked(who: Person, room: str) -> list[Any]:
    """The newest first."""
    return list((await who.must("GET", f"/public-rooms/{room}/messages"))["items"])


async def refused(who: Person, room: str) -> tuple[int, str]:
    answer = await who.ask("GET", f"/public-rooms/{room}/messages")
    return answer.status, answer.code


async def test_s1e_dialogs_twenty_messages_are_seen_before_joining(there: Visit) -> None:
    ann, cy = await people(there, 2)
    room = await ann.room(**OPEN)
    assert await looked(cy, room) == []
    sent = [await ann.post(room, f"number {number}") for number in range(25)]
    assert [one["text"] for one in await looked(cy, room)] == [
        f"number {number}" for number in range(24, 4, -1)
    ]
    newest = (await looked(cy, room))[0]
    assert (newest["id"], newest["account"]) == (sent[-1]["id"], ann.id)
    # What was deleted makes place for what is older; a look is no membership.
    for one in sent[-3:]:
        await ann.must("DELETE", f"/rooms/{room}/messages/{one['id']}")
    texts = [one["text"] for one in await looked(cy, room)]
    assert (texts[0], texts[-1], len(texts)) == ("number 21", "number 2", 20)
    assert (await cy.ask("GET", f"/rooms/{room}/messages")).code == "not_permitted"
    assert (await cy.must("GET", f"/rooms/{room}"))["part"] == "none"
    assert (await there.ask("GET", f"/public-rooms/{room}/messages")).status == 401
    for bad in ("x", "0" * 36, f"{room}x"):
        assert await refused(cy, bad) == (404, "room_not_found")
    wish = {"params": {"limit": "1000"}}
    answer = await cy.ask("GET", f"/public-rooms/{room}/messages", **wish)
    assert answer.status == 422, "there is no asking for more"


async def test_s1e_dialogs_a_look_tells_what_was_said_and_nothing_else(there: Visit) -> None:
    ann, bob, cy = await people(there, 3)
    room = await ann.room(bob, **OPEN)
    post = f"/rooms/{room}/messages"
    first = await ann.post(room, "a slip", custom={"ticket": "custom-word"})
    await ann.must("PATCH", f"{post}/{first['id']}", {"text": "a word"}, headers=ANY)
    await bob.must("PUT", f"{post}/{first['id']}/reactions/heart", {})
    poll = {"format": "m.plain.v1", "text": "Tea?", "options": ["yes", "no"]}
    asked = await ann.must("POST", post, {"body": poll, "kind": "poll", "poll": {"options": 2}})
    await bob.must("PUT", f"{post}/{asked['id']}/vote", {"choices": [0]})
    _, info = await ann.sent(room, b"the contents", "a file", name="leaves.txt")
    answer = await cy.ask("GET", f"/public-rooms/{room}/messages")
    file, vote, word = answer.body["items"]
    assert [(one["name"], one["size"]) for one in file["files"]] == [("leaves.txt", 12)]
    assert (vote["text"], vote["options"]) == ("Tea?", ["yes", "no"])
    assert (word["text"], word["edited"]) == ("a word", True)
    hidden = (bob.id, "a slip", "custom-word", "heart", info["id"], info["key"])
    assert [one for one in hidden if one in answer.text] == []
    link = await cy.ask("POST", f"/files/{info['id']}/links", {"key": info["key"]})
    assert link.status in (403, 404), "the file is for who is in the room"


async def test_s1e_dialogs_only_open_rooms_are_looked_into(there: Visit) -> None:
    ann, cy, bad = await people(there, 3)
    for settings in ({}, {"join": "open"}, {"join": "request"}):
        room = await ann.room(kind="public", settings=settings)
        assert await refused(cy, room) == (403, "not_permitted"), "off unless somebody says so"
        assert await refused(ann, room) == (403, "not_permitted")
    assert await refused(cy, await ann.room(cy)) == (403, "not_permitted")
    assert await refused(cy, await ann.room()) == (404, "room_not_found")
    room = await ann.room(**OPEN)
    await ann.post(room, "hello")
    # Whoever is banned, or nobody's account here, sees nothing of it.
    await ann.must("PUT", f"/rooms/{room}/members/{bad.id}", {"part": "banned"})
    assert await refused(bad, room) == (403, "banned")
    guest = await there.ask("GET", f"/public-rooms/{room}/messages", token=await there.guest())
    assert (guest.status, guest.code) == (403, "not_permitted")
    # Nor of what was said by whom a block parts them from.
    await ann.must("PUT", f"/blocks/{cy.id}")
    assert await looked(cy, room) == []
    await ann.must("DELETE", f"/blocks/{cy.id}")
    await cy.must("PUT", f"/blocks/{ann.id}")
    assert await looked(cy, room) == []
    await cy.must("DELETE", f"/blocks/{ann.id}")
    assert [one["text"] for one in await looked(cy, room)] == ["hello"]
    auditor = await person(there, "auditor")
    for who, result in ((cy, "allowed"), (bad, "denied")):
        actor = f"account:{who.id}"
        await there.recorded(auditor.token, "peekRoom", result, actor=actor, target=f"room:{room}")


CLOSED: tuple[dict[str, Any], ...] = (
    {"kind": "group"}, {"kind": "private"}, {"mode": "e2ee"}, {"mode": "transient"},
    {"phi": True}, {"since_join": True},
)  # fmt: skip


@pytest.mark.parametrize("more", CLOSED, ids=str)
async def test_s1e_dialogs_other_rooms_cannot_be_opened_to_looks(
    there: Visit, more: dict[str, Any]
) -> None:
    ann, cy = await people(there, 2)
    settings = {name: value for name, value in more.items() if value is True}
    said = {"kind": "public", **{n: v for n, v in more.items() if v is not True}}
    wish = {"name": "x", **said, "settings": {"peek": True, **settings}}
    answer = await ann.ask("POST", "/rooms", wish)
    assert (answer.status, answer.code) == (422, "fields_invalid")
    assert answer.body["errors"][0]["pointer"] == "/settings/peek"
    room = await ann.room(**said, settings=settings)
    answer = await ann.ask("PATCH", f"/rooms/{room}", {"peek": True}, headers=ANY)
    assert (answer.status, answer.code) == (409, "conflict")
    # Of one that is open already it closes the door at once.
    if "kind" not in more and "transient" not in more.values():
        room = await ann.room(**OPEN)
        await ann.post(room, "hello")
        assert len(await looked(cy, room)) == 1
        if settings:
            await ann.must("PATCH", f"/rooms/{room}", settings, headers=ANY)
        else:
            await ann.must("POST", f"/rooms/{room}/mode", {"mode": "e2ee"})
        assert await refused(cy, room) == (403, "not_permitted")


async def test_s1e_dialogs_the_owner_alone_opens_and_closes_a_room_to_looks(there: Visit) -> None:
    ann, bob, cy = await people(there, 3)
    room = await ann.room(bob, kind="public")
    path = f"/rooms/{room}"
    await ann.must("PUT", f"{path}/members/{bob.id}", {"part": "moderator"})
    for value in ("yes", 1, None):
        answer = await ann.ask("PATCH", path, {"peek": value}, headers=ANY)
        assert (answer.status, answer.code) == (422, "fields_invalid")
    for who, status in ((bob, 403), (cy, 403), (ann, 200)):
        assert (await who.ask("PATCH", path, {"peek": True}, headers=ANY)).status == status
    await bob.post(room, "hello")
    assert [one["account"] for one in await looked(cy, room)] == [bob.id]
    # Whom nothing is processed of any more is not shown either (GDPR 18).
    await bob.must("PUT", "/account/restriction")
    assert await looked(cy, room) == []
    await ann.must("PATCH", path, {"peek": False}, headers=ANY)
    assert await refused(cy, room) == (403, "not_permitted")
    assert await refused(await owner(there), room) == (403, "not_permitted")


async def test_s1e_dialogs_a_direct_room_is_begun_by_its_first_message(there: Visit) -> None:
    ann, bob, cy = await people(there, 3)
    path = f"/direct/{bob.id}/messages"
    answer = await ann.ask("POST", path, {"text": "hello"})
    assert answer.status == 201, answer.text
    room = answer.body["room"]
    assert (answer.body["message"]["account"], await bob.texts(room)) == (ann.id, ["hello"])
    # It is the one room of the pair, whoever writes and however it was begun.
    back = await bob.must("POST", f"/direct/{ann.id}/messages", {"text": "hello yourself"})
    begun = await ann.ask("POST", "/rooms", {"kind": "direct", "members": [bob.id]})
    assert (back["room"], begun.status, begun.body["id"]) == (room, 200, room)
    assert await ann.texts(room) == ["hello", "hello yourself"]
    # Twice with one key is one message.
    key = {"headers": {"Idempotency-Key": "a-key-of-one-message"}}
    twice = [await ann.must("POST", path, {"text": "once"}, **key) for _ in range(2)]
    assert twice[0] == twice[1] and (await bob.texts(room)).count("once") == 1
    # Both at once is one room too.
    first, second = await asyncio.gather(
        bob.must("POST", f"/direct/{cy.id}/messages", {"text": "a"}),
        cy.must("POST", f"/direct/{bob.id}/messages", {"text": "b"}),
    )
    assert first["room"] == second["room"]
    assert sorted(await cy.texts(first["room"])) == ["a", "b"]
    auditor = await person(there, "auditor")
    actor = f"account:{ann.id}"
    await there.recorded(
        auditor.token, "postDirect", "allowed", 2, actor=actor, target=f"room:{room}"
    )


async def test_s1e_dialogs_who_may_not_begin_a_direct_room_posts_none(there: Visit) -> None:
    ann, bob = await people(there, 2)
    path = f"/direct/{bob.id}/messages"
    wishes: list[tuple[dict[str, Any], int, str]] = [
        ({}, 422, "fields_invalid"),
        ({"text": ""}, 422, "fields_invalid"),
        ({"text": "x" * 16_001}, 422, "fields_invalid"),
        ({"body": {"format": "m.plain.v1", "text": "a\0b"}}, 422, "fields_invalid"),
        ({"body": await ann.sealed()}, 422, "fields_invalid"),
        ({"text": "x", "to": bob.id}, 422, "fields_invalid"),
    ]
    for wish, status, code in wishes:
        answer = await ann.ask("POST", path, wish)
        assert (answer.status, answer.code) == (status, code), wish
    good = {"text": "hello"}
    assert (await ann.ask("POST", f"/direct/{ann.id}/messages", good)).status == 422
    assert (await ann.ask("POST", "/direct/nobody/messages", good)).code == "not_found"
    assert (await there.ask("POST", path, good)).status == 401
    await bob.must("PUT", f"/blocks/{ann.id}")
    answer = await ann.ask("POST", path, good)
    assert (answer.status, answer.code) == (403, "not_permitted")
    await bob.must("DELETE", f"/blocks/{ann.id}")
    await bob.must("PATCH", "/preferences", {"direct_from": "nobody"})
    assert (await ann.ask("POST", path, good)).status == 403
    for who in (ann, bob):
        assert (await who.must("GET", "/rooms"))["items"] == [], "a refusal begins nothing"
