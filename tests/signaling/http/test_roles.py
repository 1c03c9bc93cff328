"""The endpoint by role table, cell by cell, against a server started apart; sockets included."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from signaling.http.api.role_table import PEOPLE, Cell, cell, operations_of
from tests.proofs.document import Shapes, usual
from tests.signaling.http.started import People, people

# An id that nothing has: no cell changes anything.
NOBODY = "01a00000-0000-7000-8000-000000000000"
ROUTE_PARAMETER = re.compile(r"\{[a-z_]+\}")
# What the framework itself refuses people with; other codes are a handler's.
UNKNOWN = {"token_missing", "token_invalid", "token_expired", "token_revoked"}
DENIED = {"not_permitted", "insufficient_scope", "reauthentication_required", "access_denied"}
# An upgrade as a browser sends it: whoever asks for less hears that, and not who may (row A16).
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "sotto.1",
}  # fmt: skip


async def met(
    there: People, method: str, path: str, person: str, query: str = "", **more: Any
) -> tuple[int, str]:
    """Status and code of a request of this person about what nobody has."""
    url = there.server.url + ROUTE_PARAMETER.sub(NOBODY, path) + query
    token = there.tokens[person]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= UPGRADE if path == "/sync" else {}
    async with there.server.client.request(
        method, url, headers=headers, allow_redirects=False, **more
    ) as answer:
        if method == "HEAD":  # it has no body that could name a code
            return answer.status, {401: "token_missing", 403: "not_permitted"}.get(
                answer.status, ""
            )
        if answer.content_type not in ("application/json", "application/problem+json"):
            return answer.status, ""
        body: Any = await answer.json(content_type=None)
        return answer.status, str(body.get("code", "")) if isinstance(body, dict) else ""


def seen(status: int, code: str) -> Cell:
    if status == 401 and code in UNKNOWN:
        return Cell.UNKNOWN
    if status == 403 and code in DENIED:
        return Cell.DENIED
    return Cell.ADMITTED


@pytest.mark.parametrize("store", ["embedded"])
async def test_every_cell_of_the_table(tmp_path: Path, store: str) -> None:
    async with people(tmp_path) as there:
        wrong = []
        count = 0
        for method, path, operation in operations_of(there.document):
            for person in PEOPLE:
                count += 1
                wanted = cell(operation["x-sotto-access"], person)
                found = await answered(there, method, path, person, wanted)
                if found is not wanted:
                    wrong.append(f"{method} {path} as {person}: {found}, not {wanted}")
        assert count >= 2000
        assert not wrong, "\n".join(wrong)


async def answered(
    there: People, method: str, path: str, person: str, wanted: Cell
) -> Cell | tuple[int, str]:
    """What the cell should say; status and code where no cell says that.

    Whoever should be refused asks for nothing else that could be: with a body that fits. Who should
    be admitted brings a parameter that no operation has, so that nothing is done; but nobody at all
    asks without it as well, for what has no caller must not ask who that is.
    """
    if wanted is not Cell.ADMITTED:
        status, code = await met(there, method, path, person, **fitting(there, method, path))
        if (status, code) == (403, "signature_invalid"):
            return Cell.SIGNED
        return seen(status, code) if status in (401, 403) else (status, code)
    if person == "anonymous":
        status, code = await met(there, method, path, person)
        if status >= 500 or seen(status, code) is not Cell.ADMITTED:
            return status, code
    status, code = await met(there, method, path, person, "?role_table=1")
    return Cell.ADMITTED if status in (400, 415, 422) else (status, code)


def fitting(there: People, method: str, path: str) -> dict[str, Any]:
    """A body as the document describes it."""
    operation = there.document["paths"][path][method.lower()]
    content = operation.get("requestBody", {}).get("content", {})
    if "/json" not in "".join(content):
        return {} if method == "GET" else {"json": {}}
    schema = content["application/json"]["schema"]
    return {"json": Shapes(there.document).made(schema, usual)}


async def test_what_is_somebody_elses_is_not_there(tmp_path: Path) -> None:
    """Every object that one person has, asked for by another: the answer of what does not exist."""
    async with people(tmp_path) as there:
        ask, tokens = there.server.ask, there.tokens
        _, sessions = await ask("GET", "/sessions", token=tokens["member"])
        _, devices = await ask("GET", "/account/devices", token=tokens["member"])
        paths = [f"/sessions/{sessions['items'][0]['id']}"]
        paths += [f"/account/devices/{device['id']}" for device in devices["items"]]
        assert len(paths) >= 2
        for path in paths:
            kind = path.rpartition("/")[0]
            theirs = await ask("DELETE", path, token=tokens["other"])
            nobodys = await ask("DELETE", f"{kind}/{NOBODY}", token=tokens["other"])
            assert theirs[0] == nobodys[0] == 404, path
            for answer in (theirs[1], nobodys[1]):
                answer.pop("request_id")
            assert theirs == nobodys, path
        # Nothing of it happened: the member is still signed in.
        assert (await ask("GET", "/session", token=tokens["member"]))[0] == 200


async def test_who_may_open_the_socket(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        url = there.server.url.replace("http", "ws", 1) + "/sync"
        for person in PEOPLE:
            token = there.tokens[person]
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            opening = there.server.client.ws_connect(url, headers=headers, protocols=["sotto.1"])
            if person in ("anonymous", "revoked"):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await opening
                assert refused.value.status == 401, person
            else:
                async with opening as socket:
                    hello = await socket.receive_json(timeout=30)
                    assert hello["type"] == "hello", person
