"""Which requests are somebody's: headers, cookies, other sites, other apps, tokens in URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from signaling.accounts.principal import (
    InsufficientScope,
    Principal,
    Role,
    Via,
    require_recent,
    require_role,
    require_scope,
)
from signaling.accounts.sessions.authenticate import RequestAuthenticator
from signaling.accounts.sessions.cookies import COOKIE, cookie_of, origin_of, session_cookie
from signaling.accounts.sessions.tokens import Prefix
from signaling.errors import Code, Refused
from tests.signaling.sessions.house import ALICE, APP, House
from tests.signaling.sessions.test_sessions import grant

OWN = "https://meet.example.org"


def authenticator(house: House, app: str = APP) -> RequestAuthenticator:
    made = RequestAuthenticator(house.service, lambda r: app, lambda r: frozenset({OWN}))
    house.revocations.listen(made.forget)
    return made


def request(method: str = "GET", path: str = "/api/v1/session", **headers: str) -> web.Request:
    fields = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return make_mocked_request(method, path, headers=fields)


async def ask(auth: RequestAuthenticator, made: web.Request) -> Principal:
    return await auth.authenticate(made)


async def refusal(auth: RequestAuthenticator, made: web.Request) -> tuple[int, Code]:
    with pytest.raises(Refused) as caught:
        await auth.authenticate(made)
    return caught.value.status, caught.value.code


INVALID = (401, Code.TOKEN_INVALID)


async def test_c4_a_request_without_a_token_is_nobodys(house: House) -> None:
    who = await ask(authenticator(house), request())
    assert not who.known
    with pytest.raises(Refused) as caught:
        require_scope(who, "account:read")
    assert caught.value.status == 401


async def test_a_bearer_token_says_who(house: House) -> None:
    auth, token = authenticator(house), await house.sign_in()
    for scheme in ("Bearer", "bearer", "BEARER"):
        who = await ask(auth, request(Authorization=f"{scheme} {token}"))
        assert (who.account, who.via) == (ALICE, Via.BEARER)


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Basic dTpw", "Bearer x", "cs_abc", "Bearer cs_" + "A" * 76, "Token x"],
)
async def test_c4_a_credential_that_does_not_hold_is_refused(house: House, value: str) -> None:
    assert await refusal(authenticator(house), request(Authorization=value)) == INVALID


async def test_two_authorization_fields_are_refused(house: House) -> None:
    token = await house.sign_in()
    fields = CIMultiDict([("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")])
    made = make_mocked_request("GET", "/", headers=fields)
    assert await refusal(authenticator(house), made) == INVALID


@pytest.mark.parametrize("name", ["access_token", "token", "bearer"])
async def test_c5_a_token_in_the_url_is_refused_even_beside_a_good_one(
    house: House, name: str
) -> None:
    token = await house.sign_in()
    made = request(path=f"/api/v1/session?{name}={token}", Authorization=f"Bearer {token}")
    assert await refusal(authenticator(house), made) == INVALID


async def test_c5_the_token_of_one_app_is_refused_in_another(house: House) -> None:
    token = await house.sign_in()
    made = request(Authorization=f"Bearer {token}")
    assert await refusal(authenticator(house, "another"), made) == INVALID


async def test_the_cache_never_outlives_a_revocation(house: House) -> None:
    auth, token = authenticator(house), await house.sign_in()
    who = await ask(auth, request(Authorization=f"Bearer {token}"))
    assert who.session is not None
    await house.service.end_session(APP, who.session)
    assert await refusal(auth, request(Authorization=f"Bearer {token}")) == INVALID


async def test_an_end_that_nobody_told_of_counts_after_a_second(house: House) -> None:
    auth, token = authenticator(house), await house.sign_in()
    made = request(Authorization=f"Bearer {token}")
    who = await ask(auth, made)
    assert who.session is not None
    await house.service.rows.delete(APP, who.session)
    assert (await ask(auth, made)).session == who.session
    house.clock.advance(1.0)
    assert await refusal(auth, made) == INVALID


async def test_the_cache_does_not_outlive_the_token(house: House) -> None:
    tokens = await grant(house)
    auth, made = authenticator(house), request(Authorization=f"Bearer {tokens.access.text}")
    house.clock.advance(3599.5)
    await ask(auth, made)
    house.clock.advance(0.6)
    assert (await refusal(auth, made))[0] == 401


async def test_a_refresh_token_is_no_bearer_token(house: House) -> None:
    tokens = await grant(house)
    assert tokens.refresh is not None
    made = request(Authorization=f"Bearer {tokens.refresh.text}")
    assert await refusal(authenticator(house), made) == INVALID


async def test_a_token_bound_to_a_key_is_nothing_as_a_bearer_token(house: House) -> None:
    tokens = await grant(house, thumbprint="of a key")
    for scheme in ("Bearer", "DPoP"):
        made = request(Authorization=f"{scheme} {tokens.access.text}")
        assert await refusal(authenticator(house), made) == INVALID
    plain = await house.sign_in()
    assert await refusal(authenticator(house), request(Authorization=f"DPoP {plain}")) == INVALID


async def test_other_kinds_of_token_are_looked_at_by_their_own_plane(house: House) -> None:
    auth = authenticator(house)

    async def access_manager(made: web.Request, app: str, text: str) -> Principal:
        return Principal(app=app, account=text)

    auth.others[Prefix.ACCESS_MANAGER] = access_manager
    assert (await ask(auth, request(Authorization="Bearer am_x"))).account == "am_x"


# Cookies

CROSS: list[Mapping[str, str]] = [
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "none"},
    {"Sec_Fetch_Site": "cross-site", "Origin": OWN},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": OWN + ".evil.example"},
    {"Origin": "http://meet.example.org"},
    {"Origin": OWN + ":8443"},
    {},
]


@pytest.mark.parametrize("headers", CROSS, ids=str)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "PUT"])
async def test_3_5_1_a_cookie_from_another_site_changes_nothing(
    house: House, method: str, headers: Mapping[str, str]
) -> None:
    cookie = f"{COOKIE}={await house.sign_in()}"
    made = request(method, Cookie=cookie, **headers)
    assert await refusal(authenticator(house), made) == (403, Code.ORIGIN_REFUSED)


@pytest.mark.parametrize(
    "headers",
    [{"Sec_Fetch_Site": "same-origin"}, {"Origin": OWN}, {"Origin": OWN + ":443"}],
    ids=str,
)
async def test_a_cookie_from_our_own_page_counts(house: House, headers: dict[str, str]) -> None:
    cookie = f"a=b; {COOKIE}={await house.sign_in()}; c"
    who = await ask(authenticator(house), request("POST", Cookie=cookie, **headers))
    assert (who.account, who.via) == (ALICE, Via.COOKIE)


async def test_reading_with_a_cookie_needs_no_proof_of_site(house: House) -> None:
    cookie = f"{COOKIE}={await house.sign_in()}"
    assert (await ask(authenticator(house), request(Cookie=cookie))).known


async def test_a_bearer_token_needs_no_proof_of_site(house: House) -> None:
    token = await house.sign_in()
    made = request("POST", Authorization=f"Bearer {token}", Sec_Fetch_Site="cross-site")
    assert (await ask(authenticator(house), made)).known


async def test_a_header_wins_over_a_cookie_and_a_bad_one_is_not_saved_by_it(house: House) -> None:
    cookie = f"{COOKIE}={await house.sign_in()}"
    made = request(Cookie=cookie, Authorization="Bearer x")
    assert await refusal(authenticator(house), made) == INVALID


async def test_a_session_cookie_that_comes_twice_is_refused(house: House) -> None:
    token = await house.sign_in()
    made = request(Cookie=f"{COOKIE}={token}; {COOKIE}={token}")
    assert await refusal(authenticator(house), made) == INVALID


def test_3_3_1_the_cookie_is_bound_to_host_tls_and_http() -> None:
    name, value = session_cookie("cs_x", 60.9)
    assert name == "Set-Cookie"
    assert value == "__Host-sotto=cs_x; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax"
    assert cookie_of([value]) == "cs_x"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example/x?y", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:8080", "http://a.example:8080"),
        ("https://[2001:db8::1]:7443/", "https://[2001:db8::1]:7443"),
        ("null", ""),
        ("https://", ""),
        ("https://a.example:port", ""),
        ("https://[bad", ""),
        ("", ""),
    ],
)
def test_origins_are_compared_in_one_form(url: str, origin: str) -> None:
    assert origin_of(url) == origin


# What a principal may


async def test_c6_a_token_without_the_scope_is_told_which(house: House) -> None:
    tokens = await grant(house, scopes=frozenset({"messages:read"}))
    who = await ask(authenticator(house), request(Authorization=f"Bearer {tokens.access.text}"))
    require_scope(who, "messages:read")
    with pytest.raises(InsufficientScope) as caught:
        require_scope(who, "messages:write")
    error: Any = caught.value
    assert (error.status, error.code) == (403, Code.INSUFFICIENT_SCOPE)
    assert 'scope="messages:write"' in error.headers["WWW-Authenticate"]


async def test_roles_and_recent_proof_are_asked_for(house: House) -> None:
    who = await ask(authenticator(house), request(Authorization=f"Bearer {await house.sign_in()}"))
    require_role(who, Role.MEMBER, Role.OWNER)
    require_recent(who, house.clock.unix() + 300, 300)
    with pytest.raises(Refused, match="role"):
        require_role(who, Role.OWNER)
    with pytest.raises(Refused, match="again"):
        require_recent(who, house.clock.unix() + 301, 300)
