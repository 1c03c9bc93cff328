"""Bots: made and ended by administrators, tokens scoped, hashed, rotated, and never a browser's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from signaling.accounts.sessions.bots import MOST_TOKENS, SCOPES
from tests.signaling.accounts.rig import APP, Rig
from tests.signaling.accounts.served import Served, served

SOME = ["messages:read", "account:read"]


@pytest.fixture
async def api(rig: Rig) -> AsyncIterator[Served]:
    async with served(rig) as made:
        yield made


async def made(api: Served, owner: str, **wish: Any) -> tuple[str, Any]:
    """The bot's path and its first token's answer."""
    bot = await api.ask("POST", "/bots", {"name": "Weather"}, owner)
    assert bot.status == 201, bot.body
    path = f"/bots/{bot.body['id']}"
    token = await api.ask("POST", path + "/tokens", {"scopes": SOME, **wish}, owner)
    assert token.status == 201, token.body
    return path, token.body


async def whoami(api: Served, token: str, **headers: str) -> tuple[int, Any]:
    answer = await api.ask("GET", "/session", token=token, **headers)
    return answer.status, answer.body


async def test_a_bot_comes_in_by_its_token_with_its_scopes_only(api: Served) -> None:
    owner = await api.owner()
    path, token = await made(api, owner)
    assert token["token"].startswith("bot_") and len(token["token"]) == 80
    status, who = await whoami(api, token["token"])
    assert status == 200
    assert (who["kind"], who["roles"], who["scopes"]) == ("bot", ["bot"], sorted(SOME))
    assert who["account"] == path.rpartition("/")[2]
    # What needs another scope, a role, or a fresh proof of a person is not for it.
    for method, where, body, wanted in (
        ("PATCH", "/account", {"name": "x"}, 403),
        ("GET", "/accounts", None, 403),
        ("POST", "/bots", {"name": "x"}, 403),
        ("POST", "/account/totp", None, 403),
    ):
        assert (await api.ask(method, where, body, token["token"])).status == wanted, where


async def test_a_bots_token_is_kept_as_a_hash_and_shown_once(api: Served) -> None:
    owner = await api.owner()
    path, token = await made(api, owner, label="station")
    (listed,) = (await api.ask("GET", path + "/tokens", token=owner)).body["items"]
    assert (listed["label"], listed["scopes"]) == ("station", sorted(SOME))
    assert "token" not in listed or listed["token"] is None
    rows = await api.rig.store.meta.scan(APP, "session")
    assert rows and not [row for row in rows if token["token"].encode() in row.value]
    noted = repr(api.rig.audit.events)
    assert "createBotToken" in noted and token["token"] not in noted


@pytest.mark.parametrize(
    "header", [{"Origin": "http://localhost"}, {"Sec_Fetch_Site": "none"}, {"Origin": "null"}]
)
async def test_a_bots_token_is_refused_from_a_page(api: Served, header: dict[str, str]) -> None:
    owner = await api.owner()
    _, token = await made(api, owner)
    assert (await whoami(api, token["token"]))[0] == 200  # now it is believed for a second
    status, body = await whoami(api, token["token"], **header)
    assert (status, body["code"]) == (403, "origin_refused")


async def test_a_bots_token_is_no_cookie(api: Served) -> None:
    owner = await api.owner()
    _, token = await made(api, owner)
    answer = await api.ask("GET", "/session", Cookie=f"__Host-sotto={token['token']}")
    assert answer.status == 401


async def test_rotation_leaves_the_old_token_its_time(api: Served) -> None:
    owner = await api.owner()
    path, first = await made(api, owner)
    turn = f"{path}/tokens/{first['id']}/rotation"
    second = (await api.ask("POST", turn, {"overlap_seconds": 60}, owner)).body
    assert second["id"] == first["id"] and second["token"] != first["token"]
    assert second["expires_at"] == first["expires_at"]
    assert (await whoami(api, first["token"]))[0] == 200
    api.rig.clock.advance(61)
    assert (await whoami(api, first["token"]))[0] == 401
    assert (await whoami(api, second["token"]))[0] == 200
    third = (await api.ask("POST", turn, {}, owner)).body
    assert (await whoami(api, second["token"]))[0] == 401
    assert (await whoami(api, third["token"]))[0] == 200


async def test_revoking_disabling_and_deleting_end_it(api: Served) -> None:
    owner = await api.owner()
    path, token = await made(api, owner)
    other = (await api.ask("POST", path + "/tokens", {"scopes": SOME}, owner)).body
    gone = f"{path}/tokens/{token['id']}"
    assert (await api.ask("DELETE", gone, token=owner)).status == 204
    assert (await api.ask("DELETE", gone, token=owner)).status == 404
    assert (await whoami(api, token["token"]))[0] == 401
    assert (await whoami(api, other["token"]))[0] == 200
    account = "/accounts/" + path.rpartition("/")[2]
    assert (await api.ask("PATCH", account, {"disabled": True}, owner)).status == 200
    assert (await whoami(api, other["token"]))[0] == 401
    path, token = await made(api, owner)
    account = "/accounts/" + path.rpartition("/")[2]
    assert (await api.ask("DELETE", account, token=owner)).status == 204
    assert (await whoami(api, token["token"]))[0] == 401
    assert (await api.ask("GET", path, token=owner)).status == 404


async def test_a_bots_token_ends_when_it_was_said_to(api: Served) -> None:
    owner = await api.owner()
    _, token = await made(api, owner, seconds=60)
    api.rig.clock.advance(59)
    assert (await whoami(api, token["token"]))[0] == 200
    api.rig.clock.advance(2)
    assert (await whoami(api, token["token"]))[0] == 401


async def test_bad_wishes_are_refused(api: Served) -> None:
    owner = await api.owner()
    path, _ = await made(api, owner)
    for scope in ("admin", "account:write", "access:manage", "audit:read", "nonsense", ""):
        answer = await api.ask("POST", path + "/tokens", {"scopes": [scope]}, owner)
        assert (answer.status, answer.body["code"]) == (422, "fields_invalid"), scope
    wishes: tuple[dict[str, Any], ...] = (
        {}, {"scopes": []}, {"scopes": SOME, "seconds": 59}, {"scopes": SOME, "seconds": 10**9},
        {"scopes": SOME, "more": 1}, {"scopes": "messages:read"},
        {"scopes": SOME, "label": "x" * 65},
    )  # fmt: skip
    for body in wishes:
        assert (await api.ask("POST", path + "/tokens", body, owner)).status == 422, body
    for name in ("", "x" * 65, "a\nb"):
        assert (await api.ask("POST", "/bots", {"name": name}, owner)).status == 422, name
    for _ in range(MOST_TOKENS - 1):
        await api.ask("POST", path + "/tokens", {"scopes": SOME}, owner)
    assert (await api.ask("POST", path + "/tokens", {"scopes": SOME}, owner)).status == 409


async def test_a_person_is_no_bot_and_a_bot_gets_no_other_role(api: Served) -> None:
    owner = await api.owner()
    eve = await api.member(owner, "eve")
    assert (await api.ask("GET", "/bots", token=eve)).status == 403
    _, who = await whoami(api, eve)
    for method, path in (("GET", ""), ("GET", "/tokens"), ("POST", "/tokens")):
        where = f"/bots/{who['account']}{path}"
        body = {"scopes": SOME} if method == "POST" else None
        assert (await api.ask(method, where, body, owner)).status == 404
    path, _ = await made(api, owner)
    account = "/accounts/" + path.rpartition("/")[2]
    answer = await api.ask("PATCH", account, {"roles": ["administrator"]}, owner)
    assert answer.status == 409
    assert [one["name"] for one in (await api.ask("GET", "/bots", token=owner)).body["items"]] == [
        "Weather"
    ]


async def test_no_bots_scope_administers() -> None:
    assert not SCOPES & {"admin", "account:write", "access:manage", "audit:read"}
