"""Pages of other origins at OAuth's endpoints: those of registered clients may read, others not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from signaling.accounts.oauth.cors import BELIEVED_SECONDS
from tests.signaling.oauth.conftest import Auth

ALLOWED = "Access-Control-Allow-Origin"


async def fields(auth: Auth, method: str, path: str, origin: str) -> tuple[int, Mapping[str, str]]:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with auth.api.client.request(method, auth.api.url + path, headers=headers) as answer:
        return answer.status, answer.headers


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/device_authorization"])
async def test_a_page_at_a_registered_redirect_may_read(auth: Auth, path: str) -> None:
    await auth.add("spa")
    for origin in ("https://app.example", "https://listed.example"):
        status, said = await fields(auth, "OPTIONS", path, origin)
        assert (status, said[ALLOWED]) == (204, origin)
        assert "POST" in said["Access-Control-Allow-Methods"]
        assert "DPoP" in said["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in said
        # Errors too: a page must see why it was refused.
        status, said = await fields(auth, "POST", path, origin)
        assert status >= 400 and said[ALLOWED] == origin and "Origin" in said["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "http://app.example", "https://app.example:8443", "null", "",
        "https://app.example.evil.example", "https://app.example/", "HTTPS://APP.EXAMPLE",
        "com.example.app://",
    ],
)  # fmt: skip
async def test_no_other_page_may(auth: Auth, origin: str) -> None:
    await auth.add("spa", redirect_uris=("https://app.example/back", "com.example.app:/back"))
    for method in ("OPTIONS", "POST"):
        _, said = await fields(auth, method, "/oauth/token", origin)
        assert ALLOWED not in said and "Access-Control-Allow-Methods" not in said
        assert "Origin" in said["Vary"]


async def test_introspection_is_for_no_page_and_metadata_for_all(auth: Auth) -> None:
    await auth.add("spa")
    status, said = await fields(auth, "OPTIONS", "/oauth/introspect", "https://app.example")
    assert status == 405 and ALLOWED not in said
    for path in ("oauth-authorization-server", "oauth-protected-resource"):
        _, said = await fields(auth, "GET", f"/.well-known/{path}", "https://anybody.example")
        assert said[ALLOWED] == "*"


async def test_a_disabled_client_lends_its_origin_to_nobody(auth: Auth) -> None:
    await auth.add("spa", disabled=True)
    _, said = await fields(auth, "OPTIONS", "/oauth/token", "https://app.example")
    assert ALLOWED not in said
    await auth.add("new")
    auth.house.clock.advance(BELIEVED_SECONDS + 1)
    _, said = await fields(auth, "OPTIONS", "/oauth/token", "https://app.example")
    assert said[ALLOWED] == "https://app.example"
