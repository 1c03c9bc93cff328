"""Row C4 and ASVS V10: the authorization code grant with PKCE, and every wrong step of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts.oauth import pkce, redirects
from signaling.accounts.oauth.clients import GrantType
from signaling.accounts.signin import AccountView
from tests.signaling.oauth.conftest import BACK, VERIFIER, Auth, answer_of
from tests.signaling.sessions.house import ALICE, APP


async def test_a_person_consents_and_the_app_acts_with_the_scopes_granted(auth: Auth) -> None:
    app = await auth.add("An app")
    cookie = await auth.house.sign_in()
    status, _, page = await auth.visit(auth.query(app), cookie)
    assert status == 200 and "An app" in page and "Read messages in your rooms" in page
    assert "https://app.example" in page
    status, location = await auth.decide(page, cookie)
    answer = answer_of(location)
    assert status == 303 and answer["state"] == "s&t=1"
    status, tokens = await auth.exchange(app, answer["code"])
    assert (status, tokens["token_type"], tokens["scope"]) == (200, "Bearer", "messages:read")
    assert tokens["access_token"].startswith("cs_") and tokens["refresh_token"].startswith("cr_")
    status, who = await auth.session(tokens["access_token"])
    assert (who["account"], who["client"], who["scopes"]) == (ALICE, app, ["messages:read"])


async def test_consent_is_asked_once_and_again_for_more(auth: Auth) -> None:
    app, cookie = await auth.add("An app"), await auth.house.sign_in()
    await auth.code(app)
    assert (await auth.visit(auth.query(app), cookie))[0] == 303
    more = auth.query(app, scope="messages:read messages:write")
    assert (await auth.visit(more, cookie))[0] == 200


async def test_the_operators_own_client_asks_for_no_consent(auth: Auth) -> None:
    app = await auth.add("Ours", trusted=True)
    status, location, _ = await auth.visit(auth.query(app), await auth.house.sign_in())
    assert status == 303 and answer_of(location)["code"].startswith("cc_")


@pytest.mark.parametrize("back", ["http://127.0.0.1:4711/back", "com.example.app:/back"])
@pytest.mark.parametrize("trusted", [False, True])
async def test_10_7_1_an_app_that_others_could_pose_as_asks_every_time(
    auth: Auth, back: str, trusted: bool
) -> None:
    uris = (back, BACK)
    app = await auth.add("An app", redirect_uris=uris, trusted=trusted)
    secret = await auth.add("A server", redirect_uris=uris, trusted=trusted, secret=True)
    cookie = await auth.house.sign_in()
    for client in (app, secret):
        _, _, page = await auth.visit(auth.query(client, redirect_uri=back), cookie)
        if page:
            assert (await auth.decide(page, cookie))[0] == 303
    assert (await auth.visit(auth.query(app, redirect_uri=back), cookie))[0] == 200
    assert (await auth.visit(auth.query(app), cookie))[0] == 303
    assert (await auth.visit(auth.query(secret, redirect_uri=back), cookie))[0] == 303


async def test_a_refusal_goes_back_to_the_app(auth: Auth) -> None:
    app, cookie = await auth.add("An app"), await auth.house.sign_in()
    _, _, page = await auth.visit(auth.query(app), cookie)
    _, location = await auth.decide(page, cookie, "deny")
    assert answer_of(location)["error"] == "access_denied"


async def test_whose_session_is_over_signs_in_again(auth: Auth) -> None:
    """The cookie outlives a session that was ended elsewhere, and no script can take it away."""
    app, cookie = await auth.add("An app"), await auth.house.sign_in()
    _, _, page = await auth.visit(auth.query(app), cookie)
    await auth.house.service.end_all(APP, ALICE)
    status, location, _ = await auth.visit(auth.query(app), cookie)
    assert status == 303 and location.startswith("/sign-in?next=%2Foauth%2Fauthorize%3F")
    status, location = await auth.decide(page, cookie)
    assert status == 303 and location == "/sign-in?next=%2Foauth%2Fauthorize"


async def test_who_is_not_signed_in_signs_in_first(auth: Auth) -> None:
    app = await auth.add("An app")
    status, location, _ = await auth.visit(auth.query(app))
    assert status == 303 and location.startswith("/sign-in?next=%2Foauth%2Fauthorize%3F")


@pytest.mark.parametrize(
    "headers",
    [{"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
     {"Sec_Fetch_Site": "none"}],
    ids=str,
)  # fmt: skip
async def test_3_5_1_another_site_cannot_press_the_button(
    auth: Auth, headers: dict[str, str]
) -> None:
    app, cookie = await auth.add("An app"), await auth.house.sign_in()
    _, _, page = await auth.visit(auth.query(app), cookie)
    status, location = await auth.decide(page, cookie, **headers)
    assert (status, location) == (403, "")


async def test_names_of_clients_are_escaped(auth: Auth) -> None:
    app = await auth.add("<script>alert(1)</script>")
    _, _, page = await auth.visit(auth.query(app), await auth.house.sign_in())
    assert "<script" not in page and "&lt;script&gt;" in page


SHOWN: list[dict[str, str | None]] = [
    {"client_id": "nobody"},
    {"client_id": None},
    {"redirect_uri": None},
    {"redirect_uri": "https://app.example/back"},
    {"redirect_uri": BACK + "&x=1"},
    {"redirect_uri": BACK.upper()},
    {"redirect_uri": "https://app.example.evil.example/back?keep=1"},
    {"redirect_uri": "https://app.example@evil.example/back?keep=1"},
    {"redirect_uri": "https://app.example/back/../back?keep=1"},
    {"redirect_uri": "javascript:alert(1)"},
]


@pytest.mark.parametrize("changes", SHOWN, ids=str)
async def test_10_4_1_a_wrong_client_or_redirect_is_shown_and_never_followed(
    auth: Auth, changes: dict[str, str | None]
) -> None:
    app = await auth.add("An app")
    query = auth.query(app, **changes)
    for cookie in ("", await auth.house.sign_in()):
        status, location, page = await auth.visit(query, cookie)
        assert (status, location) == (400, "") and "evil" not in page


TOLD: list[tuple[dict[str, str | None], str]] = [
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"scope": "messages:read admin"}, "invalid_scope"),
    ({"scope": "everything"}, "invalid_scope"),
    ({"scope": "messages:read  messages:write"}, "invalid_scope"),
    ({"scope": "é"}, "invalid_scope"),
]


@pytest.mark.parametrize(("changes", "error"), TOLD, ids=str)
async def test_c6_10_4_4_a_wrong_request_is_told_to_the_app(
    auth: Auth, changes: dict[str, str | None], error: str
) -> None:
    app = await auth.add("An app")
    status, location, _ = await auth.visit(auth.query(app, **changes), await auth.house.sign_in())
    answer = answer_of(location)
    assert (status, answer["error"], answer["state"]) == (303, error, "s&t=1")
    assert "code" not in answer


async def test_a_parameter_that_comes_twice_is_refused(auth: Auth) -> None:
    app = await auth.add("An app")
    status, location, _ = await auth.visit(
        auth.query(app) + "&client_id=x", await auth.house.sign_in()
    )
    assert (status, location) == (400, "")


# The code


async def test_10_4_2_a_code_works_once_and_a_second_use_ends_what_the_first_opened(
    auth: Auth,
) -> None:
    app = await auth.add("An app")
    code = await auth.code(app)
    _, tokens = await auth.exchange(app, code)
    status, body = await auth.exchange(app, code)
    assert (status, body["error"]) == (400, "invalid_grant")
    assert (await auth.session(tokens["access_token"]))[0] == 401
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await auth.post("/oauth/token", app, **form))[0] == 400


async def test_of_many_who_use_one_code_nobody_keeps_a_token(auth: Auth) -> None:
    app = await auth.add("An app")
    code = await auth.code(app)
    answers = await asyncio.gather(*(auth.exchange(app, code) for _ in range(10)))
    good = [body for status, body in answers if status == 200]
    assert len(good) <= 1
    for body in good:
        assert (await auth.session(body["access_token"]))[0] == 401


async def test_10_4_3_a_code_lives_a_minute(auth: Auth) -> None:
    app = await auth.add("An app")
    first, late = await auth.code(app), await auth.code(app)
    auth.house.clock.advance(59)
    assert (await auth.exchange(app, first))[0] == 200
    auth.house.clock.advance(2)
    status, body = await auth.exchange(app, late)
    assert (status, body["error"]) == (400, "invalid_grant")


WRONG: list[tuple[dict[str, str], str]] = [
    ({"code_verifier": "w" * 43}, "invalid_grant"),
    ({"code_verifier": VERIFIER + "v"}, "invalid_grant"),
    ({"code_verifier": ""}, "invalid_request"),
    ({"redirect_uri": ""}, "invalid_grant"),
    ({"redirect_uri": BACK + "#"}, "invalid_grant"),
    ({"code": "cc_" + "A" * 76}, "invalid_grant"),
    ({"code": "rubbish"}, "invalid_grant"),
    ({"code": ""}, "invalid_request"),
    ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
    ({"grant_type": "implicit"}, "unsupported_grant_type"),
    ({"grant_type": ""}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "error"), WRONG, ids=str)
async def test_c4_a_wrong_exchange_opens_nothing(
    auth: Auth, changes: dict[str, str], error: str
) -> None:
    app = await auth.add("An app")
    status, body = await auth.exchange(app, await auth.code(app), **changes)
    assert (status, body["error"]) == (400, error) and "access_token" not in body


async def test_a_code_is_bound_to_its_client(auth: Auth) -> None:
    mine, other = await auth.add("Mine"), await auth.add("Other")
    code = await auth.code(mine)
    assert (await auth.exchange(other, code))[1]["error"] == "invalid_grant"
    assert (await auth.exchange(mine, code))[0] == 200


async def test_a_client_without_the_grant_cannot_use_it(auth: Auth) -> None:
    app = await auth.add("An app", GrantType.CODE)
    tokens = await auth.tokens(app)
    assert "refresh_token" not in tokens
    body = (await auth.post("/oauth/token", app, grant_type="client_credentials"))[1]
    assert body["error"] == "unauthorized_client"


async def test_a_disabled_account_gets_no_token(auth: Auth) -> None:
    app = await auth.add("An app")
    code = await auth.code(app)
    auth.house.accounts.change(ALICE, disabled=True, roles=frozenset())
    assert (await auth.exchange(app, code))[1]["error"] == "invalid_grant"


async def test_a_guest_grants_nothing(auth: Auth) -> None:
    views: dict[str, AccountView] = auth.house.accounts.views
    assert ALICE in views
    from signaling.accounts.principal import Kind, Role
    from tests.signaling.sessions.house import account

    views["guest"] = account("guest", Role.GUEST, kind=Kind.GUEST)
    app, cookie = await auth.add("An app"), await auth.house.sign_in("guest", Kind.GUEST)
    status, location, _ = await auth.visit(auth.query(app), cookie)
    assert status == 303 and location.startswith("/sign-in")


# Refreshing


async def refresh(auth: Auth, app: str, token: str, **more: str) -> tuple[int, Any]:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await auth.post("/oauth/token", app, **{**form, **more})


async def test_c4_a_reused_refresh_token_revokes_the_family(auth: Auth) -> None:
    app = await auth.add("An app")
    first = await auth.tokens(app)
    status, second = await refresh(auth, app, first["refresh_token"])
    assert status == 200 and second["refresh_token"] != first["refresh_token"]
    assert (await refresh(auth, app, first["refresh_token"]))[1]["error"] == "invalid_grant"
    assert (await refresh(auth, app, second["refresh_token"]))[1]["error"] == "invalid_grant"
    for tokens in (first, second):
        assert (await auth.session(tokens["access_token"]))[0] == 401


async def test_c6_refreshing_may_narrow_and_never_widen(auth: Auth) -> None:
    app = await auth.add("An app")
    tokens = await auth.tokens(app, scope="messages:read messages:write")
    _, narrow = await refresh(auth, app, tokens["refresh_token"], scope="messages:read")
    assert narrow["scope"] == "messages:read"
    assert (await auth.session(narrow["access_token"]))[1]["scopes"] == ["messages:read"]
    status, body = await refresh(auth, app, narrow["refresh_token"], scope="account:read")
    assert (status, body["error"]) == (400, "invalid_scope")
    _, wide = await refresh(auth, app, narrow["refresh_token"])
    assert wide["scope"] == "messages:read messages:write"


async def test_a_client_that_was_switched_off_refreshes_nothing(auth: Auth) -> None:
    import msgspec

    app = await auth.add("An app")
    tokens = await auth.tokens(app)
    await auth.server.clients.rows.change(
        APP, app, lambda client: msgspec.structs.replace(client, disabled=True)
    )
    assert (await refresh(auth, app, tokens["refresh_token"]))[0] == 401


# Pure parts


def test_pkce_answers_the_example_of_the_rfc() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
    assert pkce.fits(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")


@given(st.text(max_size=150), st.text(max_size=60))
def test_no_other_verifier_fits(verifier: str, expected: str) -> None:
    assert not pkce.fits(verifier, expected)


@pytest.mark.parametrize(
    "uri",
    ["http://app.example/x", "https://", "//app.example/x", "https://a/#x", "https://u:p@a/",
     "javascript:alert(1)", "data:text/html,x", "myapp:/x", "https://a/ b", "https://a\\b",
     "https://[bad/", "https://a:port/", "x" * 2000, "", "ftp://a.b/x", "http://localhost/x"],
)  # fmt: skip
def test_what_may_not_be_registered_as_a_redirect(uri: str) -> None:
    assert redirects.problem(uri)


@pytest.mark.parametrize(
    "uri",
    ["https://app.example/x?y=1", "http://127.0.0.1/x", "http://[::1]:8080/", "com.example.app:/x"],
)
def test_what_may_be_registered_as_a_redirect(uri: str) -> None:
    assert not redirects.problem(uri)


@pytest.mark.parametrize(
    ("asked", "known", "same"),
    [
        ("http://127.0.0.1:5123/cb", "http://127.0.0.1/cb", True),
        ("http://[::1]:5123/cb", "http://[::1]:1/cb", True),
        ("http://127.0.0.1:5123/other", "http://127.0.0.1/cb", False),
        ("http://127.0.0.1:5123/cb?x", "http://127.0.0.1/cb", False),
        ("http://localhost:5123/cb", "http://127.0.0.1/cb", False),
        ("http://u@127.0.0.1:5123/cb", "http://127.0.0.1/cb", False),
        ("https://app.example:8443/cb", "https://app.example/cb", False),
        ("com.example.app:/x", "com.example.app:/x", True),
    ],
)
def test_only_the_port_of_a_loopback_address_may_differ(asked: str, known: str, same: bool) -> None:
    assert redirects.is_registered(asked, [known]) is same


@given(st.text(max_size=80))
def test_no_text_of_strangers_is_a_registered_redirect(text: str) -> None:
    assert not redirects.is_registered(text, [BACK, "http://127.0.0.1/cb"])
