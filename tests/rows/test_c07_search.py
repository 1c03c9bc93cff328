"""Row C7: what was said is found again, by those who may read it, as it stands now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.rows.house import Visit
from tests.rows.rightful import people, until

SAID = ("Grüner Tee", "tee und kuchen", "чай с лимоном", "お茶をください", "شاي بالنعناع", "ok")


async def test_c07_by_word_and_phrase_in_any_language(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    for text in SAID:
        await ann.post(room, text)
    for word, found in (
        ("TEE", ["tee und kuchen", "Grüner Tee"]), ("GRÜNER tee", ["Grüner Tee"]),
        ('"tee und"', ["tee und kuchen"]), ('"und tee"', []), ("kuchen tee", ["tee und kuchen"]),
        ("Чай", ["чай с лимоном"]), ("茶", ["お茶をください"]), ("شاي", ["شاي بالنعناع"]),
        ("ok", ["ok"]), ("kaffee", []),
    ):  # fmt: skip
        assert await bob.found(word, room=room) == found, word


async def test_c07_by_sender_date_and_file(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    sent = await ann.post(room, "from ann")
    await bob.post(room, "from bob")
    await ann.sent(room, b"x" * 500, "with a file")
    at = datetime.fromisoformat(sent["at"])
    early, late = at - timedelta(days=1), at + timedelta(days=1)
    everything = ["with a file", "from bob", "from ann"]
    assert await bob.found("from", sender=ann.id, room=room) == ["from ann"]
    assert await bob.found(sender=bob.id, room=room) == ["from bob"]
    assert await bob.found(has_file="true", room=room) == ["with a file"]
    assert await bob.found("canary.bin", room=room) == ["with a file"]
    assert await bob.found(has_file="false", sender=ann.id, room=room) == ["from ann"]
    assert await bob.found(since=early.isoformat(), until=late.isoformat()) == everything
    assert await bob.found(since=late.isoformat()) == []
    assert await bob.found(until=early.isoformat()) == []
    assert await bob.found("from", sender="nobody") == []


async def test_c07_only_in_rooms_that_i_can_read(there: Visit) -> None:
    ann, bob, cy = await people(there, 3)
    ours, theirs = await ann.room(bob), await ann.room(cy)
    await ann.post(ours, "a shared word")
    await ann.post(theirs, "a secret word")
    assert sorted(await ann.found("word")) == ["a secret word", "a shared word"]
    assert await bob.found("word") == ["a shared word"]
    refused = await bob.ask("GET", "/search", params={"q": "word", "room": theirs})
    assert (refused.status, refused.code) == (404, "room_not_found")
    await ann.must("DELETE", f"/rooms/{ours}/members/{bob.id}")
    assert await bob.found("word") == []


async def test_c07_what_was_deleted_edited_away_or_expired_is_never_found(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    gone, changed = await ann.post(room, "word gone"), await ann.post(room, "word before")
    await ann.post(room, "word for a moment", ttl=1)
    at = f"/rooms/{room}/messages"
    await ann.must("DELETE", f"{at}/{gone['id']}")
    await ann.must("PATCH", f"{at}/{changed['id']}", {"text": "said otherwise"})
    assert await bob.found("before", room=room) == []
    assert await bob.found("otherwise", room=room) == ["said otherwise"]

    async def expired() -> bool:
        return await bob.found("word", room=room) == []

    await until(expired)


async def test_c07_a_message_is_jumped_to_and_read_around(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    sent = [await ann.post(room, f"n{number}") for number in range(30)]
    path = f"/rooms/{room}/messages"
    params = {"around": sent[15]["id"], "limit": "9"}
    page = await bob.must("GET", path, params=params)
    shown = [one["body"]["text"] for one in page["items"]]
    assert len(shown) == 9 and "n15" in shown
    numbers = [int(text[1:]) for text in shown]
    assert numbers == list(range(numbers[0], numbers[0] - 9, -1))
    older = await bob.must("GET", path, params={"cursor": page["next_cursor"], "limit": "9"})
    newer = await bob.must("GET", path, params={"cursor": page["prev_cursor"], "limit": "9"})
    assert older["items"][0]["body"]["text"] == f"n{numbers[-1] - 1}"
    assert newer["items"][-1]["body"]["text"] == f"n{numbers[0] + 1}"
    (stranger,) = await people(there, 1)
    assert (await stranger.ask("GET", path, params=params)).status == 404
    nowhere = {"around": "0192aaaa-0000-7000-8000-00000000aaaa"}
    assert (await bob.ask("GET", path, params=nowhere)).code == "message_not_found"


async def test_c07_a_search_goes_on_where_it_stopped(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    for number in range(5):
        await ann.post(room, f"again {number}")
    found: list[str] = []
    after = ""
    for _ in range(5):
        more = {"after": after} if after else {}
        lines = (await bob.ask("GET", "/search", params={"q": "again", "limit": "2", **more})).lines
        found += [line["message"]["body"]["text"] for line in lines[:-1]]
        after = lines[-1]["next"]
        if after is None:
            break
    assert found == [f"again {number}" for number in range(4, -1, -1)]


@pytest.mark.parametrize(
    "params",
    [{}, {"q": ""}, {"q": "  "}, {"q": "x" * 201}, {"q": "x", "limit": "0"},
     {"q": "x", "limit": "101"}, {"q": "x", "since": "yesterday"}, {"q": "x", "room": "mine"},
     {"q": "x", "has_file": "perhaps"}, {"q": "x", "$where": "1"}],
    ids=str,
)  # fmt: skip
async def test_c07_what_is_no_question_is_422(there: Visit, params: dict[str, str]) -> None:
    (ann,) = await people(there, 1)
    refused = await ann.ask("GET", "/search", params=params)
    assert (refused.status, refused.code) == (422, "fields_invalid")


async def test_c07_operators_of_databases_are_text(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    odd = (".*", '{"$where":"1"}', "$regex", "a|b", "' OR 1=1", "[a-z]+", "%", "\\")
    for text in odd:
        await ann.post(room, f"typed {text} here")
    await ann.post(room, "harmless")
    for text in odd:
        assert await bob.found(text, room=room) == [f"typed {text} here"], text
    now = datetime.now(UTC) + timedelta(days=1)
    assert await bob.found(sender="$ne", until=now.isoformat()) == []
