"""A file from its first byte to its last reference, through the running server."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from signaling.accounts.principal import Kind, Principal
from signaling.accounts.sessions.scopes import ALL
from signaling.chat.ops import Change, Delete
from signaling.errors import Code
from tests.signaling.files.rig import Person, There, every_byte, people

CANARY = b"canary-of-plain-bytes-on-a-disk"


async def test_a_file_is_sent_completed_and_fetched_again(tmp_path: Path) -> None:
    data = CANARY + os.urandom(300_000) + CANARY
    async with people(tmp_path) as there:
        info = await there.ana.send(data, "notes.bin")
        assert (info["state"], info["size"], info["name"]) == ("ready", len(data), "notes.bin")
        got = await there.ana.fetch(info["id"])
        assert got.body == data
        assert CANARY not in every_byte(tmp_path / "store")


async def principal(there: There, who: Person) -> Principal:
    account = await there.account_of(who)
    return Principal(app=there.app, kind=Kind.ACCOUNT, account=account, scopes=ALL)


async def test_nobodys_file_goes_by_what_another_member_uploads(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        info = await there.ana.send(b"of Ana's message", "a.bin")
        file = {"id": info["id"], "key": info["key"]}
        body = {"format": "m.plain.v1", "text": "look", "files": [file]}
        at = f"/rooms/{there.room}/messages"
        posted = await there.ana.ask("POST", at, {"body": body})
        assert posted.status == 201, posted.body
        chatting = there.house.app._people.chatting
        delete = [Change(version=1, clock=1, op=Delete(id=posted.json["id"]))]
        actor = await chatting.people.actor(await principal(there, there.bob))
        done = await chatting.chat.integrate(actor, there.room, "bob-1", delete)
        assert [one.code for one in done.notices] == [Code.NOT_PERMITTED]
        for who in (there.ana, there.bob):
            assert (await who.fetch(info["id"], key=info["key"])).body == b"of Ana's message"
        actor = await chatting.people.actor(await principal(there, there.ana))
        assert not (await chatting.chat.integrate(actor, there.room, "ana-1", delete)).notices
        assert (await there.ana.ask("GET", f"/files/{info['id']}")).status == 404


async def test_a_file_is_its_messages_though_the_process_died_that_took_it(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        chat, sent = there.house.app._people.chatting.chat, await there.ana.send(b"look", "a.bin")
        file, at = {"id": sent["id"], "key": sent["key"]}, f"/rooms/{there.room}/messages"
        reached, gone = asyncio.Event(), asyncio.Event()

        async def dying(*_: Any, **__: Any) -> None:
            reached.set()
            await gone.wait()

        hooks, chat.committed = chat.committed, [dying]
        body = {"format": "m.plain.v1", "text": "look", "files": [file]}
        post = asyncio.create_task(there.ana.ask("POST", at, {"body": body}))
        await reached.wait()
        chat.committed = hooks
        assert (await there.bob.link(sent["id"], key=sent["key"])).status == 404
        # Another process opens the room, or this one when it was started anew.
        chat.rooms.drop(there.app, there.room)
        assert (await there.bob.ask("GET", at)).status == 200
        async with asyncio.timeout(20):
            while (await there.bob.link(sent["id"], key=sent["key"])).status == 404:
                await asyncio.sleep(0.01)
        gone.set()
        posted = await post
        assert posted.status == 201, posted.body
        assert (await there.bob.fetch(sent["id"], key=sent["key"])).body == b"look"
        assert (await there.ana.ask("DELETE", f"{at}/{posted.json['id']}")).status == 204
        assert (await there.bob.link(sent["id"], key=sent["key"])).status == 404
        assert (await there.ana.ask("GET", f"/files/{sent['id']}")).status == 404


async def test_files_from_before_one_came_are_not_listed_where_that_is_hidden(
    tmp_path: Path,
) -> None:
    async with people(tmp_path) as there:
        bob = await there.account_of(there.bob)
        wish = {"kind": "group", "name": "Tea", "settings": {"since_join": True}}
        made = await there.ana.ask("POST", "/rooms", wish)
        assert made.status == 201, made.body
        there.ana.room = there.bob.room = made.json["id"]

        async def sends(text: bytes) -> str:
            sent = await there.ana.send(text)
            file = {"id": sent["id"], "key": sent["key"]}
            body = {"format": "m.plain.v1", "text": "look", "files": [file]}
            at = f"/rooms/{there.ana.room}/messages"
            assert (await there.ana.ask("POST", at, {"body": body})).status == 201
            return str(sent["id"])

        async def listed(who: Person) -> set[str]:
            answer = await who.ask("GET", f"/rooms/{who.room}/files")
            assert answer.status == 200, answer.body
            return {one["id"] for one in answer.json["items"]}

        before = await sends(b"before")
        member = f"/rooms/{there.ana.room}/members/{bob}"
        assert (await there.ana.ask("PUT", member, {})).status == 200
        after = await sends(b"after")
        assert await listed(there.ana) == {before, after}
        assert await listed(there.bob) == {after}
