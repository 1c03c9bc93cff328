"""Row B12: the log of a client, kept without secrets, read by its person, sent by consent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from signaling.accounts.operations.diagnostics import KIND, MOST_OF_ONE, STAYS
from sotto_client.ring import LogRing
from tests.signaling.files.rig import Person, There, join, people
from tests.sync.house import device

SECRET = "sotto_at_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"  # made up


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    async with people(tmp_path) as made:
        yield made


def log(*texts: str, **more: Any) -> dict[str, Any]:
    lines = [{"at": 1_800_000_000.5, "level": "info", "text": text} for text in texts]
    return {"consent": True, "lines": lines, **more}


async def test_a_person_sends_a_log_and_an_administrator_reads_it(there: There) -> None:
    sent = await there.ana.ask(
        "POST", "/diagnostics", log("not connected: TimeoutError", client="web 1", note="It hangs.")
    )
    assert sent.status == 201, sent.body
    listed = (await there.root.ask("GET", "/diagnostics")).json["items"]
    account = await there.account_of(there.ana)
    assert [(head["id"], head["account"], head["lines"]) for head in listed] == [
        (sent.json["id"], account, 1)
    ]
    found = (await there.root.ask("GET", f"/diagnostics/{sent.json['id']}")).json
    assert found["note"] == "It hangs." and found["client"] == "web 1"
    assert [line["text"] for line in found["lines"]] == ["not connected: TimeoutError"]
    assert (await there.root.ask("DELETE", f"/diagnostics/{sent.json['id']}")).status == 204
    assert (await there.root.ask("GET", f"/diagnostics/{sent.json['id']}")).status == 404


async def test_nobody_else_reads_them(there: There) -> None:
    sent = await there.ana.ask("POST", "/diagnostics", log("x"))
    for method, path in (
        ("GET", "/diagnostics"),
        ("GET", f"/diagnostics/{sent.json['id']}"),
        ("DELETE", f"/diagnostics/{sent.json['id']}"),
    ):
        assert (await there.ana.ask(method, path)).status == 403
        assert (await there.bob.ask(method, path)).status == 403


async def test_nothing_is_taken_without_consent(there: There) -> None:
    for body in (log("x", consent=False), {"lines": log("x")["lines"]}):
        refused = await there.ana.ask("POST", "/diagnostics", body)
        assert (refused.status, refused.code) == (422, "fields_invalid")
    assert (await there.root.ask("GET", "/diagnostics")).json["items"] == []


async def test_too_large_a_log_is_refused(there: There) -> None:
    refused = await there.ana.ask("POST", "/diagnostics", log(*["x" * 500] * 1900))
    assert (refused.status, refused.code) == (413, "too_large")


async def test_one_account_has_at_most_so_many_there(there: There) -> None:
    for _ in range(MOST_OF_ONE):
        assert (await there.ana.ask("POST", "/diagnostics", log("x"))).status == 201
    refused = await there.ana.ask("POST", "/diagnostics", log("x"))
    assert (refused.status, refused.code) == (403, "quota_exceeded")
    assert (await there.bob.ask("POST", "/diagnostics", log("x"))).status == 201


async def test_what_looks_like_a_credential_is_not_kept(there: There) -> None:
    sent = await there.ana.ask("POST", "/diagnostics", log(f"opened with Bearer {SECRET}"))
    found = await there.root.ask("GET", f"/diagnostics/{sent.json['id']}")
    assert SECRET not in found.body.decode()
    assert "opened with" in found.body.decode()


async def test_a_log_is_sealed_expires_and_its_reading_is_recorded(there: There) -> None:
    sent = await there.ana.ask("POST", "/diagnostics", log("canary in the store"))
    core = there.house.app.core
    stored = await core.store.meta.get(there.app, KIND, sent.json["id"])
    assert stored is not None and b"canary" not in stored.value
    assert stored.expires is not None
    assert abs(stored.expires - core.clock.unix() - STAYS) < 60
    auditor = await _auditor(there)
    await there.root.ask("GET", f"/diagnostics/{sent.json['id']}")
    records: list[Any] = []
    async with asyncio.timeout(60):
        while not records:
            answer = await auditor.ask("GET", "/audit?action=readClientLog")
            records = answer.json["items"]
    (record,) = records
    assert record["target"] == f"client_log:{sent.json['id']}"
    assert record["details"]["account"] == await there.account_of(there.ana)


async def _auditor(there: There) -> Person:
    return await join(there.root, "some.auditor", "auditor")


async def test_the_python_client_sends_its_own(there: There) -> None:
    http, url = there.house.client, there.house.http
    async with device(http, url, there.ana) as ana:
        ana.log.write("error", f"token={SECRET} failed")
        assert isinstance(ana.log, LogRing)
        made = await ana.api.send_log(ana.log, note="as agreed")
    found = (await there.root.ask("GET", f"/diagnostics/{made['id']}")).json
    assert any("failed" in line["text"] for line in found["lines"])
    assert SECRET not in str(found)
