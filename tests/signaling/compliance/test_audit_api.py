"""The audit over HTTP: who may read it, what is found, what an export holds, that reading shows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.accounts.principal import Role
from signaling.compliance.audit.entry import Record
from signaling.compliance.audit.export import csv_line, safe_cell
from signaling.compliance.audit.reader import Filter
from tests.signaling.compliance.served import Served, served


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "kek") as made:
        yield made


PATHS = ("/audit", "/audit/export", "/audit/head", "/audit/verification")


@pytest.mark.parametrize("role", ["", *Role])
@pytest.mark.parametrize("path", PATHS)
async def test_b13_only_auditors_read(api: Served, role: str, path: str) -> None:
    status, _ = await api.ask(role, "GET", path)
    assert status == (200 if role == "auditor" else 401 if role == "" else 403)
    # A member's try and an auditor's look both leave a record.
    await api.rig.audit.record(api.rig.event("end"))
    found = await api.rig.reader.page("one", Filter())
    (record,) = [item.record for item in found.items if "udit" in item.record.action]
    assert record.result == ("allowed" if status == 200 else "denied")
    assert record.actor == (f"account:{role}" if role else "anonymous")
    assert record.address == "192.0.2.0/24" and record.request_id


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_b13_an_auditor_cannot_write(api: Served, method: str) -> None:
    for path in PATHS:
        status, _ = await api.ask("auditor", method, path)
        assert status == 405


async def test_b13_pages_filters_and_cursors(api: Served) -> None:
    for number in range(25):
        result = "denied" if number % 5 == 0 else "allowed"
        await api.rig.audit.record(api.rig.event(f"room.{number}", result=result))
    actions: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        status, body = await api.ask(
            "auditor", "GET", "/audit", action="room.*", limit="10", **cursor
        )
        assert status == 200
        actions += [item["action"] for item in body["items"]]
        if body["next_cursor"] is None:
            break
        cursor = {"cursor": body["next_cursor"]}
    assert actions == [f"room.{n}" for n in reversed(range(25))]
    _, body = await api.ask("auditor", "GET", "/audit", result="denied", action="room.*")
    assert len(body["items"]) == 5
    _, body = await api.ask("auditor", "GET", "/audit", since="2027-01-15T08:00:01Z")
    assert body["items"] == []
    for bad in (
        {"result": "maybe"}, {"since": "yesterday"}, {"since": "2027-01-15T08:00:00"},
        {"unknown": "x"}, {"limit": "0"}, {"action": "x" * 300},
    ):  # fmt: skip
        status, body = await api.ask("auditor", "GET", "/audit", **bad)
        assert status == 422, bad
    cursor = {"cursor": "A" * 40}
    status, body = await api.ask("auditor", "GET", "/audit", **cursor)
    assert (status, body["code"]) == (400, "cursor_invalid")


async def test_b13_what_an_auditor_looked_for_is_recorded(api: Served) -> None:
    await api.ask("auditor", "GET", "/audit", actor="account:ada", result="denied")
    found = await api.rig.reader.page("one", Filter(action="listAuditRecords"))
    assert found.items[0].record.details["filter"] == "actor=account:ada result=denied"


async def test_b13_no_app_reads_anothers(api: Served) -> None:
    await api.rig.audit.record(api.rig.event("room.read"))
    _, body = await api.ask("two-auditor", "GET", "/audit", action="room.*")
    assert body["items"] == []
    _, body = await api.ask("auditor", "GET", "/audit", action="room.*", limit="1")
    status, _ = await api.ask("auditor", "GET", "/audit", action="room.*", limit="1")
    assert status == 200


async def test_b13_exports_as_ndjson_and_csv(api: Served) -> None:
    rig = api.rig
    for action in ("=1+1", "room.read", "-x", "@y", "+z"):
        await rig.audit.record(rig.event(action, target='say "hi", then', details={"name": "ü"}))
    status, data, headers = await api.raw("auditor", "GET", "/audit/export")
    lines = [json.loads(line) for line in data.splitlines()]
    assert status == 200 and headers["Content-Type"] == "application/x-ndjson"
    others = [line["action"] for line in lines if not line["action"].startswith("keys.")]
    assert others[-5:] == ["+z", "@y", "-x", "room.read", "=1+1"]
    assert lines[0]["action"] == "exportAudit" and lines[-1]["at"] == "2027-01-15T08:00:00.000Z"
    status, data, headers = await api.raw(
        "auditor", "GET", "/audit/export", query={"format": "csv", "actor": "account:a"}
    )
    rows = list(csv.reader(io.StringIO(data.decode())))
    assert rows[0][:5] == ["id", "at", "app", "actor", "action"]
    assert [row[4] for row in rows[1:]] == ["'+z", "'@y", "'-x", "room.read", "'=1+1"]
    assert rows[1][5] == 'say "hi", then' and rows[1][-1] == "name=ü"
    assert "attachment" in headers["Content-Disposition"]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\0", "＝", "＠"])
def test_b13_a_cell_is_no_formula(sign: str) -> None:
    assert safe_cell(f"{sign}cmd|' /C calc'!A0") == f"'{sign}cmd|' /C calc'!A0"
    record = Record(id="1", at=0.0, app="one", actor=f"{sign}x", action="b")
    assert f'"\'{sign}x"'.encode() in csv_line(record)


async def test_b11_an_auditor_verifies_and_takes_the_head_away(api: Served) -> None:
    for number in range(5):
        await api.rig.audit.record(api.rig.event(f"room.{number}"))
    _, verdict = await api.ask("auditor", "GET", "/audit/verification")
    assert verdict["good"] and verdict["records"] >= 5 and verdict["findings"] == []
    from tests.signaling.compliance.rig import until

    await until(lambda: api.rig.ops()[-1].body[:1] == b"H")
    _, standing = await api.ask("auditor", "GET", "/audit/head")
    assert len(standing["keys"]) == 1 and standing["head"]["key"] == standing["keys"][0]["name"]
    del api.rig.ops()[2]
    _, verdict = await api.ask("auditor", "GET", "/audit/verification")
    assert not verdict["good"] and verdict["findings"][0]["kind"] == "missing"
