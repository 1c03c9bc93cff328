"""Rows C4, C5, C6: the token of a session: what it is, how it ends, and what it may."""

from __future__ import annotations

import asyncio
import base64
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from signaling.http.api.operation import Auth
from signaling.http.api.role_table import operations_of
from tests.rows.house import House, Visit, closed, visiting
from tests.rows.oauth import Program
from tests.signaling.http.test_roles import NOBODY, ROUTE_PARAMETER, UPGRADE

# Open to everybody; or the Access Manager's plane, where a refusal is 403.
OTHERWISE = {Auth.NONE, Auth.OPTIONAL, Auth.SIGNED, Auth.MANAGED, Auth.ACCESS}


async def status(there: Visit, token: str) -> int:
    return (await there.ask("GET", "/session", token=token)).status


async def test_c04_each_call_without_a_token_is_401(there: Visit) -> None:
    """Every operation of the specification that is not for everybody, and forged tokens too. The
    Access Manager's own plane answers 403 instead: row B23.
    """
    document = (await there.send("GET", "/api/openapi.json")).body
    forged = ("", "rubbish", "cs_" + "A" * 76)
    asked = 0
    for method, path, operation in operations_of(document):
        if Auth(operation["x-sotto-access"]["auth"]) in OTHERWISE:
            continue
        url = ROUTE_PARAMETER.sub(NOBODY, path)
        for token in forged:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            headers |= UPGRADE if path == "/sync" else {}
            answer = await there.send(method, url, headers=headers)
            assert answer.status == 401, (method, path, token, answer.text)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            asked += 1
    assert asked >= 700


async def test_c04_two_logins_give_two_tokens_of_128_random_bits(there: Visit) -> None:
    first, login = await there.joined()
    tokens = [first, *[await there.sign_in(login) for _ in range(4)]]
    assert len(set(tokens)) == 5
    parts = [base64.urlsafe_b64decode(t.removeprefix("cs_") + "==") for t in tokens]
    assert {token[:3] for token in tokens} == {"cs_"}
    # Kind and application are no secret; 16 bytes and more differ in each pair.
    for one in range(5):
        for other in range(one):
            pairs = zip(parts[one], parts[other], strict=True)
            assert sum(a != b for a, b in pairs) >= 16
    assert entropy(b"".join(parts)) > 6
    assert all([await status(there, token) == 200 for token in tokens])


def entropy(data: bytes) -> float:
    """Shannon's, in bits a byte."""
    counted = Counter(data)
    return -sum(n / len(data) * math.log2(n / len(data)) for n in counted.values())


async def test_c04_forged_truncated_and_foreign_tokens_are_401(there: Visit, later: House) -> None:
    token, _ = await there.joined()
    async with visiting(later) as elsewhere:
        foreign, _ = await elsewhere.joined()
        assert await status(elsewhere, foreign) == 200
        assert await status(elsewhere, token) == 401
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    for bad in (
        token[:-1], token[:-10], token + "A", token[:middle] + other + token[middle + 1 :],
        token[:-1] + ("A" if token[-1] != "A" else "Q"), "cr_" + token[3:], foreign, token.upper(),
    ):  # fmt: skip
        answer = await there.ask("GET", "/session", token=bad)
        assert (answer.status, answer.code) == (401, "token_invalid"), bad
    assert await status(there, token) == 200


async def test_c04_the_code_grant_asks_for_pkce_and_a_code_counts_once(there: Visit) -> None:
    cookie, _ = await there.joined()
    program = await Program.registered(there, "An app")
    for changes in ({"code_challenge": None}, {"code_challenge_method": "plain"}):
        code, error = await program.code(cookie, **changes)
        assert (code, error) == ("", "invalid_request")
    assert (await program.code(cookie, response_type="token"))[1] == "unsupported_response_type"
    code, _ = await program.code(cookie)
    wrong = await program.exchange(code, code_verifier="w" * 43)
    assert (wrong.status, wrong.body["error"]) == (400, "invalid_grant")
    code, _ = await program.code(cookie)
    good = await program.exchange(code)
    assert good.status == 200
    assert await status(there, good.body["access_token"]) == 200
    again = await program.exchange(code)
    assert (again.status, again.body["error"]) == (400, "invalid_grant")
    assert await status(there, good.body["access_token"]) == 401


