"""An account's own data through a whole server: REST and sync are two doors to one log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from signaling.chat import accounts
from sotto_client import Client
from tests.signaling.files.rig import Person, There
from tests.signaling.sync.documented import checked
from tests.sync.house import device, room_of, served


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    async with served(tmp_path) as made:
        yield made


def device_of(there: There, person: Person, place: str = ":memory:") -> Client:
    return device(there.house.client, there.house.http, person, place)


async def done(person: Person, method: str, path: str, body: Any = None) -> Any:
    answer = await person.ask(method, path, body)
    assert answer.status < 300, answer.body
    return answer.json if answer.body else None


def written(text: str) -> dict[str, Any]:
    return {"body": {"format": "m.plain.v1", "text": text}}


async def test_what_one_does_over_rest_is_in_the_sessions_of_ones_devices(there: There) -> None:
    room, bob = await room_of(there.ana, there.bob), await there.account_of(there.bob)
    sent = await done(there.bob, "POST", f"/rooms/{room}/messages", {"text": "keep me"})
    async with device_of(there, there.ana) as phone, device_of(there, there.bob) as strangers:
        own = phone.own()
        await own.synced()
        await done(there.ana, "PUT", f"/rooms/{room}/draft", written("unfinished"))
        await phone.wait(lambda: bool(own.drafts()))
        assert [(d.room, getattr(d.body, "text", "")) for d in own.drafts()] == [
            (room, "unfinished")
        ]
        one = f"/rooms/{room}/messages/{sent['id']}/saved"
        await done(there.ana, "PUT", one, {"note": "later"})
        await done(there.ana, "PATCH", "/preferences", {"typing": False})
        await done(there.ana, "PUT", f"/blocks/{bob}")
        await phone.wait(lambda: own.blocked() == [bob])
        assert [(s.id, s.note) for s in own.saved()] == [(sent["id"], "later")]
        assert own.preferences().typing is False
        await done(there.ana, "DELETE", f"/rooms/{room}/draft")
        await done(there.ana, "DELETE", one)
        await phone.wait(lambda: not own.drafts() and not own.saved())
        await strangers.own().synced()
        assert not strangers.own().replica.entries()


async def test_what_a_device_does_is_there_over_rest_and_on_the_others(there: There) -> None:
    room, bob = await room_of(there.ana, there.bob), await there.account_of(there.bob)
    sent = await done(there.bob, "POST", f"/rooms/{room}/messages", {"text": "keep me"})
    async with device_of(there, there.ana) as phone, device_of(there, there.ana) as desk:
        own = phone.own()
        own.draft(room, "from the train")
        own.save(room, sent["id"], "read it again")
        own.block(bob)
        own.prefer(presence="nobody", custom={"theme": "dark"})
        await own.synced()
        (draft,) = (await done(there.ana, "GET", "/drafts"))["items"]
        assert (draft["room"], draft["body"]["text"]) == (room, "from the train")
        (saved,) = (await done(there.ana, "GET", "/saved"))["items"]
        assert (saved["id"], saved["note"]) == (sent["id"], "read it again")
        assert (await done(there.ana, "GET", "/blocks"))["items"] == [{"account": bob}]
        wished = await done(there.ana, "GET", "/preferences")
        assert (wished["presence"], wished["custom"]) == ("nobody", {"theme": "dark"})
        await desk.own().synced()
        assert desk.own().drafts() == own.drafts() and desk.own().blocked() == [bob]
        # A blocked account counts nothing, whichever door the block came through.
        assert (await done(there.ana, "GET", f"/rooms/{room}/unread"))["messages"] == 0


async def test_a_device_that_was_away_and_rest_come_to_one_end(
    there: There, tmp_path: Path
) -> None:
    """Of two drafts of one place the later wins, on every device and over REST."""
    room = await room_of(there.ana, there.bob)
    place = str(tmp_path / "phone.db")
    away = device_of(there, there.ana, place)
    away.own().draft(room, "written in the tunnel")
    away.own().prefer(typing=False)
    away.local.close()
    await asyncio.sleep(0.01)
    await done(there.ana, "PUT", f"/rooms/{room}/draft", written("written at the desk"))
    async with device_of(there, there.ana, place) as phone, device_of(there, there.ana) as desk:
        for client in (phone, desk):
            await client.own().synced()
            (draft,) = client.own().drafts()
            assert getattr(draft.body, "text", "") == "written at the desk"
            assert client.own().preferences().typing is False
        assert phone.own().state().drafts == desk.own().state().drafts
    (shown,) = (await done(there.ana, "GET", "/drafts"))["items"]
    assert shown["body"]["text"] == "written at the desk"


async def test_a_read_cursor_reaches_the_other_devices_and_the_count_is_zero(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    bob = await there.account_of(there.bob)
    sent = await done(there.ana, "POST", f"/rooms/{room}/messages", {"text": "one"})
    assert (await done(there.bob, "GET", f"/rooms/{room}/unread"))["messages"] == 1
    headers = {"Authorization": f"Bearer {there.bob.token}"}
    async with there.house.client.ws_connect(
        there.house.http + "/sync", headers=headers, protocols=("sotto.1",)
    ) as socket:
        assert (await socket.receive_json(timeout=30))["type"] == "hello"
        await socket.send_json(
            {"type": "bind", "session": 1, "path": "account", "need_client_file_ident": True}
        )
        given = checked(await socket.receive_json(timeout=30), sender="server")
        await socket.send_json(given)
        first = checked(await socket.receive_json(timeout=30), sender="server")
        assert (first["type"], first["to"]) == ("download", 0)
        counts = await done(there.bob, "POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
        assert counts["messages"] == 0
        moved = checked(await socket.receive_json(timeout=30), sender="server")
        assert (moved["type"], moved["session"], moved["room"]) == ("cursor", 1, room)
        assert (moved["account"], moved["read"]) == (bob, sent["seq"])
        listed = (await done(there.bob, "GET", "/unread"))["items"]
        assert {one["room"]: one["counts"]["messages"] for one in listed}[room] == 0


async def test_a_device_below_the_cut_of_the_log_gets_what_it_comes_to(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row holds it all, so the log is short; who is far behind or new gets the row."""
    monkeypatch.setattr(accounts, "SAVE_EVERY", 10)
    room = await room_of(there.ana, there.bob)
    async with device_of(there, there.ana) as phone:
        own = phone.own()
        own.draft(room, "first")
        await own.synced()
        await phone.stop()
        for number in range(25):
            await done(there.ana, "PATCH", "/preferences", {"custom": {"n": number}})
        people: Any = there.house.app._people
        account = await there.account_of(there.ana)
        assert (await people.chatting.accounts.head(there.app, account)).floor >= 20
        again = device_of(there, there.ana)
        again.local = phone.local
        async with device_of(there, there.ana) as fresh:
            await fresh.own().synced()
            assert [getattr(d.body, "text", "") for d in fresh.own().drafts()] == ["first"]
            assert fresh.own().preferences().custom == {"n": 24}
            assert len(fresh.own().replica.entries()) < 20
        async with again:
            await again.own().synced()
            assert again.own().replica.resets == 1
            assert [getattr(d.body, "text", "") for d in again.own().drafts()] == ["first"]
            assert again.own().preferences().custom == {"n": 24}


