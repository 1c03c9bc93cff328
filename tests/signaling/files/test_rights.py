"""Whose a file is, who may fetch it, for how long; and that it goes with its last reference."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from signaling.access.roles import Standing
from signaling.accounts.principal import Principal
from signaling.errors import ClientError
from signaling.files.asking import asking_again
from signaling.files.port import AnyRoom, Mode
from signaling.files.sweep import Sweep
from tests.signaling.files.rig import Answer, There, get, people

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Members:
    """In chat's place: who is in which room. Everybody is in the lobby."""

    def __init__(self, lobby: str) -> None:
        self.rooms: dict[str, set[str]] = {}
        self.lobby = lobby

    async def of(self, principal: Any) -> dict[str, Standing]:
        found = {self.lobby: Standing.MEMBER}
        for room, accounts in self.rooms.items():
            if principal.account in accounts:
                found[room] = Standing.MEMBER
        return found


def members(there: There) -> Members:
    made = Members(there.room)
    there.files.rooms = AnyRoom()
    there.house.app._people.access.door._standings = made
    return made


def blobs(there: There) -> int:
    return sum(path.is_file() for path in (there.house.state / "store" / "blobs").rglob("*"))


async def test_a_file_is_its_owners_until_a_message_holds_it(there: There) -> None:
    info = await there.ana.send(b"mine", "a.bin")
    for answer in (
        await there.bob.ask("GET", f"/files/{info['id']}"),
        await there.bob.link(info["id"], key=info["key"]),
        await there.root.link(info["id"], key=info["key"]),
        await there.bob.ask("DELETE", f"/files/{info['id']}"),
    ):
        assert (answer.status, answer.code) == (404, "not_found")
    await there.post(info["id"])
    assert (await there.bob.fetch(info["id"], key=info["key"])).body == b"mine"


async def test_the_key_is_in_the_message_alone_once_it_is_posted(there: There) -> None:
    info = await there.ana.send(b"sealed", "secret name.bin")
    assert (await there.ana.ask("GET", f"/files/{info['id']}")).json["key"] == info["key"]
    await there.post(info["id"])
    bare = (await there.ana.ask("GET", f"/files/{info['id']}")).json
    assert "key" not in bare
    assert "name" not in bare
    for person in (there.ana, there.bob):
        assert (await person.link(info["id"])).status == 404
        other = "A" * 43 + "="
        assert (await person.link(info["id"], key=other)).status == 404
        assert (await person.link(info["id"], key="short")).status == 422
        got = await person.fetch(info["id"], key=info["key"])
        assert "secret%20name.bin" in got.headers["Content-Disposition"]


async def test_a_file_lives_as_long_as_its_message(there: There) -> None:
    """Through the API alone: posted with its file, read by the other, deleted, gone."""
    info = await there.ana.send(b"in a message", "a.bin")
    file = {name: info[name] for name in ("id", "key", "name", "size")}
    ident = str(uuid.UUID(int=int(time.time() * 1000) << 80 | 7 << 76 | 2 << 62 | 5))
    body = {"format": "m.plain.v1", "text": "look", "files": [file]}
    path = f"/rooms/{there.room}/messages"
    posted = await there.bob.ask("POST", path, {"id": ident, "body": body})
    assert posted.status == 404, "bob posts ana's file"
    posted = await there.ana.ask("POST", path, {"id": ident, "body": body})
    assert posted.status in (200, 201), posted.body
    assert (await there.bob.fetch(info["id"], key=info["key"])).body == b"in a message"
    listed = (await there.bob.ask("GET", f"/rooms/{there.room}/files")).json["items"]
    assert info["id"] in [item["id"] for item in listed]
    gone = await there.ana.ask("DELETE", f"{path}/{ident}")
    assert gone.status in (200, 204), gone.body
    assert (await there.bob.link(info["id"], key=info["key"])).status == 404
    assert (await there.ana.ask("GET", f"/files/{info['id']}")).status == 404


