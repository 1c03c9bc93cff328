"""Two servers, started apart, on one MongoDB stand-in and one real Redis: who ends in one has ended
in the other within a second, sockets and calls alike; a role that changes is told to open sockets
and changes what its holder may do in a call.

`test_two_processes` tells the bus from the log; here is what people notice. Without Redis nobody
signs in, since guesses cannot be counted, and calls go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
import pytest
from livekit.protocol import models, rtc

from tests.peers.mongo.stand_in import StandIn
from tests.peers.redis_server import USER, WORD, RedisServer
from tests.rows.house import PASSWORD, House, Visit, closed, visiting
from tests.slack import within

# aiohttp leaves closing a TLS connection to its loop, which ends with the test.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <(socket|asyncio|_SSL|function _)"
    ":pytest.PytestUnraisableExceptionWarning"
)
HELD = 20


@pytest.fixture(scope="module")
def houses(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[House, House, RedisServer]]:
    """Of one installation: the state directory, thus the keys, are the same."""
    folder = tmp_path_factory.mktemp("two")
    mongo = StandIn.start()
    (folder / "redis").mkdir()
    redis = RedisServer.new(folder / "redis")
    client = folder / "redis" / "ca" / "client.pem"
    settings = {
        "store.url": f"mongodb://127.0.0.1:{mongo.port}/", "store.insecure_without_auth": "true",
        "store.database": f"two_{secrets.token_hex(4)}",
        "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")), "bus.timeout_seconds": "5",
    }  # fmt: skip
    environment = {"SOTTO_BUS__PASSWORD": WORD}
    for name in ("one", "other"):
        (folder / name).mkdir()
    one = House(folder / "one", settings, environment=environment)
    given = {**settings, "process.state_dir": str(one.state)}
    other = House(folder / "other", given, environment=environment)
    try:
        one.start().setup()
        other.start()
        yield one, other, redis
    finally:
        other.stop()
        one.stop()
        redis.stop()
        mongo.stop()


@dataclass
class Two:
    """`here` is told what to end, `there` holds it open."""

    here: Visit
    there: Visit
    redis: RedisServer


@pytest.fixture
async def two(houses: tuple[House, House, RedisServer]) -> AsyncIterator[Two]:
    one, other, redis = houses
    async with visiting(one) as here, visiting(other) as there:
        yield Two(here, there, redis)


async def told(socket: aiohttp.ClientWebSocketResponse, kind: str) -> Any:
    while (frame := await socket.receive_json(timeout=30))["type"] != kind:
        assert frame["type"] == "ping", frame
        await socket.send_json({"type": "pong", "id": frame["id"]})
    return frame


async def answered(socket: aiohttp.ClientWebSocketResponse, kind: str) -> Any:
    """The next such signal of a call."""
    while True:
        frame = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
        if frame.WhichOneof("message") == kind:
            return getattr(frame, kind)


@contextlib.asynccontextmanager
async def inside(there: Visit, call_token: str) -> AsyncIterator[Any]:
    """A participant on that server: its socket, and who it is."""
    url = f"{there.house.url}/rtc?access_token={call_token}&protocol=15&auto_subscribe=1"
    async with there.client.ws_connect(url) as socket:
        joined = await answered(socket, "join")
        yield socket, joined.participant.identity


async def call_token(visit: Visit, token: str, room: str) -> Any:
    made = await visit.ask("POST", "/calls/tokens", {"room": room}, token)
    assert made.status == 201, made.text
    return made.body


async def test_7_4_1_signing_out_in_one_closes_a_socket_in_the_other(two: Two) -> None:
    took = []
    for _ in range(HELD):
        token, _ = await two.here.joined()
        async with two.there.socket(token) as socket:
            began = time.monotonic()
            ending = asyncio.create_task(two.here.ask("DELETE", "/session", token=token))
            assert await closed(socket) == 4401
            took.append(time.monotonic() - began)
            assert (await ending).status == 204
        assert (await two.there.ask("GET", "/session", token=token)).status == 401
    within(1, took)


async def test_8_3_2_a_changed_role_reaches_open_sockets_of_the_other(two: Two) -> None:
    owner = await two.here.owner()
    token, _ = await two.here.joined("administrator", owner=owner)
    account = (await two.here.ask("GET", "/account", token=token)).body["id"]
    took = []
    async with two.there.socket(token) as socket:
        for number in range(HELD):
            roles = [("member", "administrator")[number % 2]]
            began = time.monotonic()
            changing = asyncio.create_task(
                two.here.ask(
                    "PATCH", f"/accounts/{account}", {"roles": roles}, owner,
                    headers={"If-Match": "*"},
                )
            )  # fmt: skip
            assert (await told(socket, "rights"))["roles"] == roles
            took.append(time.monotonic() - began)
            assert (await changing).status == 200
            status = 200 if roles == ["administrator"] else 403
            assert (await two.there.ask("GET", "/accounts", token=token)).status == status
        assert not socket.closed
    within(1, took)


async def test_7_4_2_disabling_an_account_in_one_closes_its_sockets_in_the_other(two: Two) -> None:
    owner, took = await two.here.owner(), []
    for _ in range(5):
        token, _ = await two.here.joined(owner=owner)
        account = (await two.here.ask("GET", "/account", token=token)).body["id"]
        async with two.there.socket(token) as one, two.there.socket(token) as other:
            began = time.monotonic()
            disabling = asyncio.create_task(
                two.here.ask(
                    "PATCH", f"/accounts/{account}", {"disabled": True}, owner,
                    headers={"If-Match": "*"},
                )
            )  # fmt: skip
            for socket in (one, other):
                assert await closed(socket) is not None
            took.append(time.monotonic() - began)
            assert (await disabling).status == 200
    within(1, took)


async def ending(two: Two, what: str, token: str, made: Any) -> None:
    """The session, the call token, or the account, as the first server is asked to."""
    wish, body, headers, status = "DELETE", None, {}, 204
    path = "/session" if what == "session" else f"/calls/tokens/{made['id']}"
    if what == "account":
        ident = made["identity"].partition(":")[0]
        wish, path, body = "PATCH", f"/accounts/{ident}", {"disabled": True}
        token, headers, status = await two.here.owner(), {"If-Match": "*"}, 200
    answer = await two.here.ask(wish, path, body, token, headers=headers)
    assert answer.status == status, answer.text


@pytest.mark.parametrize("what", ["session", "call token", "account"])
async def test_7_4_2_whoever_is_in_a_call_leaves_it_when_the_other_server_revokes(
    two: Two, what: str
) -> None:
    """The session ends, the token of the call is taken back, or the account is disabled; who else
    is in the call stays.
    """
    room, took = f"room-{secrets.token_hex(4)}", []
    await two.here.owner()
    stays, _ = await two.here.joined()
    async with inside(two.there, (await call_token(two.there, stays, room))["token"]) as (other, _):
        for _ in range(5):
            token, _ = await two.here.joined()
            made = await call_token(two.there, token, room)
            async with inside(two.there, made["token"]) as (socket, identity):
                began = time.monotonic()
                revoking = asyncio.create_task(ending(two, what, token, made))
                leave = await answered(socket, "leave")
                took.append(time.monotonic() - began)
                assert leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
                await revoking
            assert await gone(other, identity)
            url = f"{two.there.house.url}/rtc/validate?access_token={made['token']}"
            async with two.there.client.get(url) as answer:
                assert answer.status == 401
        assert not other.closed
    within(1, took)


async def gone(socket: aiohttp.ClientWebSocketResponse, identity: str) -> bool:
    """Who stays is told that this one has left."""
    while True:
        for one in (await answered(socket, "update")).participants:
            if one.identity == identity and one.state == models.ParticipantInfo.DISCONNECTED:
                return True


async def moderates(visit: Visit, call_token: str, room: str) -> tuple[int, str]:
    """What LiveKit's server API answers there, with the code of a refusal."""
    url = "/twirp/livekit.RoomService/ListParticipants"
    word = {"Authorization": f"Bearer {call_token}"}
    answer = await visit.send("POST", url, json={"room": room}, headers=word)
    return answer.status, str(answer.body.get("code", ""))


