"""Client credentials, devices, introspection, revocation, metadata, registration and consent."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts.oauth.clients import GrantType
from signaling.accounts.oauth.devices import ALPHABET, LENGTH, normal, spell, user_code
from signaling.accounts.principal import Role
from signaling.ids import SeededEntropy
from tests.signaling.oauth.conftest import BACK, Auth, basic
from tests.signaling.sessions.house import ALICE
from tests.signaling.sessions.served import OWN

# Clients


async def test_c4_a_server_acts_for_itself_with_its_own_credentials(auth: Auth) -> None:
    app = await auth.add("A server", GrantType.CLIENT, secret=True, redirect_uris=())
    status, tokens = await auth.post("/oauth/token", app, grant_type="client_credentials")
    assert status == 200 and "refresh_token" not in tokens
    assert tokens["scope"] == "account:read messages:read messages:write"
    status, who = await auth.session(tokens["access_token"])
    assert (who["kind"], who["account"], who["client"], who["roles"]) == ("service", None, app, [])
    auth.house.clock.advance(3601)
    assert (await auth.session(tokens["access_token"]))[0] == 401


async def test_c6_a_scope_that_is_unknown_or_not_its_own_is_invalid_scope(auth: Auth) -> None:
    app = await auth.add("A server", GrantType.CLIENT, secret=True)
    for scope in ("nothing", "admin", "messages:read\tadmin", "a" * 9000):
        status, body = await auth.post(
            "/oauth/token", app, grant_type="client_credentials", scope=scope
        )
        assert (status, body["error"]) == (400, "invalid_scope")


async def test_a_public_client_has_no_credentials_to_act_with(auth: Auth) -> None:
    app = await auth.add("An app")
    body = (await auth.post("/oauth/token", app, grant_type="client_credentials"))[1]
    assert body["error"] == "unauthorized_client"


async def test_c4_a_client_shows_itself_in_one_way_and_rightly(auth: Auth) -> None:
    app = await auth.add("A server", GrantType.CLIENT, secret=True)
    other = await auth.add("Another", GrantType.CLIENT, secret=True)
    public = await auth.add("An app")
    form = {"grant_type": "client_credentials"}
    secret, path = auth.secrets[app], "/oauth/token"
    good = [
        await auth.send(path, {**form, "client_id": app, "client_secret": secret}),
        await auth.send(path, form, Authorization=basic(app, secret)),
        await auth.send(path, {**form, "client_id": app}, Authorization=basic(app, secret)),
    ]
    assert [answer[0] for answer in good] == [200] * 3
    bad = [
        await auth.send(path, form),
        await auth.send(path, {**form, "client_id": app}),
        await auth.send(path, {**form, "client_id": app, "client_secret": "wrong"}),
        await auth.send(path, {**form, "client_id": app, "client_secret": auth.secrets[other]}),
        await auth.send(path, {**form, "client_id": "none", "client_secret": secret}),
        await auth.send(path, {**form, "client_id": public, "client_secret": secret}),
        await auth.send(path, form, Authorization=basic(other, secret)),
        await auth.send(path, form, Authorization="Basic !!!"),
        await auth.send(path, form, Authorization="Bearer x"),
        await auth.send(path, {**form, "client_id": other}, Authorization=basic(app, secret)),
    ]
    for status, body, headers in bad:
        assert (status, body["error"]) == (401, "invalid_client")
        assert headers["WWW-Authenticate"].startswith("Basic")
        assert "cx_" not in str(body)
    both = {**form, "client_id": app, "client_secret": secret}
    status, body, _ = await auth.send(path, both, Authorization=basic(app, secret))
    assert (status, body["error"]) == (400, "invalid_request")


async def test_bad_forms_are_invalid_requests(auth: Auth) -> None:
    app = await auth.add("A server", GrantType.CLIENT, secret=True)
    twice = [("grant_type", "client_credentials"), ("grant_type", "client_credentials")]
    for form, kind in (
        (twice, "application/x-www-form-urlencoded"),
        ({"grant_type": "a\x00b"}, "application/x-www-form-urlencoded"),
        ({"grant_type": "client_credentials"}, "application/json"),
        ([(f"p{n}", "x") for n in range(100)], "application/x-www-form-urlencoded"),
    ):
        secret = auth.secrets[app]
        status, body, headers = await auth.send(
            "/oauth/token", form, Authorization=basic(app, secret), Content_Type=kind
        )
        assert (status, body["error"]) == (400, "invalid_request")
        assert "no-store" in headers["Cache-Control"]
    url = auth.api.url + "/oauth/token"
    typed = {"Content-Type": "application/x-www-form-urlencoded"}
    for data in (b"\xff\xfe=1", b"grant_type=%ff%fe"):
        async with auth.api.client.post(url, data=data, headers=typed) as answer:
            assert answer.status == 400
    async with auth.api.client.get(url) as answer:
        assert answer.status == 405


# Devices


async def begin(auth: Auth, app: str) -> Any:
    status, body = await auth.post("/oauth/device_authorization", app, scope="messages:read")
    assert status == 200
    return body


async def poll(auth: Auth, app: str, device: Any) -> tuple[int, Any]:
    return await auth.post(
        "/oauth/token", app, grant_type=GrantType.DEVICE.value, device_code=device["device_code"]
    )


async def page(auth: Auth, method: str, path: str, cookie: str, form: Any = None) -> Any:
    headers = {"Cookie": f"__Host-sotto={cookie}", "Sec-Fetch-Site": "same-origin"}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    data = urlencode(form) if form is not None else None
    async with auth.api.client.request(
        method, auth.api.url + path, headers=headers, data=data, allow_redirects=False
    ) as answer:
        return answer.status, await answer.text()


async def test_a_device_waits_until_somebody_types_its_code(auth: Auth) -> None:
    app = await auth.add("A television", redirect_uris=())
    device, cookie = await begin(auth, app), await auth.house.sign_in()
    assert device["verification_uri"] == OWN + "/oauth/device" and device["interval"] == 5
    assert (await poll(auth, app, device))[1]["error"] == "authorization_pending"
    auth.house.clock.advance(5)
    assert (await poll(auth, app, device))[1]["error"] == "authorization_pending"
    typed = device["user_code"].lower().replace("-", " ")
    status, text = await page(auth, "GET", f"/oauth/device?user_code={typed}", cookie)
    assert status == 200 and "A television" in text and device["user_code"] in text
    form = {"user_code": device["user_code"], "decision": "allow"}
    status, text = await page(auth, "POST", "/oauth/device", cookie, form)
    assert status == 200 and "connected" in text
    auth.house.clock.advance(5)
    status, tokens = await poll(auth, app, device)
    assert status == 200
    assert (await auth.session(tokens["access_token"]))[1]["account"] == ALICE
    assert (await poll(auth, app, device))[1]["error"] == "invalid_grant"
    assert (await page(auth, "POST", "/oauth/device", cookie, form))[0] == 404


async def test_a_device_that_asks_too_often_is_slowed_down_for_good(auth: Auth) -> None:
    app = await auth.add("A television")
    device = await begin(auth, app)
    words = []
    for wait in (0, 1, 6, 11):
        auth.house.clock.advance(wait)
        words.append((await poll(auth, app, device))[1]["error"])
    assert words == ["authorization_pending", "slow_down", "slow_down", "slow_down"]
    auth.house.clock.advance(60)
    assert (await poll(auth, app, device))[1]["error"] == "authorization_pending"


async def test_a_device_is_refused_or_too_late(auth: Auth) -> None:
    app, other = await auth.add("A television"), await auth.add("Another")
    refused, late = await begin(auth, app), await begin(auth, app)
    cookie = await auth.house.sign_in()
    form = {"user_code": refused["user_code"], "decision": "deny"}
    assert (await page(auth, "POST", "/oauth/device", cookie, form))[0] == 200
    assert (await poll(auth, app, refused))[1]["error"] == "access_denied"
    assert (await poll(auth, other, late))[1]["error"] == "invalid_grant"
    auth.house.clock.advance(601)
    assert (await poll(auth, app, late))[1]["error"] == "expired_token"
    status, _ = await page(auth, "GET", f"/oauth/device?user_code={late['user_code']}", cookie)
    assert status == 404


async def test_guessing_codes_of_devices_is_throttled(auth: Auth) -> None:
    cookie = await auth.house.sign_in()
    found = [
        (await page(auth, "GET", "/oauth/device?user_code=BBBB-BBBB", cookie))[0] for _ in range(14)
    ]
    assert found[:10] == [404] * 10 and found[-1] == 400


@given(st.integers(0, 10**6))
def test_codes_to_type_have_eight_letters_that_spell_no_word(seed: int) -> None:
    code = user_code(SeededEntropy(seed))
    assert len(code) == LENGTH and set(code) <= set(ALPHABET) and not set(code) & set("AEIOUY")
    assert normal(spell(code).lower()) == normal(f" {code[:3]} {code[3:]} ") == code


@given(st.text())
def test_whatever_is_typed_is_letters_of_the_alphabet(text: str) -> None:
    assert set(normal(text)) <= set(ALPHABET)


# Introspection and revocation


async def test_c4_introspection_tells_a_client_of_its_own_tokens_only(auth: Auth) -> None:
    app = await auth.add("A server", secret=True)
    other = await auth.add("Another", secret=True)
    resource = await auth.add("Resource", secret=True, introspects=True)
    public = await auth.add("An app")
    tokens = await auth.tokens(app)
    path, token = "/oauth/introspect", tokens["access_token"]
    for asker in (app, resource):
        status, body = await auth.post(path, asker, token=token)
        assert (status, body["active"], body["client_id"], body["sub"]) == (200, True, app, ALICE)
        assert body["scope"] == "messages:read" and body["token_type"] == "Bearer"
    _, body = await auth.post(path, app, token=tokens["refresh_token"])
    assert body["active"] and "token_type" not in body
    inactive = [
        (other, token),
        (app, "rubbish"),
        (app, token[:-1]),
        (app, await auth.house.sign_in()),
        (resource, "ct_" + "A" * 76),
    ]
    for asker, text in inactive:
        assert await auth.post(path, asker, token=text) == (200, {"active": False})
    assert (await auth.post(path, public, token=token))[0] == 401
    assert (await auth.post(path, "", token=token))[0] == 401
    assert (await auth.post(path, app))[1]["error"] == "invalid_request"
    auth.house.clock.advance(3601)
    assert await auth.post(path, app, token=token) == (200, {"active": False})


async def test_c4_revocation_is_200_whatever_it_is_and_ends_what_is_its_own(auth: Auth) -> None:
    app, other = await auth.add("An app"), await auth.add("Another")
    tokens = await auth.tokens(app)
    path = "/oauth/revoke"
    for asker, text in ((app, "rubbish"), (other, tokens["refresh_token"])):
        assert await auth.post(path, asker, token=text) == (200, None)
    assert (await auth.session(tokens["access_token"]))[0] == 200
    assert (await auth.post(path, app, token=tokens["access_token"]))[0] == 200
    assert (await auth.session(tokens["access_token"]))[0] == 401
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    _, again = await auth.post("/oauth/token", app, **form)
    await auth.post(path, app, token=again["refresh_token"], token_type_hint="nonsense")
    assert (await auth.session(again["access_token"]))[0] == 401
    assert (await auth.post(path, "nobody", token="x"))[0] == 401


async def test_metadata_lists_what_is_there_and_nothing_else(auth: Auth) -> None:
    async def get(path: str) -> Any:
        async with auth.api.client.get(auth.api.url + path) as answer:
            assert answer.status == 200 and answer.content_type == "application/json"
            return await answer.json()

    server = await get("/.well-known/oauth-authorization-server")
    assert server["issuer"] == OWN and server["code_challenge_methods_supported"] == ["S256"]
    assert set(server["grant_types_supported"]) == {grant.value for grant in GrantType}
    assert server["response_types_supported"] == ["code"]
    resource = await get("/.well-known/oauth-protected-resource")
    assert resource["authorization_servers"] == [OWN]
    assert resource["bearer_methods_supported"] == ["header"]
    for name, url in server.items():
        if name.endswith("_endpoint"):
            async with auth.api.client.options(auth.api.url + url.removeprefix(OWN)) as answer:
                assert answer.status != 404


# Administration and consent


async def api(auth: Auth, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with auth.api.client.request(
        method, auth.api.url + "/api/v1" + path, headers=headers, json=body
    ) as answer:
        text = await answer.read()
        return answer.status, await answer.json(content_type=None) if text else None


async def administrator(auth: Auth) -> str:
    auth.house.accounts.change(ALICE, roles=frozenset({Role.ADMINISTRATOR}))
    return await auth.house.sign_in()


async def test_an_administrator_registers_a_client_that_then_works(auth: Auth) -> None:
    token = await administrator(auth)
    body = {
        "name": "A server", "scopes": ["messages:read"], "confidential": True,
        "grants": ["client_credentials"],
    }  # fmt: skip
    status, made = await api(auth, "POST", "/oauth/clients", token, body)
    assert status == 201 and made["secret"].startswith("cx_")
    auth.secrets[made["id"]] = made["secret"]
    ask = {"grant_type": "client_credentials"}
    assert (await auth.post("/oauth/token", made["id"], **ask))[0] == 200
    status, renewed = await api(auth, "POST", f"/oauth/clients/{made['id']}/secrets", token)
    assert status == 201 and renewed["secret"] != made["secret"]
    _, tokens = await auth.post("/oauth/token", made["id"], **ask)
    auth.secrets[made["id"]] = renewed["secret"]
    assert (await auth.post("/oauth/token", made["id"], **ask))[0] == 200
    status, listed = await api(auth, "GET", "/oauth/clients", token)
    assert [item["secret"] for item in listed["items"]] == [None]
    one = f"/oauth/clients/{made['id']}"
    status, changed = await api(auth, "PATCH", one, token, {"disabled": True})
    assert (status, changed["disabled"]) == (200, True)
    assert (await auth.session(tokens["access_token"]))[0] == 401
    assert (await auth.post("/oauth/token", made["id"], **ask))[0] == 401
    assert (await api(auth, "DELETE", one, token))[0] == 204
    assert (await api(auth, "GET", one, token))[0] == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": ["everything"]},
        {"scopes": []},
        {"redirect_uris": []},
        {"redirect_uris": ["http://app.example/"]},
        {"grants": ["client_credentials"]},
        {"grants": ["password"]},
        {"introspects": True},
        {"trusted": True, "redirect_uris": ["http://127.0.0.1/back"]},
        {"trusted": True, "redirect_uris": [BACK, "com.example.app:/back"]},
        {"name": ""},
        {"role": "owner"},
    ],
    ids=str,
)
async def test_a_registration_that_cannot_be_is_422(auth: Auth, wrong: dict[str, Any]) -> None:
    token = await administrator(auth)
    body = {"name": "An app", "scopes": ["messages:read"], "redirect_uris": [BACK], **wrong}
    status, answer = await api(auth, "POST", "/oauth/clients", token, body)
    assert status == 422 and answer["code"] == "fields_invalid"


async def test_a_member_registers_nothing(auth: Auth) -> None:
    token = await auth.house.sign_in()
    for method, path in (("GET", "/oauth/clients"), ("POST", "/oauth/clients")):
        assert (await api(auth, method, path, token, None))[0] == 403


async def test_10_7_consent_is_listed_and_withdrawing_it_ends_the_tokens(auth: Auth) -> None:
    app, other = await auth.add("An app"), await auth.add("Another")
    tokens, others = await auth.tokens(app), await auth.tokens(other)
    mine = await auth.house.sign_in()
    _, listed = await api(auth, "GET", "/oauth/consents", mine)
    assert {item["name"]: item["scopes"] for item in listed["items"]} == {
        "An app": ["messages:read"], "Another": ["messages:read"],
    }  # fmt: skip
    assert (await api(auth, "DELETE", f"/oauth/consents/{app}", mine))[0] == 204
    assert (await api(auth, "DELETE", f"/oauth/consents/{app}", mine))[0] == 404
    assert (await auth.session(tokens["access_token"]))[0] == 401
    assert (await auth.session(others["access_token"]))[0] == 200
    assert (await auth.visit(auth.query(app), mine))[0] == 200
