"""What a cookie opens asks whose page it is; what takes any origin reads no cookie (row A16)."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.signaling.accounts.rig import PASSWORD
from tests.signaling.http.started import People, people

EVIL = "https://evil.example"
COOKIE = "__Host-sotto"


async def cookie(there: People) -> str:
    """As a browser gets it: no token in the answer, everything in the header."""
    body = {"login": "some.member", "password": PASSWORD, "cookie": True}
    url = there.server.url + "/api/v1/sign-in/password"
    headers = {"Origin": there.server.url, "Sec-Fetch-Site": "same-origin"}
    async with there.server.client.post(url, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.json()).get("access_token") is None
        (line,) = [
            value for value in answer.headers.getall("Set-Cookie") if value.startswith(COOKIE + "=")
        ]
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in line
    assert "Domain" not in line
    return line.partition(";")[0]


async def test_a_foreign_page_with_a_good_cookie_gets_nothing(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        good = {"Cookie": await cookie(there)}
        own, client = there.server.url, there.server.client
        wss = own.replace("http", "ws", 1) + "/sync"
        async with client.get(own + "/api/v1/session", headers=good) as answer:
            assert answer.status == 200
        # Changing something and opening a socket: our own page may, others may not (CSRF, CSWSH).
        for origin, site, status in (
            (own, "same-origin", 201),
            (EVIL, "cross-site", 403),
            ("null", "cross-site", 403),
            (None, "cross-site", 403),
            (None, "same-site", 403),
        ):
            headers = {**good, "Sec-Fetch-Site": site, **({"Origin": origin} if origin else {})}
            url = own + "/api/v1/sync/tickets"
            async with client.post(url, headers=headers) as answer:
                assert answer.status == status, (origin, site)
                assert "Access-Control-Allow-Origin" not in answer.headers
        async with client.ws_connect(
            wss, headers={**good, "Origin": own}, protocols=["sotto.1"]
        ) as socket:
            assert (await socket.receive_json(timeout=30))["type"] == "hello"
        for origin in (EVIL, "null"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                headers = {**good, "Origin": origin}
                await client.ws_connect(wss, headers=headers, protocols=["sotto.1"])
            assert refused.value.status == 403


async def test_cross_site_forms_reach_no_operation(tmp_path: Path) -> None:
    """What a page can send without asking first: forms and text/plain (ASVS 3.5.1)."""
    async with people(tmp_path) as there:
        good = {"Cookie": await cookie(there)}
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            for origin, statuses in ((EVIL, {403}), (there.server.url, {415})):
                headers = {**good, "Origin": origin, "Content-Type": kind}
                async with there.server.client.patch(
                    there.server.url + "/api/v1/account", data=b'{"name":"x"}', headers=headers
                ) as answer:
                    assert answer.status in statuses, (kind, origin)


async def test_no_preflight_of_a_stranger_allows_anything(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        headers = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
        for path in ("/api/v1/session", "/oauth/token", "/v3/pam/x/grant"):
            async with there.server.client.options(
                there.server.url + path, headers=headers
            ) as answer:
                # Pages of registered clients may ask for a token; others are told nothing.
                assert answer.status in ((204,) if path == "/oauth/token" else (404, 405)), path
                assert not [name for name in answer.headers if name.startswith("Access-Control-")]


async def test_what_takes_any_origin_reads_no_cookie(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        good = {"Cookie": await cookie(there), "Origin": EVIL}
        for method, path in (
            ("GET", "/rtc/validate"),
            ("GET", "/rtc/v1/validate"),
            ("POST", "/twirp/livekit.RoomService/ListRooms"),
            ("POST", "/whip/room"),
            ("POST", "/whep/room"),
        ):
            kind = "application/sdp" if path.startswith("/wh") else "application/json"
            headers = {**good, "Content-Type": kind}
            async with there.server.client.request(
                method, there.server.url + path, headers=headers, data=b"{}"
            ) as answer:
                assert answer.status == 401, path
                assert answer.headers["Access-Control-Allow-Origin"] == "*"
                assert "Access-Control-Allow-Credentials" not in answer.headers
