"""Section 1.D, the rows of messages and files: each cell by the operation itself, both ways.

Those of memberships, groups and who is there are in `test_1d_rooms`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from signaling.access.permissions import Permission
from tests.rows.house import Answer, Visit
from tests.rows.peer import seated
from tests.rows.rightful import Person, people
from tests.signaling.access.rig import Signer
from tests.signaling.access.words import said
from tests.slack import within

EVERY = int(sum(Permission))
# Bits of the masks: read 1, write 2, manage 4, delete 8, get 32, update 64, join 128.
READ, WRITE, MANAGE, DELETE, GET, UPDATE = 1, 2, 4, 8, 32, 64
NOWHERE = "0192aaaa-0000-7000-8000-00000000aaaa"


@dataclass
class Scene:
    """A room of Ann's with a message, a reaction of the device's, and a file in a message."""

    there: Visit
    ann: Person
    bob: Person
    room: str
    signer: Signer
    message: str
    file: dict[str, Any]

    async def token(self, mask: int, room: str = "") -> str:
        return await self.signer.granted({"resources": {"channels": {room or self.room: mask}}})

    async def ask(self, token: str, method: str, path: str, body: Any = None) -> Answer:
        headers = {"If-Match": "*"} if method == "PATCH" else {}
        mark = "&" if "?" in path else "?"
        return await self.there.ask(
            method, f"{path}{mark}uuid=device", body, token, headers=headers
        )

    def cells(self) -> list[tuple[str, int, str, str, Any]]:
        """Row of the table, what it needs, and the operation; what destroys comes last."""
        room, one = f"/rooms/{self.room}", f"/rooms/{self.room}/messages/{self.message}"
        file, link = f"/files/{self.file['id']}", {"key": self.file["key"]}
        return [
            ("publish", WRITE, "POST", f"{room}/messages", {"text": "by a device"}),
            ("send file", WRITE, "POST", "/files", {"room": self.room, "size": 1}),
            ("add reaction", WRITE, "PUT", f"{one}/reactions/x", {}),
            ("typing", WRITE, "POST", f"{room}/typing", {"seconds": 1}),
            ("history", READ, "GET", f"{room}/messages", None),
            ("history", READ, "GET", f"{room}/log", None),
            ("get reactions", READ, "GET", one, None),
            ("history", READ, "GET", f"{room}/pins", None),
            ("list files", READ, "GET", f"{room}/files", None),
            ("download file", READ, "POST", f"{file}/links", link),
            ("download file", READ, "GET", file, None),
            ("get channel", GET, "GET", room, None),
            ("get members", GET, "GET", f"{room}/members", None),
            ("set channel", UPDATE, "PATCH", room, {"topic": "by a device"}),
            ("set members", MANAGE, "PUT", f"{room}/members/{self.bob.id}", {"part": "member"}),
            ("remove members", MANAGE, "DELETE", f"{room}/members/{self.bob.id}", None),
            ("remove reaction", DELETE, "DELETE", f"{one}/reactions/x", None),
            ("delete file", DELETE, "DELETE", file, None),
            ("delete message", DELETE, "DELETE", one, None),
        ]


async def scene(there: Visit) -> Scene:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    sent = await ann.post(room, "hello")
    _, file = await ann.sent(room, b"x" * 100, "with a file")
    return Scene(there, ann, bob, room, await there.signer(), sent["id"], file)


def refused(answer: Answer, room: str) -> bool:
    """With the members of 1.D exactly. Of a file that one may not read nothing is told at all."""
    if answer.status == 404:
        return answer.code == "not_found"
    wanted = said("Forbidden", channels=[room])
    return answer.status == 403 and wanted.items() <= answer.body.items()


async def test_s1d_each_cell_of_messages_and_files_both_ways(there: Visit) -> None:
    on = await scene(there)
    alone = {need: await on.token(need) for need in (READ, WRITE, MANAGE, DELETE, GET, UPDATE)}
    others = {need: await on.token(EVERY - need) for need in alone}
    foreign = await on.token(EVERY, room=NOWHERE)
    for row, need, method, path, body in on.cells():
        for token in (others[need], foreign):
            answer = await on.ask(token, method, path, body)
            assert refused(answer, on.room), (row, path, answer.text)
        # Without a token as well: on the plane of sessions that is 401.
        nobody = await on.ask("", method, path, body)
        assert (nobody.status, nobody.code) == (401, "token_missing"), (row, nobody.text)
        answer = await on.ask(alone[need], method, path, body)
        assert answer.status < 300, (row, path, answer.text)
    assert await on.ann.texts(on.room) == ["with a file", "by a device"]


async def test_s1d_a_subscription_needs_read(there: Visit) -> None:
    on = await scene(there)
    reads, others = await on.token(READ), await on.token(EVERY - READ)
    writes = await on.token(READ | WRITE)
    path = f"room:{on.room}"
    async with seated(on.bob) as (peer,):
        await peer.send("bind", session=1, path=path, token=others, uuid="device")
        assert (await peer.error(206))["status"] == 403
        for number, token in ((1, reads), (2, writes)):
            wish = {"session": number, "path": path, "token": token, "uuid": "device"}
            await peer.send("bind", **wish, need_client_file_ident=True)
            given = await peer.next("ident")
            peer.idents[number] = (given["client_file_ident"], given["client_file_ident_salt"])
            assert (await peer.identify(number))["bootstrap"] == "last"


async def test_s1d_what_is_revoked_posts_nothing_within_a_second(there: Visit) -> None:
    on = await scene(there)
    path, took = f"/rooms/{on.room}/messages", []
    for _ in range(5):
        token = await on.token(READ | WRITE)
        assert (await on.ask(token, "POST", path, {"text": "before"})).status == 201
        began = time.monotonic()
        assert (await on.signer.signed("DELETE", f"/grant/{token}")).status == 200
        while (answer := await on.ask(token, "POST", path, {"text": "after"})).status == 201:
            assert time.monotonic() - began < 30
            await asyncio.sleep(0.05)
        took.append(time.monotonic() - began)
        assert (answer.status, answer.body["message"]) == (403, "Token is revoked")
        assert (await on.ask(token, "GET", path)).status == 403
    within(1, took)


async def test_s1d_a_room_that_is_there_is_refused_as_one_that_is_not(there: Visit) -> None:
    on = await scene(there)
    token = await on.token(EVERY, room="elsewhere")
    found = []
    for room in (on.room, NOWHERE):
        answer = await on.ask(token, "GET", f"/rooms/{room}/messages")
        text = answer.text.replace(answer.body["request_id"], "").replace(room, "?")
        found.append((answer.status, text))
    assert found[0] == found[1] and found[0][0] == 403


async def test_s1d_a_token_of_somebody_is_for_nobody_else(there: Visit) -> None:
    on = await scene(there)
    grant = {"resources": {"channels": {on.room: READ | WRITE}}, "uuid": "sensor"}
    token, path = await on.signer.granted(grant), f"/rooms/{on.room}/messages"
    assert (await on.ask(token, "POST", path, {"text": "as another"})).status == 403
    done = await there.ask("POST", f"{path}?uuid=sensor", {"text": "as itself"}, token)
    assert (done.status, done.body["account"]) == (201, "sensor")
