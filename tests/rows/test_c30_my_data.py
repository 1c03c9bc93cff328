"""Rows C28, C30, B2: what is told to people before they come, and what they may do with theirs."""

from __future__ import annotations

import io
import json
import time
import zipfile

from tests.rows.house import PASSWORD, Visit
from tests.rows.rightful import ended, owner, people

FULL = {
    "basis": "contract", "title": "Messages", "text": "So that others read what you write.",
    "categories": ["messages", "files"], "retention": "30 days", "recipients": ["the room"],
}  # fmt: skip
# Nobody waits longer for what the machine does by itself.
MINUTES = 180


async def test_c28_b02_everybody_reads_before_an_account_what_is_kept_and_why(
    there: Visit,
) -> None:
    root = await owner(there)
    await root.must("PUT", "/processing-register/account", FULL)
    text = "You may read, correct, take away and erase what is yours."
    made = await root.must("PUT", "/privacy-notice", {"text": text})
    notice = await there.ask("GET", "/privacy-notice")
    assert (notice.status, notice.body) == (200, made)
    assert notice.body["text"] == text and notice.body["version"] >= 1
    listed = (await there.ask("GET", "/processing-register")).body["purposes"]
    (found,) = [one for one in listed if one["id"] == "account"]
    assert {name: found[name] for name in FULL} == FULL
    # What is stored, class by class: for people, by the server itself.
    page = await there.send("GET", "/security")
    assert page.status == 200 and "how long" in page.text.lower()
    for wrong in ({}, {"text": ""}, {"text": "x", "version": 7}):
        refused = await root.ask("PUT", "/privacy-notice", wrong)
        assert (refused.status, refused.code) == (422, "fields_invalid")
    assert (await there.ask("GET", "/privacy-notice")).body == made


async def test_c30_access_correct_and_erase_by_oneself_within_minutes(there: Visit) -> None:
    began = time.monotonic()
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    sent = await ann.post(room, "helo")
    await ann.must("PATCH", "/account", {"name": "Ann"}, headers={"If-Match": "*"})
    assert (await ann.must("GET", "/account"))["name"] == "Ann"
    await ann.must("PATCH", f"/rooms/{room}/messages/{sent['id']}", {"text": "hello"})
    headers = {"Authorization": f"Bearer {ann.token}"}
    url = there.house.url + "/api/v1/account/export"
    async with there.client.get(url, headers=headers) as answer:
        assert answer.status == 200
        archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    assert json.loads(archive.read("account.json"))["name"] == "Ann"
    assert b"hello" in archive.read(f"rooms/{room}.ndjson")
    for wrong in ({}, {"confirm": "yes"}, {"confirm": bob.id}):
        refused = await ann.ask("POST", "/account/erasure", wrong)
        assert (refused.status, refused.code) == (422, "fields_invalid"), wrong
    asked = await ann.ask("POST", "/account/erasure", {"confirm": ann.id})
    assert (await ended(there, asked.body["id"], seconds=MINUTES))["state"] == "done"
    assert await bob.texts(room) == []
    gone = {"login": ann.login, "password": PASSWORD}
    assert (await there.ask("POST", "/sign-in/password", gone)).status == 401
    assert time.monotonic() - began < MINUTES


async def test_c30_what_is_somebody_elses_is_404(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room()
    sent, file = await ann.sent(room, b"x" * 100, "mine")
    session = (await ann.must("GET", "/sessions"))["items"][0]["id"]
    for method, path in (
        ("GET", f"/rooms/{room}"), ("GET", f"/rooms/{room}/messages/{sent['id']}"),
        ("DELETE", f"/rooms/{room}/messages/{sent['id']}"), ("GET", f"/files/{file['id']}"),
        ("DELETE", f"/files/{file['id']}"), ("DELETE", f"/sessions/{session}"),
        ("GET", f"/rooms/{room}/exports"), ("GET", f"/rooms/{room}/retention"),
    ):  # fmt: skip
        answer = await bob.ask(method, path)
        assert answer.status == 404, (method, path, answer.text)
    hers = await bob.ask("POST", f"/accounts/{ann.id}/erasure", {"confirm": ann.id})
    assert (hers.status, hers.code) == (403, "not_permitted")
    assert await ann.texts(room) == ["mine"]