async def test_only_members_of_a_room_that_holds_it(there: There) -> None:
    rooms = members(there)
    ana, bob = await there.account_of(there.ana), await there.account_of(there.bob)
    rooms.rooms["den"] = {ana}
    info = await there.ana.send(b"for the den", "a.bin", room="den")
    refused = await there.bob.ask("POST", "/files", {"room": "den", "size": 1})
    assert (refused.status, refused.code) == (403, "not_permitted")
    await there.post(info["id"], room="den")
    assert (await there.bob.link(info["id"], key=info["key"])).status == 404
    assert (await there.bob.ask("GET", "/rooms/den/files")).status == 403
    rooms.rooms["den"].add(bob)
    link = await there.bob.link(info["id"], key=info["key"])
    url = link.json["url"]
    assert (await get(there.house, url)).body == b"for the den"
    listed = (await there.bob.ask("GET", "/rooms/den/files")).json["items"]
    assert [item["id"] for item in listed] == [info["id"]]
    rooms.rooms["den"].discard(bob)  # the link was made while he was in it
    assert (await get(there.house, url)).status == 404
    assert (await there.bob.ask("DELETE", f"/files/{info['id']}")).status == 404
    rooms.rooms["den"].add(bob)
    may_read = await there.bob.ask("DELETE", f"/files/{info['id']}")
    assert (may_read.status, may_read.code) == (403, "not_permitted")
    assert (await there.ana.ask("DELETE", f"/files/{info['id']}")).status == 204
    assert (await get(there.house, url)).status == 404


async def test_a_link_ends_with_the_session_and_with_its_time(tmp_path: Path) -> None:
    async with people(tmp_path, files__link_seconds="10") as there:
        info = await there.ana.send(b"x", "a.bin")
        url = (await there.ana.link(info["id"])).json["url"]
        assert (await get(there.house, url)).status == 200
        clock = there.files.parts.clock
        unix = clock.unix
        clock.unix = lambda: unix() + 11
        late = await get(there.house, url)
        assert (late.status, late.code) == (410, "link_invalid")
        clock.unix = unix
        assert (await there.ana.ask("DELETE", "/session")).status == 204
        assert (await get(there.house, url)).status == 404


@pytest.mark.parametrize("change", ["cut", "bit", "other", "long"])
async def test_a_link_that_was_changed_is_none(there: There, change: str) -> None:
    info = await there.ana.send(b"x", "a.bin")
    url = (await there.ana.link(info["id"])).json["url"]
    made = {
        "cut": url[:-4],
        "bit": url[:-10] + ("A" if url[-10] != "A" else "B") + url[-9:],
        "other": url.rpartition("/")[0] + "/nonsense",
        "long": url + "A" * 3000,
    }
    assert (await get(there.house, made[change])).status == 404


