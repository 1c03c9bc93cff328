"""Rows A15, A16, A18, C2: the sync socket over TLS, and what its upgrade must have."""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.rows.house import Answer, House, Visit, visiting
from tests.websocket import upgrade

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def knock(
    there: Visit, token: str = "", path: str = "/sync", **headers: str | None
) -> Answer:
    """An upgrade by hand, that should be refused."""
    return await there.send("GET", path, headers=upgrade(token, **headers))


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("sotto.1", "sotto.1"), ("sotto/1", "sotto/1"), ("sotto/1-3", "sotto/1"),
     ("other, sotto.1-9", "sotto.1")],
)  # fmt: skip
async def test_a16_a18_a_good_upgrade_is_101_with_one_version_and_the_accept(
    there: Visit, offered: str, chosen: str
) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key, "Sec-WebSocket-Protocol": offered,
        "Authorization": f"Bearer {await there.owner()}",
    }  # fmt: skip
    async with there.client.get(there.house.url + "/sync", headers=headers) as answer:
        assert answer.status == 101
        assert answer.headers.getall("Sec-WebSocket-Protocol") == [chosen]
        wanted = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert answer.headers["Sec-WebSocket-Accept"] == wanted
        answer.close()


BAD: list[tuple[dict[str, str | None], int, str]] = [
    ({"Sec_WebSocket_Protocol": None}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "graphql-ws"}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "sotto.2-1"}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "sotto.0"}, 426, "version_unsupported"),
    ({"Sec_WebSocket_Version": "8"}, 426, "version_unsupported"),
    ({"Upgrade": None}, 426, "version_unsupported"),
    ({"Sec_WebSocket_Key": None}, 400, "bad_request"),
    ({"Sec_WebSocket_Key": "short"}, 400, "bad_request"),
    ({"Sec_WebSocket_Key": "!!!!!!!!!!!!!!!!!!!!!!=="}, 400, "bad_request"),
    ({"Authorization": None}, 401, "token_missing"),
    ({"Authorization": "Bearer rubbish"}, 401, "token_invalid"),
    ({"Origin": "https://evil.example"}, 403, "origin_refused"),
    ({"Origin": "null"}, 403, "origin_refused"),
]


@pytest.mark.parametrize(("headers", "status", "code"), BAD, ids=lambda value: str(value)[:50])
async def test_a16_a_bad_upgrade_is_refused_before_it(
    there: Visit, headers: dict[str, Any], status: int, code: str
) -> None:
    answer = await knock(there, await there.owner(), **headers)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a16_an_expired_token_is_401(later: House) -> None:
    async with visiting(later) as there:
        token, _ = await there.joined()
        later.move_on(7201)
        answer = await knock(there, token)
        assert (answer.status, answer.code) == (401, "token_expired")


async def test_a16_no_token_in_the_url_but_a_ticket_for_once(there: Visit) -> None:
    token = await there.owner()
    for name in ("access_token", "token"):
        for header in ("", token):
            answer = await knock(there, header, f"/sync?{name}={token}")
            assert answer.status in (401, 422), (name, header)
    assert (await knock(there, "", f"/sync?ticket={token}")).status == 401
    made = await there.ask("POST", "/sync/tickets", {}, token)
    assert made.status == 201, made.text
    path = f"/sync?ticket={made.body['ticket']}"
    async with there.client.ws_connect(there.house.url + path, protocols=("sotto.1",)) as socket:
        assert (await socket.receive_json(timeout=30))["type"] == "hello"
    answer = await knock(there, "", path)
    assert (answer.status, answer.code) == (401, "token_invalid")
    assert made.body["ticket"] not in there.house.written()
    assert token not in there.house.written()


async def test_a15_c2_the_socket_over_tls_13(there: Visit) -> None:
    headers = {"Authorization": f"Bearer {await there.owner()}"}
    new = ssl.create_default_context(cafile=str(there.house.authority.file))
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    async with there.client.ws_connect(
        there.house.url + "/sync", headers=headers, protocols=("sotto.1",), ssl=new
    ) as socket:
        assert socket.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert (await socket.receive_json(timeout=30))["type"] == "hello"


async def test_a15_c2_ws_in_the_clear_is_refused(there: Visit) -> None:
    """On the listener that a proxy has, and on the one with TLS."""
    plain = there.house.plain
    answer = await there.send("GET", plain + "/sync", headers={"Upgrade": "websocket"})
    assert (answer.status, answer.code) == (400, "tls_required")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await there.client.ws_connect(plain + "/sync", protocols=["sotto.1"])
    assert refused.value.status == 400
    with pytest.raises(aiohttp.ClientError):
        await there.client.ws_connect(f"ws://localhost:{there.house.facts['https']}/sync")


async def test_c2_there_is_no_long_polling(there: Visit) -> None:
    document = (await there.send("GET", "/api/openapi.json")).body
    assert not [path for path in document["paths"] if "poll" in path or "subscribe" in path]
    token = await there.owner()
    answer = await there.send("GET", "/sync", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.code) == (426, "version_unsupported")


async def test_a15_tls13_only_refuses_tls_12(housed: Callable[..., House]) -> None:
    house = housed({"tls.tls13_only": "true"})
    async with visiting(house) as there:
        async with there.socket(await there.owner()):
            pass
        old = ssl.create_default_context(cafile=str(house.authority.file))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)):
            await there.client.ws_connect(house.url + "/sync", protocols=["sotto.1"], ssl=old)
