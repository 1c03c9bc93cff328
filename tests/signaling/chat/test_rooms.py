"""Rooms and who is in them, over HTTP: allowed, refused, and what strangers are not told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from signaling.chat.ops import Entry, Member, Op, Part
from signaling.chat.room import Room
from signaling.chat.service import Chat
from signaling.errors import Unavailable
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import Served, serving

NOBODYS = "01a00000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("kind", ["group", "private", "public", "announcement"])
async def test_room_of_each_kind(served: Served, kind: str) -> None:
    room = await served.room("bob", kind=kind, topic="Leaves")
    got = (await served.bob.ask("GET", f"/rooms/{room}")).body
    assert (got["kind"], got["part"], got["members"], got["topic"]) == (kind, "member", 2, "Leaves")
    listed = (await served.bob.ask("GET", "/rooms")).body["items"]
    assert [one["id"] for one in listed] == [room]
    assert (await served.cy.ask("GET", "/rooms")).body["items"] == []


async def test_direct_room_is_one_for_a_pair(served: Served) -> None:
    body = {"kind": "direct", "members": ["bob"]}
    first = await served.ann.ask("POST", "/rooms", body)
    again = await served.bob.ask("POST", "/rooms", {"kind": "direct", "members": ["ann"]})
    assert (first.status, again.status) == (201, 200)
    room = first.body["id"]
    assert again.body["id"] == room
    assert (await served.cy.ask("GET", f"/rooms/{room}")).status == 404
    for path in (f"/rooms/{room}/members/cy", f"/rooms/{room}/members/bob"):
        assert (await served.ann.ask("PUT", path, {"part": "moderator"})).code == "not_permitted"
    assert (await served.ann.ask("POST", "/rooms", {"kind": "direct"})).status == 422


async def test_stranger_is_told_the_same_as_of_a_room_that_is_not_there(served: Served) -> None:
    room = await served.room("bob")
    tries = [
        ("GET", "", None), ("GET", "/members", None), ("GET", "/messages", None),
        ("GET", "/log", None), ("POST", "/messages", {"text": "hi"}), ("POST", "/join", None),
        ("PUT", "/members/cy", {}),
    ]  # fmt: skip
    for method, tail, body in tries:
        met = await served.cy.ask(method, f"/rooms/{room}{tail}", body)
        absent = await served.cy.ask(method, f"/rooms/{NOBODYS}{tail}", body)
        assert (met.status, met.code) == (absent.status, absent.code) == (404, "room_not_found")
    assert (await served.ask("", "GET", f"/rooms/{room}")).status == 401


async def test_members_come_rise_and_go_by_rank(served: Served) -> None:
    room = await served.room("bob", "cy")
    at = f"/rooms/{room}/members"
    assert (await served.bob.ask("PUT", f"{at}/dora", {})).code == "not_permitted"
    assert (await served.ann.ask("PUT", f"{at}/bob", {"part": "moderator"})).status == 200
    assert (await served.bob.ask("PUT", f"{at}/dora", {})).status == 200
    assert (await served.bob.ask("PUT", f"{at}/cy", {"part": "moderator"})).status == 403
    assert (await served.bob.ask("DELETE", f"{at}/ann")).status == 403
    assert (await served.bob.ask("PUT", f"{at}/bob", {"part": "owner"})).status == 403
    assert (await served.bob.ask("DELETE", f"{at}/cy")).status == 204
    assert (await served.cy.ask("GET", f"/rooms/{room}")).status == 404
    assert (await served.dora.ask("DELETE", f"{at}/dora")).status == 204
    assert (await served.ann.ask("DELETE", f"{at}/ann")).code == "last_owner"
    assert (await served.ann.ask("PUT", f"{at}/nobody", {})).status == 404
    names = {m["account"]: m["part"] for m in (await served.ann.ask("GET", at)).body["items"]}
    assert names == {"ann": "owner", "bob": "moderator"}


async def test_banned_reads_writes_and_joins_no_more(served: Served) -> None:
    room = await served.room("bob", kind="public", settings={"join": "open"})
    at = f"/rooms/{room}"
    assert (await served.cy.ask("POST", f"{at}/join")).body["part"] == "member"
    await served.cy.post(room, "hello")
    assert (await served.ann.ask("PUT", f"{at}/members/cy", {"part": "banned"})).status == 200
    for method, tail, body in (
        ("GET", "", None), ("POST", "/join", None), ("POST", "/messages", {"text": "again"}),
    ):  # fmt: skip
        assert (await served.cy.ask(method, at + tail, body)).code == "banned"
    assert (await served.cy.ask("GET", "/rooms")).body["items"] == []
    shown = (await served.ann.ask("GET", f"{at}/members")).body["items"]
    assert {m["account"]: m["part"] for m in shown} == {
        "ann": "owner",
        "bob": "member",
        "cy": "banned",
    }
    assert (await served.ann.ask("PUT", f"{at}/members/cy", {})).status == 200
    await served.cy.post(room, "back")


async def test_public_room_is_listed_and_joined(served: Served) -> None:
    room = await served.room(kind="public", name="Lounge", settings={"join": "open"})
    await served.room(kind="private", name="Secret")
    listed = (await served.bob.ask("GET", "/public-rooms")).body["items"]
    assert [(one["id"], one["part"]) for one in listed] == [(room, "none")]
    assert (await served.bob.ask("POST", f"/rooms/{room}/messages", {"text": "x"})).status == 403
    assert (await served.bob.ask("POST", f"/rooms/{room}/join")).status == 200
    await served.bob.post(room, "hello")
    closed = await served.room(kind="public", name="Club")
    assert (await served.bob.ask("POST", f"/rooms/{closed}/join")).code == "not_permitted"


async def test_announcement_room_is_written_by_moderators_alone(served: Served) -> None:
    room = await served.room("bob", kind="announcement")
    await served.ann.post(room, "Hear")
    refused = await served.bob.ask("POST", f"/rooms/{room}/messages", {"text": "me too"})
    assert (refused.status, refused.code) == (403, "not_permitted")
    assert await served.bob.texts(room) == ["Hear"]


async def test_room_settings_change_with_their_version_only(served: Served) -> None:
    room = await served.room("bob")
    got = await served.ann.ask("GET", f"/rooms/{room}")
    etag = got.headers["ETag"]
    assert (await served.ann.ask("PATCH", f"/rooms/{room}", {"name": "x"})).status == 428
    changed = await served.ann.ask("PATCH", f"/rooms/{room}", {"name": "Mate"}, If_Match=etag)
    assert (changed.status, changed.body["name"]) == (200, "Mate")
    lost = await served.ann.ask("PATCH", f"/rooms/{room}", {"name": "x"}, If_Match=etag)
    assert (lost.status, lost.code) == (412, "precondition_failed")
    etag = changed.headers["ETag"]
    assert (
        await served.bob.ask("PATCH", f"/rooms/{room}", {"name": "x"}, If_Match=etag)
    ).status == 403
    wish = {"call_encryption": "required"}
    refused = await served.ann.ask("PATCH", f"/rooms/{room}", wish, If_Match=etag)
    assert (refused.status, refused.code) == (422, "encryption_unavailable")
    assert (await served.ann.ask("GET", f"/rooms/{room}")).body["call_encryption"] == "none"


async def test_e2ee_once_for_what_follows_and_never_back(served: Served) -> None:
    room = await served.room("bob")
    await served.bob.post(room, "open")
    assert (await served.bob.ask("POST", f"/rooms/{room}/mode", {"mode": "e2ee"})).status == 403
    assert (await served.ann.ask("POST", f"/rooms/{room}/mode", {"mode": "e2ee"})).status == 200
    plain = await served.bob.ask("POST", f"/rooms/{room}/messages", {"text": "secret"})
    assert (plain.status, plain.code) == (422, "plaintext_refused")
    for back in ("searchable", "transient", "e2ee"):
        answer = await served.ann.ask("POST", f"/rooms/{room}/mode", {"mode": back})
        assert answer.status in (409, 422)
    assert await served.bob.texts(room) == ["open"]


async def test_rooms_outlive_the_process(embedded: Ground) -> None:
    async with serving(embedded) as first:
        room = await first.room("bob")
        sent = await first.bob.post(room, "still here")
        await first.ann.ask("PUT", f"/rooms/{room}/members/cy", {})
    async with serving(embedded) as second:
        assert await second.cy.texts(room) == ["still here"]
        got = await second.ann.ask("GET", f"/rooms/{room}/messages/{sent['id']}")
        assert got.body["body"]["text"] == "still here"
        assert (await second.dora.ask("GET", f"/rooms/{room}")).status == 404


async def test_two_processes_judge_by_the_same_members(embedded: Ground) -> None:
    async with serving(embedded) as one, serving(embedded) as two:
        room = await one.room("bob")
        await two.bob.post(room, "here")
        await one.ann.ask("PUT", f"/rooms/{room}/members/bob", {"part": "banned"})
        refused = await two.bob.ask("POST", f"/rooms/{room}/messages", {"text": "x"})
        assert refused.code == "banned"
        assert await one.ann.texts(room) == ["here"]


async def test_what_a_process_appends_it_does_not_read_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many at once: whoever has its turn before them sees what others have just committed."""
    room, log = await served.room("bob"), served.house.ground.store.log
    await served.ann.ask("POST", f"/rooms/{room}/messages", {"text": "first"})
    reads, read = [], log.read

    async def counted(app: str, name: str, **where: Any) -> Any:
        reads.append(name)
        return await read(app, name, **where)

    monkeypatch.setattr(log, "read", counted)
    posts = [served.bob.ask("POST", f"/rooms/{room}/messages", {"text": f"{n}"}) for n in range(40)]
    assert {answer.status for answer in await asyncio.gather(*posts)} == {201}
    assert reads == []


