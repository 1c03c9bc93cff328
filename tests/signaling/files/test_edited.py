"""Files that come to a message by an edit: asked for like those of a post, and held by it."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from signaling.files.sweep import Sweep
from tests.signaling.files.rig import Person, There

pytestmark = pytest.mark.asyncio(loop_scope="module")


def body(text: str, *files: Any) -> dict[str, Any]:
    named = [{"id": file["id"], "size": file["size"], "name": "a.bin"} for file in files]
    return {"body": {"format": "m.plain.v1", "text": text, "files": named}}


def attached(*files: Any) -> list[dict[str, Any]]:
    return [{"id": file["id"], "size": file["size"]} for file in files]


async def said(person: Person, wish: dict[str, Any], room: str = "") -> Any:
    made = await person.ask("POST", f"/rooms/{room or person.room}/messages", wish)
    assert made.status == 201, made.body
    return made.json


async def much_later(there: There) -> None:
    """What nobody holds is gone by then."""
    clock = there.files.parts.clock
    unix = clock.unix
    clock.unix = lambda: unix() + 3 * 86_400
    try:
        await Sweep(there.files, there.app).round()
    finally:
        clock.unix = unix


async def test_a_file_that_an_edit_adds_is_held_by_the_message(there: There) -> None:
    first, second = [await there.ana.send(os.urandom(200), "a.bin") for _ in range(2)]
    sent = await said(there.ana, body("one", first))
    at = f"/rooms/{there.room}/messages/{sent['id']}"
    edited = await there.ana.ask("PATCH", at, body("two", first, second))
    assert edited.status == 200, edited.body
    assert edited.json["attachments"] == attached(first, second)
    assert (await there.bob.ask("GET", f"/files/{second['id']}")).status == 200
    await much_later(there)
    for file in (first, second):
        assert (await there.bob.ask("GET", f"/files/{file['id']}")).status == 200
    # What an edit takes out is still in the history, and goes with the message.
    fewer = await there.ana.ask("PATCH", at, body("three", second))
    assert fewer.json["attachments"] == attached(second)
    forwarded = await there.bob.ask("POST", f"{at}/forward", {"to": there.room})
    assert forwarded.json["attachments"] == attached(second), forwarded.body
    gone = await there.bob.ask("DELETE", f"/rooms/{there.room}/messages/{forwarded.json['id']}")
    assert gone.status == 204
    assert (await there.ana.ask("DELETE", at)).status == 204
    for file in (first, second):
        assert (await there.ana.ask("GET", f"/files/{file['id']}")).status == 404


async def test_an_edit_with_a_file_that_is_not_ones_own_to_give_is_refused(there: There) -> None:
    foreign = await there.bob.send(os.urandom(100), "a.bin")
    begun = await there.ana.create(10)
    sent = await said(there.ana, {"text": "one"})
    at = f"/rooms/{there.room}/messages/{sent['id']}"
    for file, code in (
        (foreign, "not_found"), (begun, "file_not_ready"), ({"id": "none", "size": 1}, "not_found"),
    ):  # fmt: skip
        refused = await there.ana.ask("PATCH", at, body("two", file))
        assert refused.code == code, refused.body
    lie = {**body("two"), "attachments": [{"id": foreign["id"]}]}
    assert (await there.ana.ask("PATCH", at, lie)).code == "fields_invalid"
    shown = (await there.ana.ask("GET", at)).json
    assert (shown["body"]["text"], shown.get("attachments", [])) == ("one", [])


def sealed(account: str, device: str) -> dict[str, Any]:
    def text(size: int) -> str:
        return base64.b64encode(bytes(size)).decode()

    return {
        "format": "m.e2ee.v1", "account": account, "device": device, "group_id": text(16),
        "epoch": 1, "leaf": 0, "sent_at": 1, "salt": text(16), "ct": text(80), "sig": text(64),
    }  # fmt: skip


async def test_in_an_encrypted_room_an_edit_names_its_files(there: There) -> None:
    """The server cannot read them out of the body; without, they are as they were."""
    made = await there.ana.ask("POST", "/rooms", {"name": "Closed", "mode": "e2ee"})
    room = made.json["id"]
    ana = await there.account_of(there.ana)
    current = (await there.ana.ask("GET", "/sessions")).json["items"]
    device = next(one["device"] for one in current if one["current"])
    wish = {"room": room, "opaque": True}
    first, second = [await there.ana.send(os.urandom(100), "a.bin", **wish) for _ in range(2)]
    first_said = {"body": sealed(ana, device), "attachments": attached(first)}
    sent = await said(there.ana, first_said, room)
    at = f"/rooms/{room}/messages/{sent['id']}"
    edited = await there.ana.ask("PATCH", at, {"body": sealed(ana, device)})
    assert edited.json["attachments"] == attached(first), edited.body
    more = {"body": sealed(ana, device), "attachments": attached(first, second)}
    edited = await there.ana.ask("PATCH", at, more)
    assert edited.json["attachments"] == attached(first, second)
    edited = await there.ana.ask("PATCH", at, {"body": sealed(ana, device)})
    assert edited.json["attachments"] == attached(first, second)
    await much_later(there)
    assert (await there.ana.ask("GET", f"/files/{second['id']}")).status == 200
    twice = {"body": sealed(ana, device), "attachments": attached(first, first)}
    assert (await there.ana.ask("PATCH", at, twice)).code == "fields_invalid"
    none = await there.ana.ask("PATCH", at, {"body": sealed(ana, device), "attachments": []})
    assert none.json.get("attachments", []) == []