async def test_a_device_that_stays_folds_what_leaves_the_log(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "SAVE_EVERY", 10)
    room = await room_of(there.ana, there.bob)
    people: Any = there.house.app._people
    async with device_of(there, there.ana) as phone:
        own = phone.own()
        own.draft(room, "first")
        await own.synced()
        for number in range(25):
            await done(there.ana, "PATCH", "/preferences", {"custom": {"n": number}})
        await people.sync.poll()
        await phone.wait(lambda: own.replica.file.floor >= 20)
        assert len(own.replica.entries()) < 10 and own.replica.resets == 0
        assert [getattr(d.body, "text", "") for d in own.drafts()] == ["first"]
        assert own.preferences().custom == {"n": 24}
        own.draft(room, "")
        await own.synced()
        assert own.drafts() == []
        assert (await done(there.ana, "GET", "/drafts"))["items"] == []


async def test_what_is_refused_comes_back_and_changes_nothing(there: There) -> None:
    async with device_of(there, there.ana) as phone:
        own = phone.own()
        own.prefer(custom={"k": "x" * 1000, "l": "y" * 1000, "m": "z" * 1000, "n": "z" * 1000,
                           "o": "z" * 1000})  # fmt: skip
        own.prefer(typing=False)
        await own.synced()
        (refused,) = own.replica.refused
        assert (refused["client_version"], refused["code"]) == (1, "fields_invalid")
        assert (own.preferences().custom, own.preferences().typing) == ({}, False)
        assert [entry["op"]["type"] for entry in own.replica.entries()] == ["void", "prefer"]
