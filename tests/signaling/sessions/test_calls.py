"""Calls of sessions: a token for one room, and its end reaching whoever joined with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit.protocol import rtc

from signaling.accounts.principal import Kind, Principal, Role
from signaling.accounts.sessions.call_operations import CallDeps, operations
from signaling.accounts.sessions.calls import (
    CallTokens,
    Policy,
    SessionAdmission,
    own_room,
    turn_name,
)
from signaling.accounts.sessions.service import changed
from signaling.errors import ClientError, Refused, Unavailable
from signaling.rtc import IceServer, Participant, Rooms, add_routes
from signaling.rtc.tokens import ApiKeys
from signaling.secret import Secret
from tests.signaling.rtc.fakes import FakeMediaServer
from tests.signaling.rtc.virtual_time import VirtualClock
from tests.signaling.sessions.house import ALICE, APP, BOB, House, account
from tests.signaling.sessions.served import served
from tests.signaling.sessions.test_revocation import other, until
from tests.signaling.sessions.test_sessions import grant, look

KEYS = {"devkey": Secret("s" * 32)}


def turn(name: str) -> Sequence[IceServer]:
    return [IceServer(("turn:relay.example:3478",), f"1800000600:{name}", "password")]


@dataclass
class Calls:
    """Rooms that ask sessions, served on a port."""

    house: House
    tokens: CallTokens
    admission: SessionAdmission
    rooms: Rooms
    url: str
    client: aiohttp.ClientSession

    async def join(self, token: str) -> aiohttp.ClientWebSocketResponse:
        socket = await self.client.ws_connect(f"{self.url}/rtc?access_token={token}&protocol=17")
        first = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
        assert first.WhichOneof("message") == "join"
        return socket

    async def validate(self, token: str) -> tuple[int, str]:
        url = f"{self.url}/rtc/validate?access_token={token}"
        async with self.client.get(url) as answer:
            return answer.status, await answer.text()

    async def moderates(self, token: str, room: str = "r") -> tuple[int, str]:
        """What the server API answers: a status, and the code and words of a refusal."""
        url = f"{self.url}/twirp/livekit.RoomService/ListParticipants"
        headers = {"Authorization": f"Bearer {token}"}
        async with self.client.post(url, json={"room": room}, headers=headers) as answer:
            body = await answer.json()
            return answer.status, f"{body['code']}: {body['msg']}" if "code" in body else ""

    def inside(self, room: str = "r") -> list[Participant]:
        found = self.rooms.get(room)
        return [] if found is None else list(found.participants())


@asynccontextmanager
async def calling(house: House, policy: Policy = own_room) -> AsyncIterator[Calls]:
    tokens = CallTokens(
        house.store, house.service, house.accounts, house.revocations, ApiKeys(KEYS), house.ids,
        turn, 600.0, policy,
    )  # fmt: skip
    admission = SessionAdmission(tokens, house.revocations)
    clock = VirtualClock()
    clock.unix = house.clock.unix  # type: ignore[method-assign]  # one time for both
    rooms = Rooms(FakeMediaServer(clock), KEYS, admission=admission, clock=clock)
    app = web.Application()
    add_routes(app, rooms)
    server = TestServer(app)
    await server.start_server()
    try:
        async with aiohttp.ClientSession() as client:
            url = str(server.make_url("")).rstrip("/")
            yield Calls(house, tokens, admission, rooms, url, client)
    finally:
        await rooms.drain()
        await server.close()
        await admission.stop()


@pytest.fixture
async def calls(house: House) -> AsyncIterator[Calls]:
    async with calling(house) as made:
        yield made


async def who(calls: Calls, name: str = ALICE) -> Principal:
    return await look(calls.house, await calls.house.sign_in(name))


async def test_a_session_gets_a_token_for_one_room_and_joins(calls: Calls) -> None:
    principal = await who(calls)
    made = await calls.tokens.issue(principal, "r")
    claims = jwt.decode(made.token, "s" * 32, algorithms=["HS256"], options={"verify_exp": False,
                        "verify_nbf": False})  # fmt: skip
    assert claims["video"]["room"] == "r" and claims["video"]["roomJoin"]
    assert claims["exp"] - claims["nbf"] == 600
    assert claims["sub"] == made.identity == f"{ALICE}:{principal.device}"
    assert claims["sotto"]["session"] == principal.session
    socket = await calls.join(made.token)
    assert [p.identity for p in calls.inside()] == [made.identity]
    await socket.close()


async def test_turn_credentials_are_of_the_device_and_room_and_say_neither(calls: Calls) -> None:
    principal = await who(calls)
    made = await calls.tokens.issue(principal, "secret room")
    shown = str(made.turn)
    assert turn_name(ALICE, principal.device or "", "secret room") in shown
    for text in ("secret room", ALICE, principal.device or "-", principal.session or "-"):
        assert text not in shown
    names = {turn_name(a, d, r) for a in "ab" for d in "ab" for r in "ab"}
    assert len(names) == 8


async def test_ending_the_session_ends_the_call_and_the_token(calls: Calls) -> None:
    principal = await who(calls)
    made = await calls.tokens.issue(principal, "r")
    bobs = await calls.tokens.issue(await who(calls, BOB), "r")
    await calls.join(made.token)
    await calls.join(bobs.token)
    await calls.house.service.end_session(APP, principal.session or "")
    await until(lambda: [p.identity for p in calls.inside()] == [bobs.identity])
    assert await calls.validate(made.token) == (401, "token was revoked")
    assert (await calls.validate(bobs.token))[0] == 200


async def test_the_end_of_a_session_in_another_process_ends_the_call(calls: Calls) -> None:
    second = other(calls.house)
    principal = await who(calls)
    await calls.join((await calls.tokens.issue(principal, "r")).token)
    await second.service.end_session(APP, principal.session or "")
    await until(lambda: not calls.inside())
    await second.revocations.stop()


async def test_taking_one_token_back_ends_that_participant_only(calls: Calls) -> None:
    principal = await who(calls)
    made = await calls.tokens.issue(principal, "r")
    elsewhere = await calls.tokens.issue(principal, "other")
    await calls.join(made.token)
    await calls.join(elsewhere.token)
    fresh = calls.inside()[0].fresh_token()
    await calls.tokens.take_back(principal, made.id)
    await until(lambda: not calls.inside())
    assert len(calls.inside("other")) == 1
    for token in (made.token, fresh):
        assert (await calls.validate(token))[0] == 401


async def test_nobody_takes_back_the_token_of_another(calls: Calls) -> None:
    made = await calls.tokens.issue(await who(calls), "r")
    for token in (made.id, "none"):
        with pytest.raises(ClientError) as caught:
            await calls.tokens.take_back(await who(calls, BOB), token)
        assert caught.value.status == 404
    assert (await calls.validate(made.token))[0] == 200


async def test_8_3_2_a_disabled_account_leaves_its_call(calls: Calls) -> None:
    await calls.join((await calls.tokens.issue(await who(calls), "r")).token)
    calls.house.accounts.change(ALICE, disabled=True, roles=frozenset())
    await calls.house.revocations.revoke(changed(APP, account=ALICE))
    await until(lambda: not calls.inside())


async def test_a_call_that_is_up_stays_up_while_the_store_is_away(calls: Calls) -> None:
    await calls.join((await calls.tokens.issue(await who(calls), "r")).token)
    real = calls.tokens.rows.get
    away = True

    async def get(app: str, key: str) -> Any:
        if away:
            raise Unavailable("away")
        return await real(app, key)

    calls.tokens.rows.get = get  # type: ignore[method-assign]  # a store that is away
    look_again = calls.house.revocations._look_again
    assert look_again is not None

    async def unsure(principal: Principal) -> Principal | None:
        raise Unavailable("away")

    calls.house.revocations._look_again = unsure
    calls.house.accounts.change(ALICE, disabled=True, roles=frozenset())
    await calls.house.revocations.revoke(changed(APP, account=ALICE))
    await asyncio.sleep(0.2)
    assert len(calls.inside()) == 1
    away = False
    await until(lambda: not calls.inside(), 30)


async def test_a_token_of_the_applications_own_key_needs_no_session(calls: Calls) -> None:
    claims = {
        "iss": "devkey", "sub": "x", "nbf": int(calls.house.clock.unix()),
        "exp": int(calls.house.clock.unix()) + 60, "video": {"room": "r", "roomJoin": True},
    }  # fmt: skip
    await calls.join(jwt.encode(claims, "s" * 32, algorithm="HS256"))
    binding = dict.fromkeys(("id", "app", "account", "device", "session"), "x")
    wrongs: list[Any] = ["x", [], {"id": "x"}, {**binding, "more": "x"}, {**binding, "id": 1}]
    for wrong in [*wrongs, binding]:
        token = jwt.encode({**claims, "sotto": wrong}, "s" * 32, algorithm="HS256")
        assert (await calls.validate(token))[0] == 401


async def test_who_may_not_join_gets_no_token(calls: Calls) -> None:
    house = calls.house
    house.accounts.views["guest"] = account("guest", Role.GUEST, kind=Kind.GUEST)
    guest = await look(house, await house.sign_in("guest", Kind.GUEST))
    narrow = await look(house, (await grant(house)).access.text)
    server = await look(house, (await grant(house, kind=Kind.SERVICE, account=None)).access.text)
    for principal in (guest, narrow, server, Principal(app=APP)):
        with pytest.raises(Refused):
            await calls.tokens.issue(principal, "r")


async def test_call_tokens_over_http(calls: Calls) -> None:
    house = calls.house
    deps = CallDeps(calls.tokens, lambda request: "wss://meet.example.org")
    async with served(house, operations(deps)) as api:
        headers = {"Authorization": f"Bearer {await house.sign_in()}"}
        url = api.url + "/api/v1/calls/tokens"
        async with api.client.post(url, json={"room": "r"}, headers=headers) as answer:
            body = await answer.json()
            assert answer.status == 201 and answer.headers["Cache-Control"] == "no-store"
        assert body["url"] == "wss://meet.example.org"
        assert body["ice_servers"][0]["credential"] == "password"
        await calls.join(body["token"])
        for wrong in ({}, {"room": ""}, {"room": "a\x00"}, {"room": " r"}, {"room": "r", "x": 1}):
            async with api.client.post(url, json=wrong, headers=headers) as answer:
                assert answer.status == 422
        async with api.client.delete(f"{url}/{body['id']}", headers=headers) as answer:
            assert answer.status == 204
        await until(lambda: not calls.inside())
        async with api.client.post(url, json={"room": "r"}) as answer:
            assert answer.status == 401
        assert body["token"] not in str(api.audit.events)
