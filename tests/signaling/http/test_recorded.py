"""Row B11: a call of every operation by people of every kind, and a record of each in the audit."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from signaling.http.api.role_table import operations_of
from tests.signaling.http.started import People, people
from tests.signaling.http.test_roles import NOBODY, ROUTE_PARAMETER

CANARY = "canary-9f3a"


async def call(there: People, method: str, path: str, person: str) -> tuple[str, int]:
    url = there.server.url + ROUTE_PARAMETER.sub(NOBODY, path) + f"?{CANARY}=1"
    token = there.tokens[person]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with there.server.client.request(
        method, url, headers=headers, allow_redirects=False
    ) as answer:
        await answer.read()
        return answer.headers["X-Request-Id"], answer.status


async def records(there: People) -> list[dict[str, Any]]:
    """All of the audit, by cursor."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        path = f"/audit?limit=100{cursor}"
        status, page = await there.server.ask("GET", path, token=there.tokens["auditor"])
        assert status == 200, page
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def test_b11_every_call_of_every_kind_is_recorded_once(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        made: dict[str, tuple[str, int, str]] = {}
        for method, path, operation in operations_of(there.document):
            for person in ("anonymous", "member", "owner"):
                request_id, status = await call(there, method, path, person)
                made[request_id] = (operation["operationId"], status, person)
        assert len(made) >= 300
        began = time.monotonic()
        kept: list[dict[str, Any]] = []
        while len(kept) < len(made) and time.monotonic() - began < 60:
            await asyncio.sleep(0.25)  # notes are written within 250 ms
            kept = [one for one in await records(there) if one["request_id"] in made]
        assert sorted(one["request_id"] for one in kept) == sorted(made)
        for one in kept:
            name, status, person = made[one["request_id"]]
            assert one["action"] == name
            denied = status in (401, 403)
            expected = "denied" if denied else "allowed" if status < 400 else "failed"
            assert one["result"] == expected, one
            assert one["actor"].startswith("anonymous" if person == "anonymous" else "a"), one
            assert one["address"] in ("127.0.0.0/24", "::/48"), one
            assert CANARY not in repr(one)
            for token in there.tokens.values():
                assert not token or token not in repr(one)
