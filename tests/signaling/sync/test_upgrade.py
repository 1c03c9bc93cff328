"""Row A16: what an upgrade of `/sync` must have; everything else is refused before it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts.sessions.tokens import Prefix, mint
from signaling.errors import ClientError
from signaling.sync import version
from signaling.sync.door import Door
from tests.signaling.sessions.house import ALICE, APP, tag_keys
from tests.signaling.sessions.served import OWN
from tests.signaling.sessions.test_sessions import grant, look
from tests.signaling.sync.conftest import Doorstep


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("sotto.1", "sotto.1"),
        ("sotto/1", "sotto/1"),
        ("sotto/1-3", "sotto/1"),
        ("other, sotto.1-9", "sotto.1"),
        ("sotto.7, sotto.1", "sotto.1"),
    ],
)
async def test_a16_a_good_upgrade_is_101_and_echoes_one_version(
    step: Doorstep, offered: str, chosen: str
) -> None:
    socket = await step.open(await step.house.sign_in(), Sec_WebSocket_Protocol=offered)
    response: Any = socket._response
    assert response.status == 101
    assert response.headers.getall("Sec-WebSocket-Protocol") == [chosen]
    assert "Sec-WebSocket-Extensions" not in response.headers


BAD: list[tuple[dict[str, str | None], int, str]] = [
    ({"Sec_WebSocket_Protocol": None}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": ""}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "graphql-ws"}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "sotto"}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "sotto.x"}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "sotto.2-1"}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "sotto.2"}, 400, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": "sotto.0"}, 426, "version_unsupported"),
    ({"Sec_WebSocket_Protocol": ",".join(["x"] * 40)}, 400, "version_unsupported"),
    ({"Upgrade": None}, 426, "version_unsupported"),
    ({"Upgrade": "h2c"}, 426, "version_unsupported"),
    ({"Sec_WebSocket_Version": "8"}, 426, "version_unsupported"),
    ({"Sec_WebSocket_Version": None}, 426, "version_unsupported"),
    ({"Sec_WebSocket_Key": None}, 400, "bad_request"),
    ({"Sec_WebSocket_Key": ""}, 400, "bad_request"),
    ({"Sec_WebSocket_Key": "short"}, 400, "bad_request"),
    ({"Sec_WebSocket_Key": "!!!!!!!!!!!!!!!!!!!!!!=="}, 400, "bad_request"),
    ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZXM="}, 400, "bad_request"),
    ({"Authorization": None}, 401, "token_missing"),
    ({"Authorization": "Bearer rubbish"}, 401, "token_invalid"),
    ({"Authorization": "Basic dTpw"}, 401, "token_invalid"),
    ({"Origin": "https://evil.example"}, 403, "origin_refused"),
    ({"Origin": "null"}, 403, "origin_refused"),
]


@pytest.mark.parametrize(("headers", "status", "code"), BAD, ids=lambda value: str(value)[:50])
async def test_a16_a_bad_upgrade_is_refused_before_it(
    step: Doorstep, headers: dict[str, Any], status: int, code: str
) -> None:
    answered, body, fields = await step.knock(await step.house.sign_in(), **headers)
    assert (answered, body["code"]) == (status, code)
    assert fields["Content-Type"].startswith("application/problem+json")
    if status == 426:
        assert fields["Upgrade"] == "websocket"
    if status == 401:
        assert fields["WWW-Authenticate"].startswith("Bearer")
    assert len(step.door) == 0


async def test_a16_an_expired_token_is_401_before_the_upgrade(step: Doorstep) -> None:
    token = await step.house.sign_in()
    step.house.clock.advance(7201)
    status, body, _ = await step.knock(token)
    assert (status, body["code"]) == (401, "token_expired")


async def test_a16_a_token_in_the_query_is_refused_even_a_good_one(step: Doorstep) -> None:
    token = await step.house.sign_in()
    for name in ("access_token", "token"):
        status, _, _ = await step.knock(path=f"/sync?{name}={token}")
        assert status in (401, 422)
        status, _, _ = await step.knock(token, path=f"/sync?{name}={token}")
        assert status in (401, 422)
    status, body, _ = await step.knock(path=f"/sync?ticket={token}")
    assert (status, body["code"]) == (401, "token_invalid")


async def test_a16_a_one_time_ticket_opens_once(step: Doorstep) -> None:
    who = await look(step.house, await step.house.sign_in())
    ticket, _ = await step.house.tickets.issue(who, "sync")
    await step.open(path=f"/sync?ticket={ticket.text}", Origin=OWN)
    status, body, _ = await step.knock(path=f"/sync?ticket={ticket.text}")
    assert (status, body["code"]) == (401, "token_invalid")
    late, _ = await step.house.tickets.issue(who, "sync")
    step.house.clock.advance(21)
    assert (await step.knock(path=f"/sync?ticket={late.text}"))[0] == 401
    forged = mint(lambda app: [b"other"], APP, Prefix.TICKET, who.session or "", step.house.entropy)
    assert (await step.knock(path=f"/sync?ticket={forged.text}"))[0] == 401
    two = f"/sync?ticket={ticket.text}&ticket={ticket.text}"
    assert (await step.knock(path=two))[0] in (400, 422)


@pytest.mark.parametrize(
    ("origin", "status"),
    [(OWN, 101), (None, 403), ("https://evil.example", 403), (f"{OWN}.evil.example", 403),
     ("http://meet.example.org", 403), ("null", 403)],
)  # fmt: skip
async def test_cswsh_a_cookie_opens_it_from_our_own_pages_only(
    step: Doorstep, origin: str | None, status: int
) -> None:
    cookie = f"__Host-sotto={await step.house.sign_in()}"
    if status == 101:
        await step.open(Cookie=cookie, Origin=origin or "")
        return
    answered, body, _ = await step.knock(Cookie=cookie, Origin=origin)
    assert (answered, body["code"]) == (403, "origin_refused")


async def test_further_origins_are_configured(doorstep: Any) -> None:
    async with doorstep(origins=("https://chat.example.org/",)) as step:
        cookie = f"__Host-sotto={await step.house.sign_in()}"
        await step.open(Cookie=cookie, Origin="https://chat.example.org")


async def test_the_hello_says_who_and_within_which_bounds(step: Doorstep) -> None:
    tokens = await grant(step.house, scopes=frozenset({"messages:read"}))
    headers = {
        "Sec-WebSocket-Protocol": "sotto.1",
        "Authorization": f"Bearer {tokens.access.text}",
    }
    socket = await step.api.client.ws_connect(step.api.url + "/sync", headers=headers)
    step.opened.append(socket)
    hello = await socket.receive_json(timeout=30)
    assert (hello["version"], hello["account"], hello["scopes"]) == (1, ALICE, ["messages:read"])
    assert (hello["ping_seconds"], hello["pong_seconds"], hello["frame_bytes"]) == (15, 10, 65536)
    assert tokens.access.text not in str(hello)


async def test_an_account_has_a_bounded_number_of_sockets(doorstep: Any) -> None:
    async with doorstep(sockets_per_account=2) as step:
        token = await step.house.sign_in()
        first = await step.open(token)
        await step.open(token)
        status, body, headers = await step.knock(token)
        assert (status, body["code"]) == (429, "rate_limited") and headers["Retry-After"]
        await first.close()
        await step.open(token)


async def test_a_place_is_taken_before_anything_is_waited_for(
    doorstep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = web.WebSocketResponse.prepare

    async def slow(self: web.WebSocketResponse, request: web.BaseRequest) -> Any:
        await asyncio.sleep(0.1)
        return await prepare(self, request)

    monkeypatch.setattr(web.WebSocketResponse, "prepare", slow)
    async with doorstep(sockets_per_account=2) as step:
        token = await step.house.sign_in()
        came = await asyncio.gather(*(step.open(token) for _ in range(6)), return_exceptions=True)
        refused = [one for one in came if isinstance(one, aiohttp.WSServerHandshakeError)]
        assert [one.status for one in refused] == [429] * 4


async def test_a_server_that_stops_tells_its_sockets_and_lets_nobody_in(step: Doorstep) -> None:
    token = await step.house.sign_in()
    socket = await step.open(token)
    step.door.drain()
    assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
    assert socket.close_code == 1012
    assert (await step.knock(token))[0] == 503


async def test_opening_and_closing_are_audited_without_a_token(step: Doorstep) -> None:
    token = await step.house.sign_in()
    socket = await step.open(token)
    await socket.close()
    await step.knock("rubbish")
    actions = [(event.action, event.result) for event in step.api.audit.events]
    assert ("sync.open", "allowed") in actions and ("sync.close", "allowed") in actions
    assert any(result == "denied" for _, result in actions)
    assert token not in str(step.api.audit.events)


@given(st.lists(st.text(max_size=40), max_size=5))
def test_version_offers_of_strangers_are_refused_with_400_or_426(fields: list[str]) -> None:
    try:
        version.choose(version.parse(fields))
    except ClientError as error:
        assert error.status in (400, 426)


@given(st.integers(0, 9999), st.integers(0, 9999), st.sampled_from("./"))
def test_a_range_is_met_where_it_overlaps(first: int, last: int, separator: str) -> None:
    fits = first <= version.NEWEST and last >= version.OLDEST and first <= last
    try:
        chosen, _ = version.choose(version.parse([f"sotto{separator}{first}-{last}"]))
    except ClientError:
        assert not fits
    else:
        assert fits and first <= chosen <= last


def test_tag_keys_of_the_tests_are_those_of_the_house() -> None:
    assert tag_keys(APP)


async def test_a_client_that_hangs_up_before_the_answer_is_no_error_of_ours(
    step: Doorstep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hang_up(self: Door, request: Any, principal: Any) -> None:
        request.transport.abort()

    monkeypatch.setattr(Door, "_check_origin", hang_up)
    with pytest.raises(aiohttp.ClientError):
        await step.open(await step.house.sign_in())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
