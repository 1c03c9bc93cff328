"""Row B12: a client's own log, without secrets, read by its person and sent by consent alone."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from sotto_client import Backoff, Client, Local
from tests.rows.house import Visit
from tests.rows.kept import Kept
from tests.rows.rightful import owner, people, person


def client_of(there: Visit, token: str) -> Client:
    async def given() -> str:
        return token

    backoff = Backoff(lambda: 0.5, first=0.05)
    return Client(there.house.url, Local(":memory:"), given, http=there.client, backoff=backoff)


def log(*texts: str, **more: Any) -> dict[str, Any]:
    lines = [{"at": 1_800_000_000.5, "level": "info", "text": text} for text in texts]
    return {"consent": True, "lines": lines, **more}


async def test_b12_an_error_is_in_the_log_and_no_token_and_nothing_said(there: Visit) -> None:
    ann, bob = await people(there, 2)
    hers = await bob.room()
    canary = f"canary {secrets.token_hex(8)}"
    async with client_of(there, ann.token) as client:
        client.room(hers).post(canary)  # of a room that is not hers
        await client.wait(lambda: any("205" in line for line in client.log.read("warning")), 120)
        client.log.write("error", f"Authorization: Bearer {ann.token} was sent")
        client.log.write("debug", json.dumps({"type": "post", "body": {"text": canary}}))
        client.log.write("info", f"mail to some.one@example.org, ticket={ann.token}")
    written = client.log.read()
    assert any("connected" in line for line in written)
    assert "Authorization" in written[-3] or "Authorization" in "".join(written)
    for line in written:
        assert ann.token not in line and canary not in line and "@example" not in line, line
    # By level, and no more of it than it keeps.
    assert all(" error " in line for line in client.log.read("error"))
    assert len(client.log.read("error")) == 1
    for number in range(3000):
        client.log.write("debug", f"line {number}")
    assert len(client.log.lines()) == 2000


async def test_b12_it_is_sent_by_consent_and_read_by_administrators_on_record(
    there: Visit,
) -> None:
    ann, bob, root = *(await people(there, 2)), await owner(there)
    canary = f"canary-{secrets.token_hex(8)}"
    client = client_of(there, ann.token)
    client.log.write("warning", f"{canary} broke; Bearer {ann.token}")
    sent = await client.api.send_log(client.log, note="as agreed")
    path = f"/diagnostics/{sent['id']}"
    for method, place in (("GET", "/diagnostics"), ("GET", path), ("DELETE", path)):
        for who in (ann, bob):
            assert (await who.ask(method, place)).status == 403
    found = await root.must("GET", path)
    assert found["note"] == "as agreed" and canary in json.dumps(found["lines"])
    assert ann.token not in json.dumps(found)
    auditor = await person(there, "auditor")
    records = await there.recorded(auditor.token, "readClientLog", "allowed")
    assert sent["id"] in {one["target"].partition(":")[2] for one in records}
    assert canary.encode() not in Kept(there.house).dump(there.house.state)
    await root.must("DELETE", path)
    assert (await root.ask("GET", path)).status == 404


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        (log("x", consent=False), 422, "fields_invalid"),
        ({"lines": log("x")["lines"]}, 422, "fields_invalid"),
        ({"consent": "yes", "lines": log("x")["lines"]}, 422, "fields_invalid"),
        (log(), 422, "fields_invalid"),
        (log("x" * 501), 422, "fields_invalid"),
        (log("x", stack="..."), 422, "fields_invalid"),
        (log(*["x" * 500] * 1900), 413, "too_large"),
    ],
    ids=("no", "unsaid", "text", "empty", "long line", "unknown field", "size"),
)
async def test_b12_without_consent_422_and_above_its_size_413(
    there: Visit, wish: dict[str, Any], status: int, code: str
) -> None:
    (ann,) = await people(there, 1)
    refused = await ann.ask("POST", "/diagnostics", wish)
    assert (refused.status, refused.code) == (status, code)
    listed = await there.ask("GET", "/diagnostics", token=await there.owner())
    assert ann.id not in {one["account"] for one in listed.body["items"]}