async def test_c04_a_reused_refresh_token_ends_its_family(there: Visit) -> None:
    cookie, _ = await there.joined()
    program, other = [await Program.registered(there, name) for name in ("One", "Two")]
    tokens = await program.tokens(cookie)
    assert (await other.refresh(tokens["refresh_token"])).body["error"] == "invalid_grant"
    second = await program.refresh(tokens["refresh_token"])
    assert second.status == 200
    assert second.body["refresh_token"] != tokens["refresh_token"]
    assert await status(there, second.body["access_token"]) == 200
    assert (await program.refresh(tokens["refresh_token"])).body["error"] == "invalid_grant"
    assert await status(there, second.body["access_token"]) == 401
    assert (await program.refresh(second.body["refresh_token"])).body["error"] == "invalid_grant"


async def test_c04_of_a_hundred_that_refresh_with_one_token_one_wins(there: Visit) -> None:
    """Then the family is over, the winner's tokens with it: one of them was a thief."""
    cookie, _ = await there.joined()
    program = await Program.registered(there, "An app")
    tokens = await program.tokens(cookie)
    spent = tokens["refresh_token"]
    answers = await asyncio.gather(*(program.refresh(spent) for _ in range(100)))
    won = [answer.body for answer in answers if answer.status == 200]
    assert len(won) == 1
    refusals = [answer for answer in answers if answer.status != 200]
    assert {(one.status, one.body["error"]) for one in refusals} == {(400, "invalid_grant")}
    for found in (tokens, *won):
        assert await status(there, found["access_token"]) == 401
        assert (await program.refresh(found["refresh_token"])).body["error"] == "invalid_grant"
    assert await status(there, cookie) == 200


async def test_c04_servers_have_credentials_and_nobody_a_password_grant(there: Visit) -> None:
    server = await Program.registered(
        there, "A server", confidential=True, grants=["client_credentials"], redirect_uris=[]
    )
    made = await server.post("/oauth/token", grant_type="client_credentials")
    assert made.status == 200 and "refresh_token" not in made.body
    assert await status(there, made.body["access_token"]) == 200
    for grant in ("password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        answer = await server.post(
            "/oauth/token", grant_type=grant, username="root.ana", password="x"
        )
        assert (answer.status, answer.body["error"]) == (400, "unsupported_grant_type")
    wrong = server.secret[:-1] + ("A" if server.secret[-1] != "A" else "B")
    bad = await Program(there, server.id, wrong).post(
        "/oauth/token", grant_type="client_credentials"
    )
    assert (bad.status, bad.body["error"]) == (401, "invalid_client")


