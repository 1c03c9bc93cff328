"""Row B21: what was exported comes into another Sotto, and what Slack and Mattermost export.

Long because everything that an archive holds is looked at where it arrives.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signaling.commands import bring as command
from tests.rows.house import House, Visit, visiting
from tests.rows.importing import (
    another_device,
    file,
    imported,
    messages,
    reached,
    rooms,
    sent,
    threaded,
    uploaded,
)
from tests.rows.rightful import Person, owner, people, person, until
from tests.signaling.compliance import archives

LONG = 100


async def archive_of(there: Visit, room: str) -> bytes:
    """Of a room, by two people."""
    first, second = [await person(there, "compliance") for _ in range(2)]
    made = await first.must("POST", "/exports", {"reason": "moving house", "room": room})
    await second.must("POST", f"/exports/{made['id']}/approval")
    url = f"{there.house.url}/api/v1/exports/{made['id']}/archive"
    headers = {"Authorization": f"Bearer {first.token}"}
    async with there.client.get(url, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


def said(found: list[Any]) -> list[str]:
    return [message["body"]["text"] for message in found if message.get("body")]


async def both(who: Person, room: str) -> list[Any]:
    """As two devices of one account see it, which is the same."""
    here = await messages(who, room)
    assert await messages(await another_device(who), room) == here
    return here


async def test_b21_a_room_moves_into_another_sotto(
    there: Visit, housed: Callable[..., House]
) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob, name="Moving")
    first = await ann.post(room, "frist")
    await ann.must("PATCH", f"/rooms/{room}/messages/{first['id']}", {"text": "first"})
    await bob.post(room, "a reply", parent=first["id"])
    await bob.must("PUT", f"/rooms/{room}/messages/{first['id']}/reactions/tada", {})
    await ann.must("PUT", f"/rooms/{room}/messages/{first['id']}/pin")
    _, info = await bob.sent(room, b"picture" * 30_000, "with a file")
    gone = await bob.post(room, "never mind")
    await bob.must("DELETE", f"/rooms/{room}/messages/{gone['id']}")
    data = await archive_of(there, room)
    async with visiting(housed()) as new:
        admin, cat = await owner(new), await person(new)
        ident = await uploaded(admin, "sotto", data, sha256=hashlib.sha256(data).hexdigest())
        ready = await reached(admin, ident, "ready")
        assert ready["counts"]["messages"] == 4 and ready["rooms"] == []
        named = (await admin.must("GET", f"/imports/{ident}/people"))["items"]
        assert {one["id"]: one["name"] for one in named} == {ann.id: ann.login, bob.id: bob.login}
        await admin.must("POST", f"/imports/{ident}/start", {"people": {ann.id: cat.id}})
        done = await reached(admin, ident, "done")
        assert (done["done"], done["total"]) == (4, 4)
        assert {k: done["counts"][k] for k in ("messages", "edits", "files", "reactions")} == {
            "messages": 4, "edits": 1, "files": 1, "reactions": 1,
        }  # fmt: skip
        (moved,) = (await rooms(cat)).values()
        assert (moved["name"], moved["custom"]) == ("Moving", {"imported.from": "sotto"})
        found = await both(cat, moved["id"])
        top = next(m for m in found if m["id"] == moved["pins"][0])
        assert (top["account"], top["body"]["text"]) == (cat.id, "first")
        assert [edit["body"]["text"] for edit in top["edits"]] == ["frist"]
        assert top["custom"]["imported.author"] == ann.login
        (reply,) = await threaded(cat, moved["id"], top["id"])
        placeholders = (await cat.must("GET", f"/rooms/{moved['id']}/placeholders"))["items"]
        assert placeholders == [{"id": reply["account"], "name": bob.login}]
        assert top["reactions"] == [{"emoji": "tada", "accounts": [reply["account"]]}]
        (ref,) = next(m for m in found if m.get("attachments"))["body"]["files"]
        assert ref["id"] != info["id"] and await file(cat, ref) == b"picture" * 30_000
        assert [m["id"] for m in found if m.get("deleted")] and "never mind" not in said(found)
        # Once more is the same: nothing comes twice.
        again = await imported(admin, "sotto", data, {ann.id: cat.id})
        assert again["counts"]["known"] == 4 and "messages" not in again["counts"]
        assert await both(cat, moved["id"]) == found
        # Under another label it is another room.
        other = await imported(admin, "sotto", data, label="second")
        assert other["rooms"] != done["rooms"] and other["counts"]["messages"] == 4


async def test_b21_a_person_moves_into_another_sotto(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob, name="Mine and others'")
    mine = await ann.post(room, "what I said")
    await bob.post(room, "bob's own words")
    await ann.post(room, "to bob", parent=mine["id"])
    headers = {"Authorization": f"Bearer {ann.token}"}
    url = f"{there.house.url}/api/v1/account/export"
    async with there.client.get(url, headers=headers) as answer:
        data = await answer.read()
    admin, new = await owner(there), await person(there)
    done = await imported(admin, "sotto", data, {ann.id: new.id}, label=ann.id)
    assert done["counts"]["messages"] == 2
    (moved,) = (await rooms(new)).values()
    found = await both(new, moved["id"])
    assert {m["body"]["text"] for m in found} <= {"what I said", "to bob"}
    (reply,) = await threaded(new, moved["id"], found[0]["id"])
    assert reply["body"]["text"] == "to bob" and moved["id"] != room


async def test_b21_slack_comes_with_threads_reactions_and_files(there: Visit) -> None:
    admin, bob = await owner(there), await person(there)
    label = f"slack {bob.id}"
    data = archives.slack()
    done = await imported(admin, "slack", data, {archives.BOB: bob.id}, label=label)
    counts = {k: done["counts"][k] for k in ("rooms", "messages", "files", "files_missing")}
    assert counts == {"rooms": 3, "messages": 7, "files": 1, "files_missing": 1}
    assert done["counts"]["notices"] == 1
    mine = await rooms(bob)
    assert set(mine) == {"general", "Ann Example, bobby"}
    general = mine["general"]
    assert (general["kind"], general["topic"]) == ("public", "all of it")
    found = await both(bob, general["id"])
    root = found[0]
    assert root["body"]["text"].startswith("hello @bobby, see [this](https://example.org)")
    assert root["mentions"] == {"accounts": [bob.id]}
    assert root["custom"]["imported.at"] == "2020-09-13T12:26:40.000Z"
    assert len(root["reactions"][0]["accounts"]) == 2 and general["pins"] == [root["id"]]
    (reply,) = await threaded(bob, general["id"], root["id"])
    assert (reply["account"], reply["body"]["text"]) == (bob.id, "a reply")
    names = (await bob.must("GET", f"/rooms/{general['id']}/placeholders"))["items"]
    assert {one["name"] for one in names} == {"Ann Example", "Deploy"}
    files = next(m for m in found if m.get("attachments"))
    assert files["custom"]["imported.files"] == "gone.pdf (application/pdf, 99 bytes)"
    assert await file(bob, files["body"]["files"][0]) == b"kept bytes!"
    # A later export of the same workspace has more; what is here already stays as it is.
    more = archives.slack_files()
    extra = archives.slack_said(1_700_000_000.0, archives.ANN, "the newest")
    more["general/2023-11-14.json"] = archives.dumped([extra])
    people_of = {archives.BOB: bob.id}
    again = await imported(admin, "slack", archives.packed(more), people_of, label=label)
    assert (again["counts"]["known"], again["counts"]["messages"]) == (7, 1)
    assert said(await both(bob, general["id"])) == [*said(found), "the newest"]
    # Nothing of it counts as new for anybody.
    unread = await bob.must("GET", f"/rooms/{general['id']}/unread")
    assert unread["messages"] == unread["mentions"] == 0, unread


async def test_b21_mattermost_comes_in_the_order_of_time(there: Visit) -> None:
    admin, bob = await owner(there), await person(there)
    label = f"mattermost {bob.id}"
    done = await imported(
        admin, "mattermost", archives.mattermost(), {"bob": bob.id}, label=label
    )  # fmt: skip
    assert done["counts"]["messages"] == 6 and done["counts"]["replies"] == 2
    square = (await rooms(bob))["Town Square"]
    found = await both(bob, square["id"])
    assert [m["body"]["text"] for m in found if not m.get("parent")] == [
        "first", "second", "third, with a file",
    ]  # fmt: skip
    assert [m["body"]["text"] for m in await threaded(bob, square["id"], found[0]["id"])] == [
        "a reply", "another",
    ]  # fmt: skip
    assert await file(bob, found[-1]["body"]["files"][0]) == b"notes of mattermost"


async def test_b21_an_import_is_an_administrators_act_and_on_record(there: Visit) -> None:
    admin, auditor = await owner(there), await person(there, "auditor")
    for who in (await person(there), await person(there, "compliance"), auditor):
        answer = await who.ask("POST", "/imports", {"format": "slack", "size": 9})
        assert (answer.status, answer.code) == (403, "not_permitted")
        assert (await who.ask("GET", "/imports")).status == 403
    done = await imported(admin, "slack", archives.slack(), label=auditor.id)
    for action in ("createImport", "startImport", "import.finish"):
        records = await there.recorded(auditor.token, action, "allowed")
        assert any(one["target"] == f"import:{done['id']}" for one in records), action
    listed = (await admin.must("GET", "/imports", params={"limit": "100"}))["items"]
    assert done["id"] in {one["id"] for one in listed}
    # Nobody but an import says that something was imported.
    ann = await person(there)
    room = await ann.room()
    lie = {"text": "it was bob", "custom": {"imported.author": "bob"}}
    answer = await ann.ask("POST", f"/rooms/{room}/messages", lie)
    assert (answer.status, answer.code) == (422, "fields_invalid")
    # People have to be there, here and in the archive.
    ident = await uploaded(admin, "slack", archives.slack(), label="people")
    await reached(admin, ident, "ready")
    for wrong, status in (({archives.BOB: "nobody"}, 404), ({"U0NOBODY": ann.id}, 422)):
        answer = await admin.ask("POST", f"/imports/{ident}/start", {"people": wrong})
        assert answer.status == status, answer.text
    assert (await admin.must("DELETE", f"/imports/{ident}"))["state"] == "cancelled"
    assert (await admin.ask("POST", f"/imports/{ident}/start", {})).code == "conflict"


async def test_b21_spoilt_archives_are_refused_and_leave_nothing(there: Visit) -> None:
    admin = await owner(there)
    files = archives.sotto_files([archives.sotto_message(1, "first")])
    good = archives.listed(files)
    name = f"rooms/{archives.ROOM}.ndjson"
    tampered = archives.packed({**good, name: good[name].replace(b"first", b"worst")})
    whole = archives.slack()
    before = len(await messages_of_everybody(admin))
    for kind, data, code in (
        ("sotto", tampered, "archive_tampered"),
        ("slack", whole[: len(whole) // 2], "archive_invalid"),
        ("slack", archives.packed({**archives.slack_files(), "../x": b"y"}), "archive_invalid"),
        ("slack", archives.bomb(), "archive_too_large"),
        ("mattermost", whole, "archive_invalid"),
    ):
        ident = await uploaded(admin, kind, data)
        found = await reached(admin, ident, "refused")
        assert found["problem"]["code"] == code, found
        answer = await admin.ask("POST", f"/imports/{ident}/start", {})
        assert (answer.status, answer.code) == (422, code)
        page = await there.send("GET", f"/problems/{code}")
        assert page.status == 200
    other = await uploaded(admin, "slack", whole, sha256="0" * 64)
    assert (await reached(admin, other, "refused"))["problem"]["code"] == "archive_tampered"
    assert len(await messages_of_everybody(admin)) == before


async def messages_of_everybody(admin: Person) -> dict[str, Any]:
    return await rooms(admin)


async def test_b21_pieces_of_an_archive_have_their_place(there: Visit) -> None:
    admin = await owner(there)
    data = archives.slack()
    made = await admin.must("POST", "/imports", {"format": "slack", "size": len(data)})
    ident = made["id"]
    assert (await sent(admin, ident, data[:10])).status == 204
    assert (await admin.must("GET", f"/imports/{ident}"))["received"] == 10
    wrong = await sent(admin, ident, data[10:], 11)
    assert (wrong.status, wrong.code) == (409, "upload_offset_mismatch")
    much = await sent(admin, ident, data[10:] + b"more", 10)
    assert (much.status, much.code) == (413, "too_large")
    assert (await admin.ask("POST", f"/imports/{ident}/start", {})).code == "conflict"
    assert (await admin.must("DELETE", f"/imports/{ident}"))["state"] == "cancelled"
    assert (await sent(admin, ident, data[10:], 10)).code == "conflict"
    assert (await sent(admin, "0" * 36, data)).status == 404


async def test_b21_an_import_goes_on_after_the_server_was_killed(
    housed: Callable[..., House],
) -> None:
    """Killed between the first messages and the last, it ends with each of them once."""
    days = {
        f"2020-{1 + day // 28:02}-{1 + day % 28:02}": [
            archives.slack_said(1_577_836_800.0 + 86400 * day + second, archives.ANN,
                                f"day {day} message {second}",
                                files=[{"id": "F0KEPT", "name": "kept.txt"}] if second == 3 else [])
            for second in range(20)
        ]
        for day in range(LONG)
    }  # fmt: skip
    house = housed()
    async with visiting(house) as there:
        admin = await owner(there)
        ident = await uploaded(admin, "slack", archives.slack(days))
        await reached(admin, ident, "ready")
        await admin.must("POST", f"/imports/{ident}/start", {})
        kills = 0
        for _ in range(2):
            before = (await admin.must("GET", f"/imports/{ident}"))["done"]
            async with asyncio.timeout(240):
                found = await admin.must("GET", f"/imports/{ident}")
                while found["done"] < before + 400 and found["state"] == "running":
                    await asyncio.sleep(0.02)
                    found = await admin.must("GET", f"/imports/{ident}")
            if found["state"] != "running":
                break
            kills += 1
            assert house.process is not None
            os.kill(house.process.pid, signal.SIGKILL)
            house.process.wait()
            await asyncio.to_thread(house.start)
        assert kills, "killed too late: nothing is shown"
    async with visiting(house) as there:
        admin = Person(there, await there.sign_in(house.login), house.login, admin.id)
        done = await reached(admin, ident, "done", seconds=400)
        general = (await rooms(admin))["general"]
        found = await messages(admin, general["id"])
        wanted = [f"day {day} message {second}" for day in range(LONG) for second in range(20)]
        assert said(found) == wanted
        assert sum(bool(m.get("attachments")) for m in found) == LONG
        assert done["done"] == done["total"] == len(wanted) + 2


async def test_b21_the_command_line_brings_an_archive(
    there: Visit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin, bob = await owner(there), await person(there)
    archive, token = tmp_path / "team.zip", tmp_path / "token"
    archive.write_bytes(archives.mattermost())
    token.write_text(admin.token)
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    trust = there.house.authority.file
    server = (f"--url={there.house.url}", f"--token={token}", f"--trust={trust}")
    words = (str(archive), "--format=mattermost", f"--label={bob.id}")
    assert await command.bring(parser.parse_args([*words, *server])) == 0
    said = capsys.readouterr().out
    assert "bob  bobby" in said
    ident = said.partition("\n")[0].removeprefix("import ")
    more = (f"--import={ident}", "--start", f"--person=bob={bob.id}")
    assert await command.bring(parser.parse_args([*more, *server])) == 0
    assert "'messages': 6" in capsys.readouterr().out
    assert "Town Square" in await rooms(bob)
    archive.write_bytes(b"no archive")
    assert await command.bring(parser.parse_args([*words, *server])) == 1
    assert "archive_invalid" in capsys.readouterr().err


async def own_archive(who: Person) -> bytes:
    headers = {"Authorization": f"Bearer {who.token}"}
    url = f"{who.there.house.url}/api/v1/account/export"
    async with who.there.client.get(url, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def called(ann: Person, bob: Person, room: str) -> None:
    """Ann calls, Bob declines; the room says so."""
    await ann.must("POST", f"/rooms/{room}/call", {})
    await bob.must("POST", f"/rooms/{room}/call/reject", {})

    async def is_told() -> bool:
        told = [one["call"]["state"] for one in await messages(ann, room) if "call" in one]
        return told == ["rejected"]

    await until(is_told)


async def test_b21_calls_of_a_room_come_along(there: Visit) -> None:
    ann, bob, cat = await people(there, 3)
    room = await ann.room(bob, kind="direct", name="")
    await ann.post(room, "before")
    await called(ann, bob, room)
    await ann.post(room, "after")
    admin, data = await owner(there), await archive_of(there, room)
    done = await imported(admin, "sotto", data, {bob.id: cat.id}, label=room)
    assert (done["counts"]["messages"], done["counts"]["calls"]) == (3, 1)
    (moved,) = (await rooms(cat)).values()
    before, call, after = await both(cat, moved["id"])
    assert said([before, after]) == ["before", "after"]
    (ghost,) = (await cat.must("GET", f"/rooms/{moved['id']}/placeholders"))["items"]
    assert ghost["name"] == ann.login and call["account"] == ghost["id"]
    # A call of elsewhere: told, and nobody can join it or finds it in a list of theirs.
    assert call["kind"] == "imported_call" and "call" not in call
    shown = {name: call["custom"][f"imported.{name}"] for name in ("call", "seconds", "accounts")}
    assert shown == {"call": "rejected", "seconds": 0, "accounts": f"{ghost['id']} {cat.id}"}
    assert (await cat.must("GET", "/calls"))["items"] == []
    again = await imported(admin, "sotto", data, {bob.id: cat.id}, label=room)
    assert again["counts"]["known"] == 3 and "calls" not in again["counts"]


async def test_b21_drafts_and_saved_messages_come_along(there: Visit) -> None:
    ann, bob, dan = await people(there, 3)
    room = await ann.room(bob, kind="direct", name="")
    mine, his = await ann.post(room, "mine"), await bob.post(room, "bob's")
    await called(ann, bob, room)
    for one, note in ((mine, "to read"), (his, "bob's")):
        await ann.must("PUT", f"/rooms/{room}/messages/{one['id']}/saved", {"note": note})
    half = {"format": "m.plain.v1", "text": "half a thought"}
    await ann.must("PUT", f"/rooms/{room}/draft", {"body": half})
    await ann.must("PUT", f"/rooms/{room}/draft", {"body": half, "parent": mine["id"]})
    admin, data = await owner(there), await own_archive(ann)
    ident = await uploaded(admin, "sotto", data, label=ann.id)
    ready = (await reached(admin, ident, "ready"))["counts"]
    assert (ready["messages"], ready["drafts"], ready["saved"]) == (2, 2, 2)
    await admin.must("POST", f"/imports/{ident}/start", {"people": {ann.id: dan.id}})
    counts = (await reached(admin, ident, "done"))["counts"]
    # What Bob said is not in Ann's archive, so it cannot be found again here.
    wanted = {"messages": 2, "calls": 1, "drafts": 2, "saved": 1, "skipped": 1}
    assert {word: counts[word] for word in wanted} == wanted
    (moved,) = (await rooms(dan)).values()
    first, call = await both(dan, moved["id"])
    assert call["custom"]["imported.accounts"] == dan.id
    (saved,) = (await dan.must("GET", "/saved"))["items"]
    assert (saved["room"], saved["id"], saved["note"]) == (moved["id"], first["id"], "to read")
    drafts = (await dan.must("GET", "/drafts"))["items"]
    assert {one.get("parent") for one in drafts} == {None, first["id"]}
    assert {one["body"]["text"] for one in drafts} == {"half a thought"}
    # Again: what Dan has meanwhile stays as it is, and Ann's own as well.
    fuller = {"format": "m.plain.v1", "text": "a whole one"}
    await dan.must("PUT", f"/rooms/{moved['id']}/draft", {"body": fuller})
    await dan.must("DELETE", f"/rooms/{moved['id']}/messages/{first['id']}/saved")
    await imported(admin, "sotto", data, {ann.id: dan.id}, label=ann.id)
    drafts = (await dan.must("GET", "/drafts"))["items"]
    texts = {one.get("parent"): one["body"]["text"] for one in drafts}
    assert texts == {None: "a whole one", first["id"]: "half a thought"}
    assert (await dan.must("GET", "/saved"))["items"] == []
    assert len((await ann.must("GET", "/drafts"))["items"]) == 2
