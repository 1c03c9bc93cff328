"""Rows B10, C8: a message's two parts, and encryption for good."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.rows.house import Visit
from tests.rows.kept import Kept, flipped
from tests.rows.rightful import Person, people

ENVELOPE: dict[str, Any] = {"custom": {"ticket": 7, "urgent": True}, "kind": "alarm"}


async def test_b10_the_envelope_is_read_and_the_body_is_opaque(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob, mode="e2ee")
    body, mentions = await ann.sealed(), {"accounts": [bob.id]}
    wish = {"body": body, "mentions": mentions, **ENVELOPE}
    sent = await ann.must("POST", f"/rooms/{room}/messages", wish)
    got = await bob.must("GET", f"/rooms/{room}/messages/{sent['id']}")
    assert got["body"] == body
    assert {name: got[name] for name in ENVELOPE} == ENVELOPE
    # What the server does by the envelope works although it cannot read the body.
    counts = await bob.must("GET", f"/rooms/{room}/unread")
    assert (counts["messages"], counts["mentions"]) == (1, 1)
    refused = await bob.ask("GET", "/search", params={"q": "x", "room": room})
    assert (refused.status, refused.code) == (409, "conflict")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no body": ({**ENVELOPE}, "fields_invalid"),
    "text and body": ({"text": "a", "body": {"format": "m.plain.v1", "text": "b"}},
                      "fields_invalid"),
    "an empty body": ({"body": {"format": "m.plain.v1"}}, "fields_invalid"),
    "a format that is none": ({"body": {"format": "m.html.v1", "text": "x"}}, "fields_invalid"),
    "a body that is too long": ({"text": "x" * 16_001}, "fields_invalid"),
    "an envelope above its limit": (
        {"text": "x", "custom": {f"k{n}": "x" * 1000 for n in range(5)}}, "fields_invalid",
    ),
    "too many custom fields": ({"text": "x", "custom": {f"k{n}": n for n in range(33)}},
                               "fields_invalid"),
    "a custom field that is no scalar": ({"text": "x", "custom": {"a": {"b": 1}}},
                                         "fields_invalid"),
    "a reserved key": ({"text": "x", "account": "ann"}, "fields_invalid"),
    "a key of the log": ({"text": "x", "seq": 5}, "fields_invalid"),
    "an id that is none": ({"text": "x", "id": "mine"}, "fields_invalid"),
    "too many mentions": ({"text": "x", "mentions": {"accounts": ["a"] * 101}}, "fields_invalid"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_b10_what_is_no_message_is_422(there: Visit, case: str) -> None:
    (ann,) = await people(there, 1)
    room = await ann.room()
    wish, code = BAD[case]
    refused = await ann.ask("POST", f"/rooms/{room}/messages", wish)
    assert (refused.status, refused.code) == (422, code)
    assert await ann.texts(room) == []


async def test_b10_an_encrypted_room_takes_whole_bodies_of_ones_own_alone(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room, plain = await ann.room(bob, mode="e2ee"), await ann.room(bob)
    good = await ann.sealed()
    wrong: list[tuple[Any, str]] = [
        ({"text": "readable"}, "plaintext_refused"),
        ({"body": {**good, "account": bob.id}}, "author_mismatch"),
        ({"body": {**good, "device": "another"}}, "author_mismatch"),
        ({"body": await ann.sealed(33)}, "fields_invalid"),
        ({"body": await ann.sealed(41 * 1024)}, "fields_invalid"),
        ({"body": {**good, "salt": "A" * 24}}, "fields_invalid"),
        ({"body": {**good, "sig": "no base64" * 9}}, "fields_invalid"),
        ({"body": {**good, "text": "beside"}}, "fields_invalid"),
        ({"body": {name: good[name] for name in good if name != "ct"}}, "fields_invalid"),
    ]
    for body, code in wrong:
        refused = await ann.ask("POST", f"/rooms/{room}/messages", body)
        assert (refused.status, refused.code) == (422, code), body
    assert (await ann.ask("POST", f"/rooms/{plain}/messages", {"body": good})).status == 422
    for place in (room, plain):
        assert (await ann.must("GET", f"/rooms/{place}/messages"))["items"] == []


async def lies_at(ann: Person, room: str, text: str) -> Any:
    """Where a message that is posted lies in the store."""
    kept = Kept(ann.there.house)
    before = kept.ops(room).keys()
    await ann.post(room, text)
    (place,) = kept.ops(room).keys() - before
    return place


async def test_b10_an_envelope_is_bound_to_its_place(there: Visit) -> None:
    """Changed, or moved from another message of the same room: an error, and nothing of it."""
    (ann,) = await people(there, 1)
    room = await ann.room()
    place = await lies_at(ann, room, "the canary sings")
    other = await lies_at(ann, room, "another")
    kept = Kept(there.house)
    whole, foreign = kept.ops(room)[place], kept.ops(room)[other]
    parts, others = msgspec.msgpack.decode(whole), msgspec.msgpack.decode(foreign)
    changed = [*parts[:2], flipped(parts[2]), *parts[3:]]
    moved = [*parts[:2], others[2], *parts[3:]]
    body_changed = [*parts[:4], flipped(parts[4])]
    try:
        for stored in (changed, moved, body_changed, others):
            kept.write_op(place, msgspec.msgpack.encode(stored))
            answer = await ann.ask("GET", f"/rooms/{room}/messages")
            assert (answer.status, answer.code) == (500, "integrity_error"), answer.text
            assert "canary" not in answer.text and "another" not in answer.text
    finally:
        kept.write_op(place, whole)
    assert (await ann.texts(room)) == ["the canary sings", "another"]


async def test_c08_encryption_is_for_what_follows_and_for_good(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    await bob.post(room, "an open word")
    path = f"/rooms/{room}/mode"
    assert (await bob.ask("POST", path, {"mode": "e2ee"})).status == 403
    assert (await ann.ask("POST", path, {"mode": "transient"})).status == 422
    assert (await ann.must("POST", path, {"mode": "e2ee"}))["mode"] == "e2ee"
    refused = await bob.ask("POST", f"/rooms/{room}/messages", {"text": "in the clear"})
    assert (refused.status, refused.code) == (422, "plaintext_refused")
    body = await bob.sealed()
    await bob.must("POST", f"/rooms/{room}/messages", {"body": body})
    # What was said before stays as it was: readable, and found.
    found = (await ann.must("GET", f"/rooms/{room}/messages"))["items"]
    assert [one["body"].get("text") for one in found] == [None, "an open word"]
    assert await ann.found("open", room=room) == ["an open word"]
    for back in ("searchable", "transient", "e2ee"):
        answer = await ann.ask("POST", path, {"mode": back})
        assert (answer.status, answer.code) == (409, "conflict"), back
    assert (await ann.must("GET", f"/rooms/{room}"))["mode"] == "e2ee"
    assert (await ann.ask("POST", path, {"mode": "loud"})).status == 422
