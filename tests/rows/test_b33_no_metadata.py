"""Rows B33, C27: nothing of where, from where or with what is kept beside what was said."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import aiohttp

from tests.rows.house import House, Visit, visiting
from tests.rows.inventory import inventory
from tests.rows.kept import Kept
from tests.rows.rightful import Person, people
from tests.signaling.files import samples

ADDRESS = "203.0.113.77"
OF_A_MESSAGE = {
    "id", "seq", "account", "at", "kind", "body", "parent", "reply_to", "mentions", "attachments",
    "custom", "silent", "forwarded", "expires_at", "edited_at", "edits", "deleted", "reactions",
    "pinned", "poll", "thread", "call",
}  # fmt: skip
OF_AN_ENTRY = {"seq", "ident", "version", "clock", "at", "account", "part", "op", "expires_at"}


async def test_b33_a_photo_and_a_film_lose_where_they_were_taken(
    wide: House, tmp_path: Path
) -> None:
    """In the file, its preview and its thumbnail; fourteen formats are in tests/signaling/files."""
    given = tmp_path / "given"
    given.mkdir()
    async with visiting(wide) as there:
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        for path in (samples.picture("jpg", tmp_path), samples.film("mp4", tmp_path)):
            assert "48.85" in samples.place_of(path)
            message, info = await ann.sent(room, path.read_bytes(), "look", path.name)
            told = json.dumps([message, await bob.must("GET", f"/rooms/{room}/messages")])
            assert "48.85" not in told and "latitude" not in told
            variants = [shape["variant"] for shape in info["shapes"]]
            assert "file" in variants
            for variant in variants:
                form = given / f"{variant}-{path.name}"
                form.write_bytes(await bob.fetched(info, variant))
                assert not samples.place_of(form), (path.name, variant)
                for canary in samples.CANARIES:
                    assert canary not in form.read_bytes(), (path.name, variant, canary)


async def test_b33_a_place_is_told_by_who_chose_to_tell_it(wide: House, tmp_path: Path) -> None:
    path = samples.picture("jpg", tmp_path)
    async with visiting(wide) as there:
        (ann,) = await people(there, 1)
        room = await ann.room()
        info = await ann.uploaded(room, path.read_bytes(), path.name, keep_location=True)
        assert abs(info["latitude"] - 48.8577) < 0.001
        file = {name: info[name] for name in ("id", "key", "size")}
        file |= {"latitude": 48.8577, "longitude": 2.295}
        body = {"format": "m.plain.v1", "text": "here", "files": [file]}
        sent = await ann.must("POST", f"/rooms/{room}/messages", {"body": body})
        assert sent["body"]["files"][0]["latitude"] == 48.8577
        for wrong in ({"latitude": 91.0}, {"longitude": -181.0}, {"latitude": "north"}):
            bad = {**body, "files": [{**file, **wrong}]}
            assert (await ann.ask("POST", f"/rooms/{room}/messages", {"body": bad})).status == 422


async def test_b33_no_address_and_no_agent_is_kept_with_what_was_said(wide: House) -> None:
    """The address is believed from a proxy, so it would be told apart from our own."""
    agent = f"canary-agent-{secrets.token_hex(8)}"
    headers = {"X-Forwarded-For": ADDRESS, "User-Agent": agent}
    connector = aiohttp.TCPConnector(ssl=wide.trust)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as client:
        there = Visit(wide, client)
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        await said_and_done(ann, bob, room)
        found = (await bob.must("GET", f"/rooms/{room}/messages"))["items"]
        assert found and all(set(one) <= OF_A_MESSAGE for one in found)
        entries = await bob.log(room)
        assert all(set(entry) <= OF_AN_ENTRY for entry in entries)
        for told in (found, entries):
            assert agent not in json.dumps(told) and ADDRESS not in json.dumps(told)
        auditor = await there.joined("auditor")
        records = json.dumps(await there.records(auditor[0]))
        assert ADDRESS not in records and "203.0.113.0/24" in records, "shortened, and there alone"
    for data in (Kept(wide).dump(wide.state / "store"), wide.written().encode()):
        assert len(data) > 100
        assert ADDRESS.encode() not in data and agent.encode() not in data


async def said_and_done(ann: Person, bob: Person, room: str) -> None:
    """One of each thing that leaves an entry."""
    sent = await ann.post(room, "hello")
    at = f"/rooms/{room}/messages/{sent['id']}"
    await ann.must("PATCH", at, {"text": "hello there"})
    await bob.must("PUT", f"{at}/reactions/x", {})
    await ann.must("PUT", f"{at}/pin")
    await bob.post(room, "reply", parent=sent["id"])
    await bob.must("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
    await ann.sent(room, b"x" * 100, "with a file")
    await bob.must("POST", f"/rooms/{room}/typing", {"seconds": 3})


async def test_c27_everything_that_is_stored_is_in_the_inventory(there: Visit) -> None:
    """After whatever the tests before did: a kind that nobody wrote down would be found here."""
    ann, bob = await people(there, 2)
    await said_and_done(ann, bob, await ann.room(bob))
    found = Kept(there.house).kinds()
    assert len(found) >= 15
    listed = inventory()
    assert found <= set(listed), found - set(listed)
    for kind in found:
        assert listed[kind].fields, kind


async def test_c27_an_account_is_a_name_to_sign_in_with_and_what_one_adds(there: Visit) -> None:
    (ann,) = await people(there, 1)
    account = await ann.must("GET", "/account")
    given = {name: account[name] for name in ("name", "mail", "passkeys", "providers", "totp")}
    assert given == {"name": "", "mail": "", "passkeys": [], "providers": [], "totp": False}
    assert set(account) == {
        "id", "login", "name", "mail", "kind", "roles", "password", "totp", "recovery_codes_left",
        "passkeys", "providers", "created_at", "external_id", "tags",
    }  # fmt: skip
    # What an administrator adds, where the operator wants it: the person sees it.
    assert (account["external_id"], account["tags"]) == ("", [])
