"""Row B21 (GDPR 15, 20): one's own data as an archive, others' by two people."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import secrets
import zipfile
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import Person, owner, people, person

CANARY = "canary-77aa10"


async def fetched(who: Person, path: str) -> zipfile.ZipFile:
    headers = {"Authorization": f"Bearer {who.token}"}
    url = f"{who.there.house.url}/api/v1{path}"
    async with who.there.client.get(url, headers=headers) as answer:
        data = await answer.read()
        assert answer.status == 200, data
        assert answer.content_type == "application/zip"
    return checked(zipfile.ZipFile(io.BytesIO(data)))


def checked(archive: zipfile.ZipFile) -> zipfile.ZipFile:
    """Every file is in the manifest with its digest, and fits the schema that lies beside it."""
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["format"], manifest["version"]) == ("sotto-export", 1)
    listed = {file["name"]: file for file in manifest["files"]}
    assert set(listed) == set(archive.namelist()) - {"manifest.json"}
    for name, file in listed.items():
        data = archive.read(name)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["size"], file["sha256"])
    schema = json.loads(archive.read("schema.json"))
    validate(schema, "manifest.json", manifest)
    for name in listed:
        if name.startswith("rooms/"):
            kind = f"rooms/*.{name.rpartition('.')[2]}"
        elif name.startswith("files/") or name == "schema.json":
            continue
        else:
            kind = name
        for document in documents(archive, name):
            validate(schema, kind, document)
    return archive


def documents(archive: zipfile.ZipFile, name: str) -> list[Any]:
    text = archive.read(name).decode()
    return [json.loads(line) for line in text.splitlines()] if ".nd" in name else [json.loads(text)]


def validate(schema: dict[str, Any], kind: str, document: Any) -> None:
    whole = {**schema["files"][kind], "$defs": schema["$defs"]}
    jsonschema.Draft202012Validator(whole).validate(document)


async def test_b21_my_own_archive_has_what_is_mine_and_nothing_of_others(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    sent, file = await ann.sent(room, b"picture" * 999, f"{CANARY} mine")
    his = await bob.post(room, "bob's secret words")
    await bob.must("PUT", f"/rooms/{room}/messages/{sent['id']}/reactions/b", {})
    await ann.must("PUT", f"/rooms/{room}/messages/{his['id']}/reactions/a", {})
    await ann.must("PUT", f"/rooms/{room}/messages/{his['id']}/saved", {"note": "to read"})
    archive = await fetched(ann, "/account/export")
    account = documents(archive, "account.json")[0]
    assert (account["id"], account["login"]) == (ann.id, ann.login)
    assert account["devices"] and account["sessions"]
    assert "to read" in json.dumps(account["own"])
    (message,) = documents(archive, f"rooms/{room}.ndjson")
    assert message["body"]["text"] == f"{CANARY} mine" and "reactions" not in message
    assert archive.read(f"files/{file['id']}") == b"picture" * 999
    (reaction,) = documents(archive, "reactions.ndjson")
    assert (reaction["message"], reaction["emoji"]) == (his["id"], "a")
    actions = {record["action"] for record in documents(archive, "audit.ndjson")}
    assert {"createRoom", "exportData"} <= actions
    everything = b"".join(archive.read(name) for name in archive.namelist())
    for foreign in (b"bob's secret words", bob.login.encode()):
        assert foreign not in everything


async def test_b21_rooms_that_one_left_or_was_banned_from_are_in_it(there: Visit) -> None:
    ann, bob = await people(there, 2)
    left, banned, never = [await bob.room(ann, name=f"{CANARY} of bob") for _ in range(3)]
    for room in (left, banned):
        await ann.sent(room, b"picture" * 99, f"{CANARY} mine")
        his = await bob.post(room, "bob's secret words")
        await ann.must("PUT", f"/rooms/{room}/messages/{his['id']}/reactions/a", {})
    await ann.must("DELETE", f"/rooms/{left}/members/{ann.id}")
    await ann.must("DELETE", f"/rooms/{never}/members/{ann.id}")
    await bob.must("PUT", f"/rooms/{banned}/members/{ann.id}", {"part": "banned"})
    topic = {"topic": "what she need not know"}
    await bob.must("PATCH", f"/rooms/{left}", topic, headers={"If-Match": "*"})
    await bob.post(left, "bob's secret words")
    archive = await fetched(ann, "/account/export")
    for room in (left, banned):
        (message,) = documents(archive, f"rooms/{room}.ndjson")
        assert message["body"]["text"] == f"{CANARY} mine"
        assert f"files/{message['body']['files'][0]['id']}" in archive.namelist()
        (about,) = documents(archive, f"rooms/{room}.json")
        assert about["name"] == about["topic"] == ""
        assert {member["account"] for member in about["members"]} <= {ann.id}
    assert f"rooms/{never}.json" not in archive.namelist()
    reactions = documents(archive, "reactions.ndjson")
    assert {one["room"] for one in reactions} == {left, banned}
    everything = b"".join(archive.read(name) for name in archive.namelist())
    for foreign in (b"bob's secret words", b"what she need not know", f"{CANARY} of bob".encode()):
        assert foreign not in everything


async def test_b21_what_lies_beside_the_messages_is_in_it(there: Visit) -> None:
    ann, bob, root = *(await people(there, 2)), await owner(there)
    room, shut = await ann.room(bob), await bob.room(kind="public", settings={"join": "request"})
    his = await bob.post(room, "bob's secret words")
    purpose = "letters" + secrets.token_hex(4)
    wish = {"basis": "consent", "title": "Letters", "text": "We write to you."}
    text = await root.must("PUT", f"/processing-register/{purpose}", wish)
    agree = {"version": text["version"], "sha256": text["sha256"]}
    await ann.must("PUT", f"/account/consents/{purpose}", agree)
    await ann.must("DELETE", f"/account/consents/{purpose}")
    await ann.must("PUT", "/account/objections/typing")
    await ann.must("PUT", "/presence", {"state": "away", "text": f"{CANARY} status"})
    await ann.must("PUT", "/push/settings", {"time_zone": "Europe/Berlin"})
    later = {"at": "2099-01-01T00:00:00Z", "message": {"text": f"{CANARY} later"}}
    await ann.must("POST", f"/rooms/{room}/scheduled", later)
    report = {"reason": "spam", "text": f"{CANARY} report"}
    await ann.must("POST", f"/rooms/{room}/messages/{his['id']}/reports", report)
    await ann.must("POST", f"/rooms/{room}/invites", {})
    await ann.must("POST", f"/rooms/{shut}/requests", {"text": f"{CANARY} let me in"})
    await ann.must("POST", f"/rooms/{room}/read", {"seq": his["seq"]})
    lines = [{"at": 1_800_000_000, "level": "info", "text": f"{CANARY} log"}]
    await ann.must("POST", "/diagnostics", {"consent": True, "lines": lines})
    archive = await fetched(ann, "/account/export")
    acts = documents(archive, "consents.ndjson")
    assert [(act["purpose"], act["given"]) for act in acts] == [(purpose, True), (purpose, False)]
    (account,) = documents(archive, "account.json")
    assert account["status"]["text"] == f"{CANARY} status"
    assert account["push"]["time_zone"] == "Europe/Berlin"
    assert [one["purpose"] for one in account["processing"]["objections"]] == ["typing"]
    for name, word in (
        ("scheduled", "later"), ("reports", "report"), ("joining", "let me in"), ("logs", "log"),
    ):  # fmt: skip
        (one,) = documents(archive, f"{name}.ndjson")
        assert f"{CANARY} {word}" in json.dumps(one), name
    (made,) = documents(archive, "invites.ndjson")
    (read,) = documents(archive, "read.ndjson")
    assert (made["room"], read["room"], read["read"]) == (room, room, his["seq"])
    theirs = await fetched(bob, "/account/export")
    everything = b"".join(theirs.read(name) for name in theirs.namelist())
    assert CANARY.encode() not in everything


async def test_b21_bodies_of_an_encrypted_room_are_ciphertext(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob, mode="e2ee")
    body = await ann.sealed()
    posted = await ann.must("POST", f"/rooms/{room}/messages", {"body": body})
    archive = await fetched(ann, "/account/export")
    (message,) = documents(archive, f"rooms/{room}.ndjson")
    assert message["body"] == posted["body"]


async def test_b21_files_of_an_encrypted_room_are_as_they_are_kept(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob, mode="e2ee")
    # What a client sealed; it lies in three pieces.
    data = secrets.token_bytes(150_000)
    sent, gone = [await ann.uploaded(room, data, "", opaque=True) for _ in range(2)]
    attachments = [{"id": file["id"], "size": len(data)} for file in (sent, gone)]
    wish = {"body": await ann.sealed(), "attachments": attachments}
    await ann.must("POST", f"/rooms/{room}/messages", wish)
    await ann.must("DELETE", f"/files/{gone['id']}")
    first, second = [await person(there, "compliance") for _ in range(2)]
    made = await first.must("POST", "/exports", {"reason": "case 24", "room": room})
    await second.must("POST", f"/exports/{made['id']}/approval")
    for archive in (
        await fetched(ann, "/account/export"),
        await fetched(first, f"/exports/{made['id']}/archive"),
    ):
        kept = archive.read(f"files/{sent['id']}.sealed")
        assert data[:64] not in kept and opened(kept, sent) == data
        omitted = json.loads(archive.read("manifest.json"))["omitted"]
        assert omitted == {gone["id"]: "not there any more"}
    assert f"files/{sent['id']}.sealed" not in (await fetched(bob, "/account/export")).namelist()


def opened(kept: bytes, file: Any) -> bytes:
    """With the key that the message holds, as docs/concepts/rights.md says."""
    box, found = AESGCM(base64.b64decode(file["key"])), b""
    for place, at in enumerate(range(0, len(kept), 65_564)):
        piece = kept[at : at + 65_564]
        bound = (b"sotto file", file["id"].encode(), b"source", place.to_bytes(8, "big"))
        found += box.decrypt(piece[:12], piece[12:], b"\0".join(bound))
    return found


async def test_b21_others_data_takes_two_people_and_is_told(there: Visit) -> None:
    ann, bob = await people(there, 2)
    first, second, third = [await person(there, "compliance") for _ in range(3)]
    room = await ann.room(bob)
    await ann.post(room, f"{CANARY} ann")
    await bob.post(room, f"{CANARY} bob")
    wish = {"reason": "case 21", "room": room}
    assert (await ann.ask("POST", "/exports", wish)).status == 403
    for wrong in ({"reason": "x"}, {**wish, "account": ann.id}):
        assert (await first.ask("POST", "/exports", wrong)).status == 422
    made = await first.must("POST", "/exports", wish)
    # A second one while the first goes on is the first, whoever asks for it.
    for who in (first, third):
        again = await who.ask("POST", "/exports", {**wish, "reason": "once more"})
        assert (again.status, again.body) == (200, made)
    one = f"/exports/{made['id']}"
    for who, code in ((first, "second_approver_needed"), (third, "not_found")):
        assert (await who.ask("GET", f"{one}/archive")).code == code
    assert (await first.ask("POST", f"{one}/approval")).code == "second_approver_needed"
    await second.must("POST", f"{one}/approval")
    assert (await third.ask("GET", f"{one}/archive")).status == 404
    archive = await fetched(first, f"{one}/archive")
    texts = [m["body"]["text"] for m in documents(archive, f"rooms/{room}.ndjson")]
    assert texts == [f"{CANARY} ann", f"{CANARY} bob"]
    again = await second.ask("GET", f"{one}/archive")
    assert (again.status, again.code) == (410, "link_invalid")
    anew = await first.ask("POST", "/exports", wish)
    assert anew.status == 201 and anew.body["id"] != made["id"]
    told = (await bob.must("GET", f"/rooms/{room}/exports"))["items"][0]
    assert (told["asked_by"], told["approved_by"]) == (first.id, second.id)
    assert told["fetched_at"] and told["reason"] == "case 21"
    stranger = await person(there)
    assert (await stranger.ask("GET", f"/rooms/{room}/exports")).status == 404
    hers = await second.must("POST", "/exports", {"reason": "case 22", "account": ann.id})
    (about,) = (await ann.must("GET", "/account/exports"))["items"]
    assert (about["id"], about["fetched_at"]) == (hers["id"], None)
    assert (await bob.must("GET", "/account/exports"))["items"] == []
    auditor = await person(there, "auditor")
    (record,) = [
        one
        for one in await there.recorded(auditor.token, "exportData", "allowed")
        if one["target"] == f"room:{room}"
    ]
    assert record["actor"] == f"account:{first.id}"


async def test_b21_twenty_who_ask_at_one_instant_find_one_export(there: Visit) -> None:
    ann, bob = await people(there, 2)
    staff = [await person(there, "compliance") for _ in range(2)]
    room = await ann.room(bob)
    for about, path in (({"room": room}, f"/rooms/{room}/exports"), ({"account": bob.id}, "")):
        wishes = [{"reason": f"case {number}", **about} for number in range(20)]
        answers = await asyncio.gather(
            *(staff[n % 2].ask("POST", "/exports", wish) for n, wish in enumerate(wishes))
        )
        assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
        (made,) = {answer.body["id"] for answer in answers}
        told = (await bob.must("GET", path or "/account/exports"))["items"]
        assert [one["id"] for one in told] == [made]


async def test_b21_what_nobody_fetched_within_an_hour_is_over(later: House) -> None:
    async with visiting(later) as there:
        (ann,) = await people(there, 1)
        first, second = [await person(there, "compliance") for _ in range(2)]
        wish = {"reason": "case 23", "account": ann.id}
        one = f"/exports/{(await first.must('POST', '/exports', wish))['id']}"
        await second.must("POST", f"{one}/approval")
        later.move_on(3660)
        for who in (first, second):
            who.token = await there.sign_in(who.login)
            over = await who.ask("GET", f"{one}/archive")
            assert (over.status, over.code) == (410, "link_invalid")
        # It stands in nobody's way.
        assert (await first.ask("POST", "/exports", wish)).status == 201
