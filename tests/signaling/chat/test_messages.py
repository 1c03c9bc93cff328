"""Messages and all that happens to them, over HTTP, by two accounts: allowed and refused."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
import pytest

from signaling.access.grant import read_grant
from signaling.chat.bodies import Plain, Sealed
from signaling.chat.ops import Change, Delete, Edit, Pin, Post
from signaling.chat.ports import BadVersion
from tests.signaling.access.rig import Ground
from tests.signaling.chat.entries import ident_of
from tests.signaling.chat.rig import APP, Served, serving

NEVER = ident_of(404)


def sealed(account: str = "bob", size: int = 48, **more: Any) -> dict[str, Any]:
    def text(count: int) -> str:
        return base64.b64encode(bytes(count)).decode()

    return {
        "format": "m.e2ee.v1", "account": account, "device": f"{account}-phone",
        "group_id": text(16), "epoch": 1, "leaf": 0, "sent_at": 1, "salt": text(16),
        "ct": text(size), "sig": text(64), **more,
    }  # fmt: skip


async def test_post_is_read_by_members_alone(served: Served) -> None:
    room = await served.room("bob")
    sent = await served.bob.post(room, "hello", custom={"ticket": 7}, silent=True)
    assert (sent["account"], sent["custom"], sent["silent"]) == ("bob", {"ticket": 7}, True)
    assert await served.ann.texts(room) == ["hello"]
    at = f"/rooms/{room}/messages"
    assert (await served.cy.ask("GET", at)).code == "room_not_found"
    assert (await served.ann.ask("GET", f"{at}/{NEVER}")).code == "message_not_found"
    assert (await served.ann.ask("GET", f"{at}/no-id")).code == "message_not_found"
    for wrong in (
        {}, {"text": ""}, {"text": "x", "body": {"format": "m.plain.v1", "text": "y"}},
        {"text": "x" * 16_001}, {"text": "x", "author": "ann"}, {"text": "a\0b"},
        {"text": "x", "custom": {"a": [1]}}, {"text": "x", "id": "mine"},
    ):  # fmt: skip
        assert (await served.bob.ask("POST", at, wrong)).code == "fields_invalid", wrong


async def test_posting_twice_with_one_key_is_one_message(embedded: Ground) -> None:
    async with serving(embedded) as served:
        room = await served.room("bob")
        at, body = f"/rooms/{room}/messages", {"text": "once"}
        first = await served.bob.ask("POST", at, body, Idempotency_Key="k1")
        again = await served.bob.ask("POST", at, body, Idempotency_Key="k1")
        assert first.body["id"] == again.body["id"]
        # The kept answer is lost, as in a crash before it was written: the log still knows.
        for document in await embedded.store.meta.scan(APP, "idempotency"):
            await embedded.store.meta.delete(APP, "idempotency", document.key)
        third = await served.bob.ask("POST", at, body, Idempotency_Key="k1")
        assert third.body["id"] == first.body["id"]
        assert await served.ann.texts(room) == ["once"]


async def test_edit_keeps_history_and_is_the_authors(served: Served) -> None:
    room = await served.room("bob")
    sent = await served.bob.post(room, "helo")
    one = f"/rooms/{room}/messages/{sent['id']}"
    assert (await served.ann.ask("PATCH", one, {"text": "mine"})).code == "not_permitted"
    etag = (await served.bob.ask("GET", one)).headers["ETag"]
    edited = await served.bob.ask("PATCH", one, {"text": "hello"}, If_Match=etag)
    assert [v["body"]["text"] for v in edited.body["edits"]] == ["helo"]
    assert edited.body["body"]["text"] == "hello"
    late = await served.bob.ask("PATCH", one, {"text": "hallo"}, If_Match=etag)
    assert late.status == 412


async def test_delete_for_everyone_by_author_or_moderator(served: Served) -> None:
    room = await served.room("bob", "cy")
    mine, theirs = await served.bob.post(room, "mine"), await served.cy.post(room, "theirs")
    at = f"/rooms/{room}/messages"
    assert (await served.bob.ask("DELETE", f"{at}/{theirs['id']}")).code == "not_permitted"
    assert (await served.bob.ask("DELETE", f"{at}/{mine['id']}")).status == 204
    assert (await served.ann.ask("DELETE", f"{at}/{theirs['id']}")).status == 204
    assert await served.cy.texts(room) == []
    shown = (await served.cy.ask("GET", f"{at}/{theirs['id']}")).body
    assert shown["deleted"]["by"] == "ann" and "body" not in shown
    assert (await served.cy.ask("PATCH", f"{at}/{theirs['id']}", {"text": "x"})).status == 404


async def test_delete_for_me_leaves_it_for_others(served: Served) -> None:
    room = await served.room("bob")
    one, _ = await served.ann.post(room, "one"), await served.ann.post(room, "two")
    at = f"/rooms/{room}/messages/{one['id']}/hidden"
    assert (await served.bob.ask("PUT", at)).status == 204
    assert await served.bob.texts(room) == ["two"]
    assert await served.ann.texts(room) == ["one", "two"]
    assert (await served.cy.ask("PUT", at)).status == 404
    head = (await served.bob.ask("GET", f"/rooms/{room}")).body["head"]
    assert (await served.bob.ask("POST", f"/rooms/{room}/hidden", {"seq": head})).status == 204
    assert await served.bob.texts(room) == []


async def test_reaction_is_one_for_each_account_and_emoji(served: Served) -> None:
    room = await served.room("bob")
    sent = await served.ann.post(room, "tea?")
    at = f"/rooms/{room}/messages/{sent['id']}/reactions/%F0%9F%8D%B5"
    for _ in range(2):
        assert (await served.bob.ask("PUT", at, {})).status == 200
    both = (await served.ann.ask("PUT", at, {})).body
    assert both["reactions"] == [{"emoji": "\U0001f375", "accounts": ["ann", "bob"]}]
    left = (await served.bob.ask("DELETE", at)).body
    assert left["reactions"] == [{"emoji": "\U0001f375", "accounts": ["ann"]}]
    assert (await served.cy.ask("PUT", at, {})).status == 404


async def test_pin_is_the_moderators(served: Served) -> None:
    room = await served.room("bob")
    first, second = await served.bob.post(room, "one"), await served.bob.post(room, "two")
    at = f"/rooms/{room}/messages"
    assert (await served.bob.ask("PUT", f"{at}/{first['id']}/pin")).code == "not_permitted"
    for sent in (first, second):
        assert (await served.ann.ask("PUT", f"{at}/{sent['id']}/pin")).status == 204
    assert (await served.ann.ask("DELETE", f"{at}/{first['id']}/pin")).status == 204
    pins = (await served.bob.ask("GET", f"/rooms/{room}/pins")).body["items"]
    assert [(m["id"], m["pinned"]) for m in pins] == [(second["id"], True)]


async def test_thread_is_counted_and_read_in_its_order(served: Served) -> None:
    room = await served.room("bob")
    root = await served.ann.post(room, "root")
    replies = [await served.bob.post(room, f"r{n}", parent=root["id"]) for n in range(3)]
    await served.ann.post(room, "quoting", reply_to=root["id"])
    await served.bob.ask("DELETE", f"/rooms/{room}/messages/{replies[1]['id']}")
    got = (await served.ann.ask("GET", f"/rooms/{room}/messages/{root['id']}")).body
    assert (got["thread"]["replies"], got["thread"]["accounts"]) == (2, ["bob"])
    query = f"?parent={root['id']}&limit=2"
    page = (await served.ann.ask("GET", f"/rooms/{room}/messages{query}")).body
    rest = await served.ann.ask(
        "GET", f"/rooms/{room}/messages{query}&cursor={page['next_cursor']}"
    )
    shown = [m["id"] for m in [*page["items"], *rest.body["items"]]]
    assert shown == [r["id"] for r in replies]


async def test_poll_is_voted_on_and_closed(served: Served) -> None:
    room = await served.room("bob")
    body = {"format": "m.plain.v1", "text": "When?", "options": ["Mon", "Tue"]}
    at = f"/rooms/{room}/messages"
    wish = {"body": body, "kind": "poll", "poll": {"options": 2}}
    poll = (await served.bob.ask("POST", at, wish)).body
    one = f"{at}/{poll['id']}"
    assert (await served.ann.ask("PUT", f"{one}/vote", {"choices": [1]})).status == 200
    assert (await served.ann.ask("PUT", f"{one}/vote", {"choices": [0, 1]})).status == 422
    assert (await served.ann.ask("PUT", f"{one}/vote", {"choices": [2]})).status == 422
    voted = (await served.bob.ask("PUT", f"{one}/vote", {"choices": [0]})).body
    assert voted["poll"]["votes"] == [["bob"], ["ann"]]
    assert (await served.bob.ask("POST", f"{one}/close")).body["poll"]["closed"] is True
    assert (await served.ann.ask("PUT", f"{one}/vote", {"choices": [0]})).code == "conflict"
    bad = {**wish, "poll": {"options": 3}}
    assert (await served.bob.ask("POST", at, bad)).code == "fields_invalid"


async def test_mention_of_everybody_is_the_moderators(served: Served) -> None:
    room = await served.room("bob")
    everybody = {"text": "all!", "mentions": {"room": True}}
    refused = await served.bob.ask("POST", f"/rooms/{room}/messages", everybody)
    assert refused.code == "not_permitted"
    await served.ann.post(room, "all!", mentions={"room": True})
    sent = await served.bob.post(room, "@ann", mentions={"accounts": ["ann"]})
    assert sent["mentions"] == {"accounts": ["ann"]}


async def test_forwarding_says_where_from_and_needs_both_rooms(served: Served) -> None:
    one, two = await served.room("bob"), await served.room(by="bob")
    sent = await served.ann.post(one, "news")
    at = f"/rooms/{one}/messages/{sent['id']}/forward"
    done = await served.bob.ask("POST", at, {"to": two})
    assert done.body["forwarded"] == {"room": one, "id": sent["id"], "account": "ann"}
    assert await served.bob.texts(two) == ["news"]
    assert (await served.ann.ask("POST", at, {"to": two})).code == "room_not_found"


async def test_voice_message_is_a_file_of_its_kind(served: Served) -> None:
    room = await served.room("bob")
    file = {"id": "f1", "size": 9, "voice": True, "duration": 2.5, "waveform": [1, 9, 3]}
    body = {"format": "m.plain.v1", "files": [file]}
    sent = await served.bob.ask("POST", f"/rooms/{room}/messages", {"body": body})
    assert sent.body["attachments"] == [{"id": "f1", "size": 9, "voice": True}]
    lie = {"body": body, "attachments": [{"id": "f2"}]}
    assert (await served.bob.ask("POST", f"/rooms/{room}/messages", lie)).status == 422


async def test_encrypted_body_is_checked_for_shape_and_sender(served: Served) -> None:
    room = await served.room("bob", mode="e2ee")
    at = f"/rooms/{room}/messages"
    sent = await served.bob.ask("POST", at, {"body": sealed()})
    assert sent.body["body"] == sealed()
    tries: list[tuple[dict[str, Any], str]] = [
        ({"text": "plain"}, "plaintext_refused"),
        ({"body": sealed("ann")}, "author_mismatch"),
        ({"body": sealed(device="other")}, "author_mismatch"),
        ({"body": sealed(size=49)}, "fields_invalid"),
        ({"body": sealed(size=15)}, "fields_invalid"),
        ({"body": sealed(sig="A" * 88)}, "fields_invalid"),
        ({"body": sealed(salt="A" * 24)}, "fields_invalid"),
        ({"body": sealed(extra=1)}, "fields_invalid"),
    ]
    for wish, code in tries:
        answer = await served.bob.ask("POST", at, wish)
        assert (answer.status, answer.code) == (422, code), wish
    one = f"{at}/{sent.body['id']}"
    plain = await served.bob.ask("PUT", f"{one}/reactions/x", {})
    assert plain.code == "plaintext_refused"
    tag = "t" * 43
    assert (await served.bob.ask("PUT", f"{one}/reactions/{tag}", {"body": sealed()})).status == 200


async def test_transient_room_keeps_members_and_nothing_said(embedded: Ground) -> None:
    async with serving(embedded) as served:
        room = await served.room("bob", mode="transient")
        seen: list[Any] = []
        served.house.chat.watch(APP, room, seen.append)
        await served.bob.post(room, "whisper")
        assert [e.op.body.text for hint in seen for e in getattr(hint, "entries", ())] == [
            "whisper"
        ]
        assert await served.ann.texts(room) == []
        assert await embedded.store.log.read(APP, room, limit=10) == []
        await served.ann.ask("PUT", f"/rooms/{room}/members/cy", {})
    async with serving(embedded) as served:
        got = await served.cy.ask("GET", f"/rooms/{room}")
        assert (got.body["mode"], got.body["part"]) == ("transient", "member")
        await served.cy.post(room, "again")


async def test_pages_lead_through_all_and_jump_around_one(served: Served) -> None:
    room = await served.room("bob")
    sent = [await served.bob.post(room, f"m{n}") for n in range(12)]
    at, found, cursor = f"/rooms/{room}/messages", [], ""
    for n in range(10):
        page = (await served.ann.ask("GET", f"{at}?limit=5{cursor}")).body
        found += [m["body"]["text"] for m in page["items"]]
        if n == 0:
            await served.bob.post(room, "meanwhile")
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == [f"m{n}" for n in range(11, -1, -1)]
    around = (await served.ann.ask("GET", f"{at}?limit=5&around={sent[5]['id']}")).body
    shown = [m["body"]["text"] for m in around["items"]]
    assert "m5" in shown and len(shown) == 5
    back = (await served.ann.ask("GET", f"{at}?limit=3&cursor={around['prev_cursor']}")).body
    assert back["items"][-1]["seq"] == around["items"][0]["seq"] + 1
    assert (await served.ann.ask("GET", f"{at}?cursor=forged")).code == "cursor_invalid"


async def test_message_expires_for_readers_at_its_time(served: Served) -> None:
    room = await served.room("bob")
    sent = await served.bob.post(room, "brief", ttl=60)
    assert await served.ann.texts(room) == ["brief"]
    served.house.clock.advance(61)
    assert await served.ann.texts(room) == []
    got = await served.ann.ask("GET", f"/rooms/{room}/messages/{sent['id']}")
    assert got.code == "message_not_found"


# What sync uploads


async def test_liars_get_the_documented_error_and_the_log_stays_right(served: Served) -> None:
    house = served.house
    room = await served.room("bob")
    sent = await served.ann.post(room, "ann's")
    actor = await house.chatting.people.actor(house.principal("bob"))
    chat, now = house.chat, int(house.clock.unix() * 1000)
    far = Change(version=1, clock=now + 10**9, op=Post(id=ident_of(1), body=Plain(text="ahead")))
    done = await chat.integrate(actor, room, "bob-1", [far])
    assert done.entries[0].clock == now + 300_000
    with pytest.raises(BadVersion) as gap:
        await chat.integrate(actor, room, "bob-1", [msgspec.structs.replace(far, version=3)])
    assert gap.value.expected == 2
    again = await chat.integrate(actor, room, "bob-1", [far])
    assert (again.cursor, list(again.entries)) == (1, [])
    tries = [
        Change(version=2, clock=now, op=Pin(id=sent["id"])),
        Change(version=3, clock=now, op=Edit(id=sent["id"], body=Plain(text="bob's"))),
        Change(version=4, clock=now, op=Delete(id=sent["id"])),
        Change(
            version=5, clock=now,
            op=Post(id=ident_of(2), body=msgspec.convert(sealed("ann"), Sealed)),
        ),
    ]  # fmt: skip
    done = await chat.integrate(actor, room, "bob-1", tries)
    assert done.cursor == 5
    assert [(n.version, str(n.code)) for n in done.notices] == [
        (2, "not_permitted"), (3, "not_permitted"), (4, "not_permitted"), (5, "fields_invalid"),
    ]  # fmt: skip
    shown = (await served.ann.ask("GET", f"/rooms/{room}/messages/{sent['id']}")).body
    assert shown["body"]["text"] == "ann's" and "deleted" not in shown and "pinned" not in shown
    log = (await served.bob.ask("GET", f"/rooms/{room}/log")).body
    assert [e["seq"] for e in log["entries"]] == list(range(1, log["head"] + 1))
    voided = [e["op"].get("was") for e in log["entries"] if e["op"]["type"] == "void"]
    assert voided == ["pin", "edit", "delete", "post"]


async def test_hundred_at_once_are_each_in_the_log_once(served: Served) -> None:
    room = await served.room("bob")
    await asyncio.gather(*(served.bob.post(room, f"m{n}") for n in range(100)))
    log = (await served.ann.ask("GET", f"/rooms/{room}/log?limit=500")).body["entries"]
    texts = [e["op"]["body"]["text"] for e in log if e["op"]["type"] == "post"]
    assert sorted(texts) == sorted(f"m{n}" for n in range(100))


async def test_access_token_posts_and_reads_what_it_names(served: Served) -> None:
    house = served.house
    keyset = await house.keysets.create(APP, "tests")
    room = await served.room("bob")

    async def token(mask: int, uuid: str | None = None) -> str:
        said: dict[str, Any] = {
            "resources": {"channels": {room: mask}, "groups": {}, "uuids": {}},
            "patterns": {"channels": {}, "groups": {}, "uuids": {}}, "meta": {},
        }  # fmt: skip
        if uuid is not None:
            said["uuid"] = uuid
        return await house.grants.grant(
            APP, keyset, read_grant(msgspec.json.encode({"ttl": 5, "permissions": said}))
        )

    write, read = await token(2, "bot"), await token(1)
    at = f"/rooms/{room}/messages"
    sent = await served.ask(write, "POST", f"{at}?uuid=bot", {"text": "beep"})
    assert (sent.status, sent.body["account"]) == (201, "bot")
    assert (await served.ask(write, "POST", at, {"text": "beep"})).status == 403
    assert (await served.ask(write, "GET", f"{at}?uuid=bot")).status == 403
    assert (await served.ask(read, "GET", at)).status == 200
    assert (await served.ask(read, "POST", at, {"text": "x"})).status == 403
    one = f"{at}/{sent.body['id']}"
    assert (await served.ask(write, "DELETE", f"{one}?uuid=bot")).status == 403
    delete = await token(8)
    assert (await served.ask(delete, "DELETE", one)).status == 204
