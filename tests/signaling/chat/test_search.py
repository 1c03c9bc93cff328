"""Search: what is found by words, senders, dates and files, and what is not found any more."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from tests.signaling.chat.rig import Person, Served


async def found(who: Person, query: str) -> list[str]:
    answer = await who.ask("GET", f"/search?{query}")
    assert answer.status == 200, answer.body
    lines = [msgspec.json.decode(line) for line in answer.body.splitlines()]
    assert lines[-1] == {"next": None}
    return [line["message"]["body"]["text"] for line in lines[:-1]]


async def test_search_finds_words_phrases_senders_and_files(served: Served) -> None:
    room = await served.room("bob", "cy")
    for text in ("Grüner Tee", "tee und kuchen", "чай с лимоном", "お茶をください"):
        await served.ann.post(room, text)
    edited = await served.bob.post(room, "kaffee")
    await served.bob.ask("PATCH", f"/rooms/{room}/messages/{edited['id']}", {"text": "mate"})
    gone = await served.bob.post(room, "tee gone")
    await served.bob.ask("DELETE", f"/rooms/{room}/messages/{gone['id']}")
    file = {"format": "m.plain.v1", "text": "photo", "files": [{"id": "f1"}]}
    await served.ann.ask("POST", f"/rooms/{room}/messages", {"body": file})
    ask = served.cy
    assert await found(ask, "q=TEE") == ["tee und kuchen", "Grüner Tee"]
    assert await found(ask, f"q={quote('GRÜNER tee')}") == ["Grüner Tee"]
    assert await found(ask, f"q={quote(chr(34) + 'tee und' + chr(34))}") == ["tee und kuchen"]
    assert await found(ask, f"q={quote('Чай')}") == ["чай с лимоном"]
    assert await found(ask, f"q={quote('茶')}") == ["お茶をください"]
    assert await found(ask, "q=kaffee") == []
    assert await found(ask, "sender=bob") == ["mate"]
    assert await found(ask, f"has_file=true&room={room}") == ["photo"]
    assert await found(served.dora, "q=tee") == []
    refused = await served.dora.ask("GET", f"/search?q=tee&room={room}")
    assert refused.code == "room_not_found"
    assert (await ask.ask("GET", "/search")).code == "fields_invalid"
    first = await ask.ask("GET", "/search?q=tee&limit=1")
    lines = [msgspec.json.decode(line) for line in first.body.splitlines()]
    rest = await ask.ask("GET", f"/search?q=tee&after={lines[-1]['next']}")
    again = msgspec.json.decode(rest.body.splitlines()[0])
    assert again["message"]["body"]["text"] == "Grüner Tee"


async def test_search_of_an_encrypted_room_is_the_clients(served: Served) -> None:
    room = await served.room("bob", mode="e2ee")
    assert (await served.bob.ask("GET", f"/search?q=x&room={room}")).code == "conflict"


async def test_what_is_over_is_not_found_though_its_bytes_are_still_there(served: Served) -> None:
    room = await served.room("bob")
    sent = await served.ann.post(room, "tea for a minute", ttl=60)
    again = {"text": "tea, for a minute"}
    await served.ann.post(room, "tea for ever")
    assert len(await found(served.bob, "q=tea")) == 2
    await served.ann.ask("PATCH", f"/rooms/{room}/messages/{sent['id']}", again)
    assert len(await found(served.bob, "q=tea")) == 2
    # Nothing erases it here, as while somebody holds it.
    served.house.clock.advance(61)
    assert await found(served.bob, "q=tea") == ["tea for ever"]


async def test_what_i_deleted_for_myself_others_find(served: Served) -> None:
    room = await served.room("bob", "cy")
    for text in ("tea one", "tea two", "tea three"):
        last = await served.ann.post(room, text)
    at = f"/rooms/{room}/messages/{last['id']}"
    assert (await served.bob.ask("PUT", at + "/hidden")).status == 204
    assert await found(served.bob, "q=tea") == ["tea two", "tea one"]
    upto = {"seq": last["seq"] - 1}
    assert (await served.bob.ask("POST", f"/rooms/{room}/hidden", upto)).status == 204
    assert await found(served.bob, "q=tea") == []
    assert len(await found(served.cy, "q=tea")) == 3


async def test_an_edited_message_is_found_once_and_by_its_own_date(served: Served) -> None:
    room = await served.room("bob")
    file = {"format": "m.plain.v1", "text": "photo", "files": [{"id": "f1"}]}
    sent = (await served.ann.ask("POST", f"/rooms/{room}/messages", {"body": file})).body
    served.house.clock.advance(3600)
    for text in ("tea", "water", "tea"):
        at = f"/rooms/{room}/messages/{sent['id']}"
        assert (await served.ann.ask("PATCH", at, {"text": text})).status == 200
        served.house.clock.advance(60)
    assert await found(served.bob, "q=tea") == ["tea"]
    assert await found(served.bob, "has_file=true") == []
    assert await found(served.bob, "q=tea&has_file=false") == ["tea"]
    said = quote(sent["at"])
    assert await found(served.bob, f"q=tea&since={said}&until={said}") == ["tea"]


async def test_a_search_goes_on_after_the_room_where_it_stopped_was_left(served: Served) -> None:
    left, stays = sorted([await served.room("bob"), await served.room("bob")])
    for room in (left, stays):
        for text in ("tea one", "tea two"):
            await served.ann.post(room, text)
    answer = await served.bob.ask("GET", "/search?q=tea&limit=1")
    place = msgspec.json.decode(answer.body.splitlines()[-1])["next"]
    assert place.startswith(left)
    assert (await served.bob.ask("DELETE", f"/rooms/{left}/members/bob")).status == 204
    assert await found(served.bob, f"q=tea&after={place}") == ["tea two", "tea one"]
