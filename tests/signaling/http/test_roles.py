"""The endpoint by role table, cell by cell, against a server started apart; sockets included."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from signaling.http.api.role_table import PEOPLE, Cell, cell, operations_of
from tests.signaling.http.started import People, people

# An id that nothing has: no cell changes anything.
NOBODY = "01a00000-0000-7000-8000-000000000000"
ROUTE_PARAMETER = re.compile(r"\{[a-z_]+\}")
SIGNED = {(403, "signature_invalid"), (415, "unsupported_media_type")}
# What the framework itself refuses people with; other codes are a handler's.
UNKNOWN = {"token_missing", "token_invalid", "token_expired", "token_revoked"}
DENIED = {"not_permitted", "insufficient_scope", "reauthentication_required"}


async def met(there: People, method: str, path: str, person: str) -> tuple[int, str]:
    """Status and code. A parameter that no operation has stops those who are admitted."""
    url = there.server.url + ROUTE_PARAMETER.sub(NOBODY, path) + "?role_table=1"
    token = there.tokens[person]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with there.server.client.request(
        method, url, headers=headers, allow_redirects=False
    ) as answer:
        if method == "HEAD":  # it has no body that could name a code
            return answer.status, {401: "token_missing", 403: "not_permitted"}.get(
                answer.status, ""
            )
        body: Any = await answer.json(content_type=None)
        return answer.status, str(body["code"]) if isinstance(body, dict) else ""


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
                wanted = cell(path, operation["x-sotto-access"], person)
                status, code = await met(there, method, path, person)
                if wanted is Cell.SIGNED:
                    # Unsigned and without a body, whoever sends it (row B25).
                    if (status, code) not in SIGNED:
                        wrong.append(f"{method} {path} as {person}: {status} {code}")
                    continue
                good = seen(status, code) is wanted and status < 500
                if wanted is Cell.ADMITTED and status not in (400, 422, 426):
                    good = False  # it went past the parameter that does not exist
                if not good:
                    wrong.append(f"{method} {path} as {person}: {status} {code}, not {wanted}")
        assert count >= 800
        assert not wrong, "\n".join(wrong)


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
        for person, roles in PEOPLE.items():
            token = there.tokens[person]
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            opening = there.server.client.ws_connect(url, headers=headers, protocols=["sotto.1"])
            if roles is None:
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await opening
                assert refused.value.status == 401, person
            else:
                async with opening as socket:
                    hello = await socket.receive_json(timeout=30)
                    assert hello["type"] == "hello", person
