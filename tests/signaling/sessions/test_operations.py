"""Sessions over HTTP: who am I, where am I signed in, sign out here, elsewhere, everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from signaling.accounts.principal import Role
from signaling.accounts.sessions.operations import Deps, operations
from tests.signaling.sessions.house import ALICE, APP, BOB, House
from tests.signaling.sessions.served import OWN, Served, served
from tests.signaling.sessions.test_sessions import grant, look


@pytest.fixture
async def api(house: House) -> AsyncIterator[Served]:
    async with served(house, operations(Deps(house.service, house.tickets))) as made:
        yield made


async def ask(api: Served, method: str, path: str, token: str = "", **headers: str) -> Any:
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with api.client.request(method, f"{api.url}/api/v1{path}", headers=fields) as answer:
        text = await answer.text()
        body = await answer.json(content_type=None) if text else None
        return answer.status, body, answer.headers


EVERY = [
    ("GET", "/session"), ("DELETE", "/session"), ("GET", "/sessions"),
    ("DELETE", "/sessions/others"), ("DELETE", "/sessions/x"), ("GET", f"/accounts/{BOB}/sessions"),
    ("DELETE", f"/accounts/{BOB}/sessions"), ("POST", "/sync/tickets"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_c4_each_operation_without_a_token_is_401(
    api: Served, method: str, path: str
) -> None:
    for token in ("", "rubbish", "cs_" + "A" * 76):
        status, body, headers = await ask(api, method, path, token)
        assert status == 401 and body["code"] in ("token_missing", "token_invalid")
        assert headers["WWW-Authenticate"].startswith("Bearer")


async def test_who_am_i(api: Served, house: House) -> None:
    status, body, headers = await ask(api, "GET", "/session", await house.sign_in(mfa=True))
    assert status == 200 and headers["Cache-Control"] == "no-store"
    assert (body["account"], body["roles"], body["mfa"]) == (ALICE, ["member"], True)
    assert "token" not in body


async def test_c5_signing_out_is_at_once(api: Served, house: House) -> None:
    token = await house.sign_in()
    assert (await ask(api, "GET", "/session", token))[0] == 200
    assert (await ask(api, "DELETE", "/session", token))[0] == 204
    assert (await ask(api, "GET", "/session", token))[0] == 401
    recorded = [event for event in api.audit.events if "endSession" in str(event)]
    assert recorded and token not in str(api.audit.events)


async def test_signing_out_a_browser_ends_its_cookie_and_its_storage(
    api: Served, house: House
) -> None:
    cookie = f"__Host-sotto={await house.sign_in()}"
    status, _, headers = await ask(api, "DELETE", "/session", Cookie=cookie, Origin=OWN)
    assert status == 204
    assert "Max-Age=0" in headers["Set-Cookie"] and "storage" in headers["Clear-Site-Data"]


async def test_7_5_2_sessions_are_listed_and_ended_one_by_one(api: Served, house: House) -> None:
    mine, phone = await house.sign_in(), await house.sign_in()
    _, body, _ = await ask(api, "GET", "/sessions", mine)
    assert sorted(item["current"] for item in body["items"]) == [False, True]
    there = next(item["id"] for item in body["items"] if not item["current"])
    assert (await ask(api, "DELETE", f"/sessions/{there}", mine))[0] == 204
    assert (await ask(api, "GET", "/session", phone))[0] == 401
    status, body, _ = await ask(api, "DELETE", f"/sessions/{there}", mine)
    assert (status, body["code"]) == (404, "not_found")


async def test_8_2_2_the_session_of_another_looks_like_none(api: Served, house: House) -> None:
    mine, bobs = await house.sign_in(), await house.sign_in(BOB)
    session = (await look(house, bobs)).session
    refused = await ask(api, "DELETE", f"/sessions/{session}", mine)
    nothing = await ask(api, "DELETE", "/sessions/none", mine)
    assert refused[0] == nothing[0] == 404
    assert {**refused[1], "request_id": "", "instance": ""} == {
        **nothing[1], "request_id": "", "instance": "",
    }  # fmt: skip
    assert (await ask(api, "GET", "/session", bobs))[0] == 200


async def test_c5_signing_out_elsewhere(api: Served, house: House) -> None:
    mine, *others = [await house.sign_in() for _ in range(4)]
    status, body, _ = await ask(api, "DELETE", "/sessions/others", mine)
    assert (status, body) == (200, {"ended": 3})
    assert (await ask(api, "GET", "/session", mine))[0] == 200
    for token in others:
        assert (await ask(api, "GET", "/session", token))[0] == 401


async def test_7_4_5_an_administrator_ends_the_sessions_of_an_account(
    api: Served, house: House
) -> None:
    mine, bobs = await house.sign_in(), await house.sign_in(BOB)
    path = f"/accounts/{BOB}/sessions"
    assert (await ask(api, "DELETE", path, mine))[0] == 403
    house.accounts.change(ALICE, roles=frozenset({Role.ADMINISTRATOR}))
    house.clock.advance(1)
    assert len((await ask(api, "GET", path, mine))[1]["items"]) == 1
    assert (await ask(api, "DELETE", path, mine))[1] == {"ended": 1}
    assert (await ask(api, "GET", "/session", bobs))[0] == 401


async def test_c6_a_scope_that_is_missing_is_named(api: Served, house: House) -> None:
    tokens = await grant(house, scopes=frozenset({"account:read"}))
    assert (await ask(api, "GET", "/sessions", tokens.access.text))[0] == 200
    status, body, headers = await ask(api, "DELETE", "/sessions/others", tokens.access.text)
    assert (status, body["code"]) == (403, "insufficient_scope")
    assert 'scope="account:write"' in headers["WWW-Authenticate"]


async def test_a_ticket_is_short_and_its_own(api: Served, house: House) -> None:
    token = await house.sign_in()
    status, body, _ = await ask(api, "POST", "/sync/tickets", token)
    assert status == 201 and body["path"] == "/sync" and 0 < body["expires_in"] <= 20
    who = await house.tickets.spend(APP, body["ticket"], "sync")
    assert who.account == ALICE