async def test_3_5_4_the_origin_gives_nothing_away(there: There) -> None:
    """No cookie, no type that a browser would run, no page that may frame or read it."""
    info = await there.ana.send(os.urandom(1000), "a.bin")
    got = await there.ana.fetch(
        info["id"], {"Cookie": "__Host-sotto=x", "Origin": "https://evil.example"}
    )
    headers = got.headers
    assert got.status == 200
    assert "Set-Cookie" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-site"
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert {"sandbox", "default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "Access-Control-Allow-Origin" not in headers
    url = (await there.ana.link(info["id"])).json["url"]
    page, ours = there.house.http.rpartition(":")[2], url.split("/")[2].rpartition(":")[2]
    assert page != ours
    for path in ("/", "/api/v1/account", "/index.html", "/f/", "/healthz"):
        assert (await get(there.house, url.partition("/f/")[0] + path)).status == 404
    assert (await get(there.house, url, method="POST")).status == 405
    assert (await get(there.house, there.house.http + "/f/" + url.rpartition("/")[2])).status == 404


async def test_ranges_tags_and_head(there: There) -> None:
    data = os.urandom(200_000)
    info = await there.ana.send(data, "a.bin")
    url = (await there.ana.link(info["id"])).json["url"]

    async def ask(method: str = "GET", **fields: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return await get(there.house, url, named, method)

    whole = await ask()
    tag = whole.headers["ETag"]
    assert whole.headers["Accept-Ranges"] == "bytes"
    for text, start, end in (
        ("bytes=0-0", 0, 1), ("bytes=65535-65536", 65535, 65537), ("bytes=131072-", 131072, 200000),
        ("bytes=-5", 199_995, 200_000), ("bytes=100-999999", 100, 200_000),
        ("bytes=-999999", 0, 200_000),
    ):  # fmt: skip
        part = await ask(Range=text)
        assert (part.status, part.body) == (206, data[start:end])
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/200000"
    for text in ("bytes=200000-", "bytes=5-4", "bytes=-0"):
        none = await ask(Range=text)
        assert (none.status, none.headers["Content-Range"]) == (416, "bytes */200000")
    for text in ("bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=-"):
        assert (await ask(Range=text)).status == 200
    assert (await ask(Range="bytes=0-0", If_Range=tag)).status == 206
    assert (await ask(Range="bytes=0-0", If_Range='"old"')).body == data
    assert (await ask(If_None_Match=tag)).status == 304
    head = await ask("HEAD")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "200000", b"")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\evil.txt", "evil.txt"),
        ('a"; filename=evil.exe; x="', "a%5F; filename=evil.exe; x=%5F".replace("%5F", "_")),
        ("a\r\nSet-Cookie: x=1.txt", "aSet-Cookie_ x=1.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u200bb\u2066c.txt", "abc.txt"),
        ("CON.txt", "_CON.txt"),
        ("...", "file"),
        ("x" * 400 + ".txt", "x" * 196 + ".txt"),
        ("e\u0301.txt", "\u00e9.txt"),
    ],
)  # fmt: skip
async def test_5_4_1_names(there: There, name: str, shown: str) -> None:
    info = await there.ana.send(b"x", name)
    assert info["name"] == shown
    got = await there.ana.fetch(info["id"])
    assert got.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "\n" not in got.headers["Content-Disposition"]
    assert "Set-Cookie" not in got.headers


async def test_it_goes_with_the_last_message_that_holds_it(there: There) -> None:
    members(there)
    before = blobs(there)
    info = await there.ana.send(os.urandom(150_000), "a.bin")
    assert blobs(there) == before + 3
    ident = info["id"]
    await there.post(ident, "last1")
    await there.post(ident, "last2", room="other")
    assert await there.files.released(there.app, there.room, "last1") == 0
    assert blobs(there) == before + 3
    assert await there.files.released(there.app, "other", "last2") == 1
    assert blobs(there) == before
    assert (await there.ana.ask("GET", f"/files/{ident}")).status == 404
    assert await there.files.released(there.app, "other", "last2") == 0


async def test_an_erased_room_and_an_erased_person_leave_nothing(there: There) -> None:
    before = blobs(there)
    one = await there.ana.send(os.urandom(70_000), "a.bin")
    two = await there.bob.send(os.urandom(70_000), "a.bin")
    for n, info in enumerate((one, two)):
        await there.post(info["id"], f"e{n}", room="doomed")
    assert await there.files.room_erased(there.app, "doomed") == 2
    assert blobs(there) == before
    mine = await there.bob.send(os.urandom(70_000), "a.bin")
    begun = await there.bob.create(90_000)
    await there.bob.patch(begun["id"], 0, os.urandom(80_000))
    bob = await there.account_of(there.bob)
    assert await there.files.erase_account(there.app, bob) >= 2
    assert (await there.bob.ask("GET", f"/files/{mine['id']}")).status == 404
    used = (await there.bob.ask("GET", "/account/files/usage")).json
    assert (used["used_bytes"], used["uploads"]) == (0, 0)