@pytest.mark.parametrize("what", ["session", "call token", "account"])
async def test_a_token_that_was_revoked_moderates_on_neither_server(two: Two, what: str) -> None:
    """An administrator's, who was in no call: nothing of it is open, and it is good for minutes."""
    room, owner = f"room-{secrets.token_hex(4)}", await two.here.owner()
    token, _ = await two.here.joined("administrator", owner=owner)
    made = await call_token(two.there, token, room)
    for visit in (two.here, two.there):
        assert await moderates(visit, made["token"], room) == (200, "")
    await ending(two, what, token, made)
    for visit in (two.here, two.there):
        assert await moderates(visit, made["token"], room) == (401, "unauthenticated")


async def test_b26_the_pass_of_a_revoked_access_token_moderates_on_neither_server(two: Two) -> None:
    room, signer = f"room-{secrets.token_hex(4)}", await two.here.signer()
    token = await signer.granted({"resources": {"channels": {room: 7}}})
    made = await two.there.ask("POST", "/access/call-tokens", {"room": room}, token)
    assert made.status == 201, made.text
    for visit in (two.here, two.there):
        assert await moderates(visit, made.body["token"], room) == (200, "")
    answer = await signer.signed("DELETE", f"/grant/{quote(token, safe='')}")
    assert answer.status == 200, answer.text
    for visit in (two.here, two.there):
        assert await moderates(visit, made.body["token"], room) == (401, "unauthenticated")