async def test_c04_introspection_and_revocation(there: Visit) -> None:
    cookie, _ = await there.joined()
    program = await Program.registered(there, "A server", confidential=True)
    other = await Program.registered(there, "Another", confidential=True)
    tokens = await program.tokens(cookie)
    token = tokens["access_token"]
    shown = await program.post("/oauth/introspect", token=token)
    assert (shown.body["active"], shown.body["client_id"]) == (True, program.id)
    for asker, text in ((other, token), (program, "rubbish"), (program, token[:-1])):
        answer = await asker.post("/oauth/introspect", token=text)
        assert (answer.status, answer.body) == (200, {"active": False})
    nobody = await there.send(
        "POST", "/oauth/introspect", data=f"token={token}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert nobody.status == 401
    assert (await other.post("/oauth/revoke", token=tokens["refresh_token"])).status == 200
    assert await status(there, token) == 200
    assert (await program.post("/oauth/revoke", token=token)).status == 200
    assert await status(there, token) == 401
    assert (await program.post("/oauth/revoke", token="rubbish")).status == 200


async def test_c05_two_idle_hours_end_a_session_and_use_prolongs_it(later: House) -> None:
    async with visiting(later) as there:
        used, login = await there.joined()
        idle = await there.sign_in(login)
        for _ in range(3):
            later.move_on(3600)
            assert await status(there, used) == 200
        answer = await there.ask("GET", "/session", token=idle)
        assert (answer.status, answer.code) == (401, "token_expired")
        later.move_on(7201)
        assert await status(there, used) == 401


async def test_c05_a_session_has_an_absolute_end(housed: Callable[..., House]) -> None:
    house = housed({"sessions.absolute_seconds": "10800"}, clock=True)
    async with visiting(house) as there:
        token, _ = await there.joined()
        for _ in range(3):
            house.move_on(3500)
            assert await status(there, token) == 200
        house.move_on(400)
        assert await status(there, token) == 401


async def test_c05_a_guest_lives_a_day_and_is_then_removed(housed: Callable[..., House]) -> None:
    house = housed(clock=True)
    async with visiting(house) as there:
        guest = await there.guest()
        who = (await there.ask("GET", "/session", token=guest)).body
        assert who["roles"] == ["guest"]
        for _ in range(13):
            house.move_on(6500)
            assert await status(there, guest) == 200
        house.move_on(86400 - 13 * 6500 + 60)
        assert await status(there, guest) == 401
        # It looks after them each minute, and first when it starts.
        house.stop()
        house.start()
        path = f"/accounts/{who['account']}"
        async with asyncio.timeout(60):
            while (await there.ask("GET", path, token=await there.owner())).status != 404:
                await asyncio.sleep(0.1)


async def test_c05_signing_out_is_at_once_over_http_and_on_the_socket(there: Visit) -> None:
    token, login = await there.joined()
    others = [await there.sign_in(login) for _ in range(2)]
    async with there.socket(token) as socket, there.socket(others[0]) as other:
        assert (await there.ask("DELETE", "/session", token=token)).status == 204
        assert await status(there, token) == 401
        assert await closed(socket) is not None
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with there.socket(token):
                pass
        assert refused.value.status == 401
        assert (await there.ask("DELETE", "/sessions/others", token=others[1])).status in (200, 204)
        assert await status(there, others[0]) == 401
        assert await closed(other) is not None
    assert await status(there, others[1]) == 200


async def test_c05_no_token_in_a_url(there: Visit) -> None:
    token, _ = await there.joined()
    for name in ("access_token", "token", "bearer_token"):
        for header in ("", token):
            answer = await there.ask("GET", f"/session?{name}={token}", token=header)
            assert 400 <= answer.status < 500, (name, answer.text)
    assert token not in there.house.written()


async def narrow(there: Visit, *scopes: str) -> str:
    """An access token with these scopes only."""
    cookie, _ = await there.joined("administrator")
    program = await Program.registered(there, "Narrow", scopes=["account:read", *scopes])
    tokens = await program.tokens(cookie, scope=" ".join(scopes or ("account:read",)))
    return str(tokens["access_token"])


WRITES: list[tuple[str, str, Any]] = [
    ("PATCH", "/account", {"name": "x"}),
    ("DELETE", "/sessions/others", None),
    ("POST", "/calls/tokens", {"room": "r"}),
    ("GET", "/accounts", None),
    ("GET", "/access/key-sets", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda value: str(value)[:30])
async def test_c06_a_scope_that_is_missing_is_403(
    there: Visit, method: str, path: str, body: Any
) -> None:
    token = await narrow(there)
    assert (await there.ask("GET", "/account", token=token)).status == 200
    answer = await there.ask(method, path, body, token)
    assert (answer.status, answer.code) == (403, "insufficient_scope"), answer.text
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert "scope=" in answer.headers["WWW-Authenticate"]


async def test_c06_an_unknown_scope_is_400_invalid_scope(there: Visit) -> None:
    cookie, _ = await there.joined()
    program = await Program.registered(there, "An app")
    for scope in ("nothing", "admin", "messages:read nothing"):
        assert (await program.code(cookie, scope=scope))[1] == "invalid_scope"
    server = await Program.registered(
        there, "A server", confidential=True, grants=["client_credentials"], redirect_uris=[]
    )
    for scope in ("nothing", "admin", "a" * 9000):
        answer = await server.post("/oauth/token", grant_type="client_credentials", scope=scope)
        assert (answer.status, answer.body["error"]) == (400, "invalid_scope")