async def test_attaching_asks_whose_and_whether_it_is_ready(there: There) -> None:
    made = await there.ana.create(10)
    ready = await there.ana.send(b"ready", "a.bin")
    door, look = there.house.app._people.access.door, there.house.app._people.door.look_again

    async def caller(person: Any) -> Any:
        account = (await person.ask("GET", "/account")).json["id"]
        sessions = (await person.ask("GET", "/sessions")).json["items"]
        current = next(one for one in sessions if one["current"])
        principal = Principal(
            app=there.app,
            account=account,
            session=current["id"],
            kind="account",  # type: ignore[arg-type]
        )
        return await asking_again(door, look, principal, None)

    ana, bob = await caller(there.ana), await caller(there.bob)
    for who, ident, code in (
        (ana, made["id"], "file_not_ready"), (bob, ready["id"], "not_found"),
        (ana, "no-such-file", "not_found"),
    ):  # fmt: skip
        with pytest.raises(ClientError) as refused:
            await there.files.attach(who, there.room, "m1", [ident])
        assert refused.value.code == code
    await there.files.attach(ana, there.room, "m1", [ready["id"]])
    assert await there.files.may(ana, ready["id"])
    assert not await there.files.may(bob, ready["id"])


async def test_what_nobody_posts_is_swept(there: There) -> None:
    before = blobs(there)
    info = await there.ana.send(os.urandom(100), "a.bin")
    begun = await there.ana.create(500_000)
    await there.ana.patch(begun["id"], 0, os.urandom(300_000))
    sweep = Sweep(there.files, there.app)
    assert await sweep.round() == 0
    clock = there.files.parts.clock
    unix = clock.unix
    clock.unix = lambda: unix() + 86_500
    assert await sweep.round() >= 2
    clock.unix = unix
    assert blobs(there) <= before
    for ident in (info["id"], begun["id"]):
        assert (await there.ana.ask("GET", f"/files/{ident}")).status == 404


async def test_5_2_4_quotas_hold_against_parallel_uploads(tmp_path: Path) -> None:
    async with people(tmp_path, files__account_bytes="1000000", files__uploads="8") as there:
        wish = {"room": there.room, "size": 300_000}
        answers = await asyncio.gather(*(there.ana.ask("POST", "/files", wish) for _ in range(10)))
        made = [answer for answer in answers if answer.status == 201]
        assert len(made) == 3
        assert {a.code for a in answers if a.status != 201} == {"quota_exceeded"}
        assert (await there.bob.ask("POST", "/files", wish)).status == 201
        for answer in made:
            gone = await there.ana.ask(
                "DELETE", f"/uploads/{answer.json['id']}", Tus_Resumable="1.0.0"
            )
            assert gone.status == 204
        small = [await there.ana.ask("POST", "/files", {**wish, "size": 1}) for _ in range(9)]
        assert [answer.status for answer in small] == [201] * 8 + [413]
        used = (await there.ana.ask("GET", "/account/files/usage")).json
        assert (used["used_bytes"], used["uploads"], used["limit_bytes"]) == (8, 8, 1_000_000)
        assert await Sweep(there.files, there.app).recount() == 0


async def test_modes_of_rooms(there: There) -> None:
    class Modes:
        async def mode(self, app: str, room: str) -> Mode | None:
            return {"t": Mode.TRANSIENT, "e": Mode.E2EE, there.room: Mode.SEARCHABLE}.get(room)

    ana = await there.account_of(there.ana)
    members(there).rooms = {room: {ana} for room in ("t", "e", "none")}
    before = there.files.rooms
    there.files.rooms = Modes()
    try:
        for room, opaque, status in (
            ("t", False, 422), ("t", True, 422), ("e", False, 422), (there.room, True, 422),
            ("none", False, 404), ("e", True, 201), (there.room, False, 201),
        ):  # fmt: skip
            wish = {"room": room, "size": 5, "opaque": opaque, "name": "told.jpg"}
            answer = await there.ana.ask("POST", "/files", wish)
            assert answer.status == status, (room, opaque)
        # B20: a file for a transient room leaves nothing. E2EE: opened and named by nobody.
        data = b"\xff\xd8\xff" + os.urandom(100)
        info = await there.ana.send(data, "told.jpg", room="e", opaque=True)
        assert (info["media_type"], info["state"]) == ("application/octet-stream", "ready")
        assert "name" not in info
        got = await there.ana.fetch(info["id"])
        assert (got.body, got.headers["Content-Type"]) == (data, "application/octet-stream")
    finally:
        there.files.rooms = before