async def pushed(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """The grant in the next token that the client is given."""
    token = await answered(socket, "refresh_token")
    return jwt.decode(token, options={"verify_signature": False})["video"]


async def test_8_3_2_a_changed_role_reaches_running_calls_of_the_other(two: Two) -> None:
    """An administrator moderates, a member does not, whatever the token said that it joined with;
    who is in the call is given a token that says so.
    """
    room, owner = f"room-{secrets.token_hex(4)}", await two.here.owner()
    token, _ = await two.here.joined("administrator", owner=owner)
    made = await call_token(two.there, token, room)
    path, took = f"/accounts/{made['identity'].partition(':')[0]}", []
    async with inside(two.there, made["token"]) as (socket, _):
        for number in range(10):
            role = ("member", "administrator")[number % 2]
            began, headers = time.monotonic(), {"If-Match": "*"}
            changing = asyncio.create_task(
                two.here.ask("PATCH", path, {"roles": [role]}, owner, headers=headers)
            )
            grant = await pushed(socket)
            took.append(time.monotonic() - began)
            assert (await changing).status == 200
            assert grant.get("roomAdmin", False) == (role == "administrator")
            may = (200, "") if role == "administrator" else (401, "unauthenticated")
            for visit in (two.here, two.there):
                assert await moderates(visit, made["token"], room) == may
        assert not socket.closed
    within(1, took)


async def test_8_3_2_another_part_in_the_room_reaches_its_call_on_the_other_server(
    two: Two,
) -> None:
    owner, took = await two.here.owner(), []
    token, _ = await two.here.joined(owner=owner)
    account = (await two.here.ask("GET", "/account", token=token)).body["id"]
    wish = {"name": "n", "members": [account]}
    room = (await two.here.ask("POST", "/rooms", wish, owner)).body["id"]
    made = await call_token(two.there, token, room)
    async with inside(two.there, made["token"]) as (socket, _):
        for number in range(10):
            part = ("moderator", "member")[number % 2]
            path = f"/rooms/{room}/members/{account}"
            began = time.monotonic()
            changing = asyncio.create_task(two.here.ask("PUT", path, {"part": part}, owner))
            grant = await pushed(socket)
            took.append(time.monotonic() - began)
            assert (await changing).status == 200
            assert grant.get("roomAdmin", False) == (part == "moderator")
            may = (200, "") if part == "moderator" else (401, "unauthenticated")
            for visit in (two.here, two.there):
                assert await moderates(visit, made["token"], room) == may
        assert not socket.closed
    within(1, took)


async def test_without_redis_nobody_signs_in_and_calls_go_on(two: Two) -> None:
    """Class 30. Last in this file: it takes Redis away and brings it back."""
    token, login = await two.here.joined()
    room = f"room-{secrets.token_hex(4)}"
    right = {"login": login, "password": PASSWORD}
    async with inside(two.there, (await call_token(two.there, token, room))["token"]) as (stays, _):
        two.redis.stop()
        try:
            for visit in (two.here, two.there):
                for body in (right, {**right, "password": "a wrong one"}):
                    answer = await visit.ask("POST", "/sign-in/password", body)
                    assert answer.status == 503 and "Retry-After" in answer.headers, answer.text
                assert (await visit.ask("GET", "/session", token=token)).status == 200
            made = await call_token(two.there, token, room)
            async with inside(two.there, made["token"]) as (_, identity):
                assert identity
            assert not stays.closed
        finally:
            await asyncio.to_thread(two.redis.start)
        async with asyncio.timeout(60):
            while (await two.here.ask("POST", "/sign-in/password", right)).status != 200:
                await asyncio.sleep(0.2)
        assert not stays.closed
