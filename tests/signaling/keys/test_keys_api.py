"""Key management over HTTP: for each role each verb, two people, other apps, the codes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from signaling.accounts.principal import Role
from signaling.compliance.audit.reader import Filter
from signaling.keys.header import parse
from tests.signaling.compliance.served import Served, served

VERBS: dict[str, tuple[str, str, set[str]]] = {
    "list": ("GET", "/keys", {"owner", "administrator", "compliance", "auditor"}),
    "get": ("GET", "/keys/{key}", {"owner", "administrator", "compliance", "auditor"}),
    "rotate": ("POST", "/keys/{key}/rotate", {"owner", "administrator"}),
    "generate": ("POST", "/keys/{key}/versions", {"owner", "administrator"}),
    "rewrap": ("POST", "/keys/rewrap", {"administrator"}),
    "disable": ("POST", "/keys/{key}/versions/1/disable", {"owner", "compliance"}),
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "kek") as made:
        yield made


async def sealed(api: Served, app: str = "one") -> tuple[str, bytes]:
    value = await api.rig.keys.envelope.seal(app, "room:r", b"aad", b"text")
    return parse(value).key.hex(), value


@pytest.mark.parametrize("role", ["", *Role])
@pytest.mark.parametrize("verb", VERBS)
async def test_a13_for_each_role_each_verb(api: Served, verb: str, role: str) -> None:
    key, _ = await sealed(api)
    method, path, allowed = VERBS[verb]
    body: Any = {} if verb == "rotate" else None
    status, _ = await api.ask(role, method, path.format(key=key), body)
    if role in allowed:
        assert status in (200, 201)
        return
    assert status == (403 if role else 401)
    await api.rig.audit.record(api.rig.event("end"))
    found = await api.rig.reader.page("one", Filter(result="denied"))
    actor = f"account:{role}" if role else "anonymous"
    assert [item.record.actor for item in found.items] == [actor]


async def test_s4_a_retried_rotation_rotates_once(api: Served) -> None:
    key, _ = await sealed(api)
    who = {"Authorization": "Bearer owner", "Idempotency-Key": "rotate-1"}
    url = f"{api.url}/api/v1/keys/{key}/rotate"
    answers = []
    for _ in range(2):
        async with api.client.post(url, json={}, headers=who) as response:
            answers.append((response.status, await response.json()))
    assert answers[0] == answers[1] and answers[0][0] == 200
    _, shown = await api.ask("owner", "GET", f"/keys/{key}")
    assert len(shown["versions"]) == 2


async def test_a12_the_life_of_a_key_over_http(api: Served) -> None:
    key, _ = await sealed(api)
    status, shown = await api.ask("owner", "POST", f"/keys/{key}/rotate", {})
    assert status == 200 and [v["state"] for v in shown["versions"]] == ["decrypt_only", "active"]
    assert shown["scope"] == "room:r" and "wrapped" not in str(shown)
    version = f"/keys/{key}/versions/1"
    assert (await api.ask("compliance", "POST", f"{version}/destruction"))[0] == 409
    assert (await api.ask("compliance", "POST", f"{version}/disable"))[0] == 200
    assert (await api.ask("compliance", "POST", f"{version}/destruction"))[0] == 200
    status, problem = await api.ask("compliance", "POST", f"{version}/destruction/approval")
    assert (status, problem["code"]) == (409, "second_approver_needed")
    assert (await api.ask("owner", "DELETE", f"{version}/destruction"))[0] == 200
    assert (await api.ask("owner", "POST", f"{version}/destruction"))[0] == 200
    status, shown = await api.ask("compliance", "POST", f"{version}/destruction/approval")
    assert status == 200 and shown["versions"][0]["approved_by"] == "account:compliance"
    api.rig.clock.advance(3601)
    assert await api.rig.keys.custodian.sweep() == 1
    status, problem = await api.ask("owner", "POST", f"{version}/enable")
    assert (status, problem["code"]) == (410, "key_destroyed")
    found = await api.rig.reader.page("one", Filter(action="keys.*"), limit=100)
    acts = [(i.record.action, i.record.actor, i.record.result) for i in found.items]
    assert ("keys.approve", "account:compliance", "failed") in acts
    assert ("keys.destroy", "account:owner", "allowed") in acts


async def test_a12_unknown_keys_and_versions_are_422(api: Served) -> None:
    key, _ = await sealed(api)
    other, _ = await sealed(api, "two")
    for path in (
        "/keys/nothing", f"/keys/{'0' * 32}", f"/keys/{other}", f"/keys/{key}/versions/9/disable",
        f"/keys/{key}/versions/x/disable", f"/keys/{key}/versions/-1/disable",
    ):  # fmt: skip
        method = "POST" if "versions" in path else "GET"
        status, problem = await api.ask("owner", method, path)
        assert (status, problem["code"]) == (422, "key_unknown"), path


async def test_a13_another_app_does_not_touch_the_master(api: Served) -> None:
    for method, path in (("GET", "/keys/master"), ("POST", "/keys/master/versions/1/disable")):
        assert (await api.ask("two-owner", method, path))[0] == 422
    assert (await api.ask("two-administrator", "POST", "/keys/rewrap"))[0] == 422
    status, shown = await api.ask("owner", "GET", "/keys/master")
    assert status == 200 and shown["versions"][0]["provider"] == "local"
    assert shown["versions"][0]["wraps"] >= 1


async def test_a12_a_new_master_over_http(api: Served) -> None:
    _, value = await sealed(api)
    status, shown = await api.ask("administrator", "POST", "/keys/master/rotate", {})
    assert status == 200 and [v["version"] for v in shown["versions"]] == [1, 2]
    status, moved = await api.ask("administrator", "POST", "/keys/rewrap")
    assert status == 200 and moved["moved"] >= 1 and moved["failed"] == 0
    status, problem = await api.ask(
        "administrator", "POST", "/keys/master/rotate", {"provider": "aws"}
    )
    assert (status, problem["code"]) == (422, "key_unknown")
    assert await api.rig.keys.envelope.open("one", b"aad", value) == b"text"


async def test_the_list_of_keys_has_pages(api: Served) -> None:
    for number in range(15):
        await api.rig.keys.envelope.seal("one", f"room:{number}", b"aad", b"x")
    found: set[str] = set()
    cursor: dict[str, str] = {}
    while True:
        _, body = await api.ask("auditor", "GET", "/keys", limit="4", **cursor)
        found |= {item["scope"] for item in body["items"]}
        if body["next_cursor"] is None:
            break
        cursor = {"cursor": body["next_cursor"]}
    assert {f"room:{number}" for number in range(15)} <= found
