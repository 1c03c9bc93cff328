"""A file that somebody began to post: it is the message's if the log took that, else nobody's.

Row B16: what no message holds goes, whoever died or was refused; what one holds stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signaling.errors import Unavailable
from signaling.files.sweep import Sweep
from tests.signaling.files.rig import Person, There

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = 86_400.0


@contextlib.contextmanager
def taking_nothing(there: There) -> Iterator[None]:
    """The room's log is out of order."""
    log = there.house.app.core.store.log
    right = log.append

    async def append(app: str, room: str, *words: Any, **more: Any) -> Any:
        if room == there.room:
            raise Unavailable("the log takes nothing", 1)
        return await right(app, room, *words, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "append", append)
        yield


def body(text: str, *files: Any) -> dict[str, Any]:
    named = [{"id": file["id"], "key": file["key"]} for file in files]
    return {"body": {"format": "m.plain.v1", "text": text, "files": named}}


async def said(person: Person, *files: Any, room: str = "") -> Any:
    made = await person.ask("POST", f"/rooms/{room or person.room}/messages", body("look", *files))
    assert made.status == 201, made.body
    return made.json


async def swept(there: There, seconds: float) -> None:
    """As the sweep of that time finds it."""
    clock = there.files.parts.clock
    unix = clock.unix
    clock.unix = lambda: unix() + seconds
    try:
        await Sweep(there.files, there.app).round()
    finally:
        clock.unix = unix


async def is_there(there: There, file: Any) -> bool:
    return (await there.ana.ask("GET", f"/files/{file['id']}")).status == 200


async def test_a_file_whose_post_failed_goes_as_if_it_had_not_been_tried(
    there: There,
) -> None:
    file = await there.ana.send(os.urandom(100), "a.bin")
    with taking_nothing(there):
        at = f"/rooms/{there.room}/messages"
        assert (await there.ana.ask("POST", at, body("look", file))).status == 503
    await swept(there, DAY / 2)
    assert await is_there(there, file)
    await swept(there, DAY + 100)
    assert not await is_there(there, file)


async def test_a_file_whose_edit_failed_goes_and_that_of_the_message_stays(
    there: There,
) -> None:
    first, second = [await there.ana.send(os.urandom(100), "a.bin") for _ in range(2)]
    at = f"/rooms/{there.room}/messages/{(await said(there.ana, first))['id']}"
    with taking_nothing(there):
        assert (await there.ana.ask("PATCH", at, body("both", first, second))).status == 503
    await swept(there, DAY + 100)
    assert (await there.bob.fetch(first["id"], key=first["key"])).status == 200
    assert not await is_there(there, second)


async def test_a_file_goes_with_its_message_though_it_was_to_be_in_another(
    there: There,
) -> None:
    file = await there.ana.send(os.urandom(100), "a.bin")
    at = f"/rooms/{there.room}/messages/{(await said(there.ana, file))['id']}"
    with taking_nothing(there):
        assert (await there.bob.ask("POST", f"{at}/forward", {"to": there.room})).status == 503
    assert (await there.ana.ask("DELETE", at)).status == 204
    await swept(there, DAY + 100)
    assert not await is_there(there, file)


@pytest.mark.parametrize("edited", [False, True])
async def test_a_file_is_its_messages_though_nobody_folds_it_any_more(
    there: There, edited: bool
) -> None:
    """The process died before it noted the file, and after it had saved the room beyond it."""
    chat = there.house.app._people.chatting.chat
    file = await there.ana.send(b"look", "a.bin")
    at = f"/rooms/{there.room}/messages"
    sent = await said(there.ana) if edited else {"id": ""}
    hooks, chat.committed = chat.committed, []
    if edited:
        done = await there.ana.ask("PATCH", f"{at}/{sent['id']}", body("look", file))
        assert done.status == 200, done.body
    else:
        sent = await said(there.ana, file)
    room = await chat.rooms.find(there.app, there.room)
    assert room is not None
    await chat.rooms.save(room)
    chat.committed = hooks
    chat.rooms.drop(there.app, there.room)
    assert (await there.bob.ask("GET", at)).status == 200
    await asyncio.gather(*chat.rooms._tasks)
    await swept(there, DAY + 100)
    assert (await there.bob.fetch(file["id"], key=file["key"])).body == b"look"
    assert file["id"] in {
        one["id"]
        for one in (await there.bob.ask("GET", f"/rooms/{there.room}/files")).json["items"]
    }
    assert (await there.ana.ask("DELETE", f"{at}/{sent['id']}")).status == 204
    assert not await is_there(there, file)


async def test_a_file_of_a_message_that_was_deleted_meanwhile_is_not_its(there: There) -> None:
    """Both were said by processes that died before they noted it."""
    chat = there.house.app._people.chatting.chat
    file = await there.ana.send(b"look", "a.bin")
    hooks, chat.committed = chat.committed, []
    sent = await said(there.ana, file)
    at = f"/rooms/{there.room}/messages/{sent['id']}"
    assert (await there.ana.ask("DELETE", at)).status == 204
    chat.committed = hooks
    await swept(there, DAY + 100)
    assert not await is_there(there, file)


async def test_what_is_tried_again_is_begun_anew(there: There) -> None:
    """So that the sweep does not take what a second try is about to hold."""
    file = await there.ana.send(os.urandom(100), "a.bin")
    message, register = "m1", there.files.parts.register
    await there.files.begun(there.app, there.room, message, file["id"])
    (row,) = [r async for r in register.all_begun(there.app) if r.value.file == file["id"]]
    await there.files.begun(there.app, there.room, message, file["id"])
    assert await there.files.look_after(there.app, row) == 0
    assert await there.files.awaits(there.app, there.room, message, file["id"])
    await there.files.posted(there.app, there.room, message, [file["id"]])
    await there.files.begun(there.app, there.room, message, file["id"])
    assert not await there.files.awaits(there.app, there.room, message, file["id"])


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_file_waits_with_the_post_that_was_scheduled(there: There, cancelled: bool) -> None:
    """For days, and no longer than that."""
    chatting, clock = there.house.app._people.chatting, there.files.parts.clock
    file = await there.ana.send(b"for next week", "a.bin")
    at = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    wish = {"at": at, "message": body("here it is", file)}
    made = await there.ana.ask("POST", f"/rooms/{there.room}/scheduled", wish)
    assert made.status < 300, made.body
    await swept(there, 2 * DAY)
    assert await is_there(there, file)
    if cancelled:
        gone = await there.ana.ask("DELETE", f"/scheduled/{made.json['id']}")
        assert gone.status == 204, gone.body
    unix = clock.unix
    clock.unix = lambda: unix() + 3 * DAY + 10
    try:
        await chatting.later.send_due(there.app)
        await Sweep(there.files, there.app).round()
    finally:
        clock.unix = unix
    assert await is_there(there, file) is not cancelled
    if not cancelled:
        assert (await there.bob.fetch(file["id"], key=file["key"])).body == b"for next week"


async def test_a_file_that_is_not_ones_own_cannot_be_scheduled(there: There) -> None:
    file = await there.bob.send(b"of Bob", "a.bin")
    at = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    wish = {"at": at, "message": body("look", file)}
    refused = await there.ana.ask("POST", f"/rooms/{there.room}/scheduled", wish)
    assert (refused.status, refused.code) == (404, "not_found")