async def test_what_is_said_last_holds_though_the_servers_clock_went_back(served: Served) -> None:
    room = await served.room("bob")
    first = await served.ann.post(room, "tea")

    async def changed(word: str) -> tuple[str, str, str]:
        """The topic, a message and a draft, as they are shown after all were changed to it."""
        seen = await served.ann.ask("GET", f"/rooms/{room}")
        match = {"If_Match": seen.headers["ETag"]}
        topic = await served.ann.ask("PATCH", f"/rooms/{room}", {"topic": word}, **match)
        assert topic.status == 200, topic.body
        path = f"/rooms/{room}/messages/{first['id']}"
        assert (await served.ann.ask("PATCH", path, {"text": word})).status == 200
        draft = {"body": {"format": "m.plain.v1", "text": word}}
        assert (await served.ann.ask("PUT", f"/rooms/{room}/draft", draft)).status == 204
        (kept,) = (await served.ann.ask("GET", "/drafts")).body["items"]
        shown = (await served.ann.ask("GET", f"/rooms/{room}")).body
        (text,) = await served.bob.texts(room)
        return shown["topic"], text, kept["body"]["text"]

    assert await changed("before") == ("before",) * 3
    served.house.clock.step(-3600)
    for word in ("after", "and after that"):
        assert await changed(word) == (word,) * 3


@pytest.mark.parametrize(("asking", "other"), [("ann", "bob"), ("bob", "ann")])
async def test_a_pairs_room_is_made_whole_after_a_process_died_that_began_it(
    served: Served, monkeypatch: pytest.MonkeyPatch, asking: str, other: str
) -> None:
    right = Chat.say_as

    async def dies(self: Chat, room: Room, account: str, part: Part, op: Op) -> list[Entry]:
        if isinstance(op, Member):
            raise Unavailable("killed")
        return await right(self, room, account, part, op)

    with monkeypatch.context() as patch:
        patch.setattr(Chat, "say_as", dies)
        body = {"kind": "direct", "members": ["bob"]}
        assert (await served.ann.ask("POST", "/rooms", body)).status == 503
    begun = await served.ask(asking, "POST", "/rooms", {"kind": "direct", "members": [other]})
    assert begun.status == 200
    for name in (asking, other):
        got = await served.ask(name, "GET", f"/rooms/{begun.body['id']}")
        assert (got.status, got.body["members"], got.body["part"]) == (200, 2, "member")
