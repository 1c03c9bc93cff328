"""Promises B22 to B27 through a server started apart: the matrix, PubNub's library, a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from livekit.protocol import models, rtc
from pubnub.exceptions import PubNubException  # type: ignore[import-untyped]
from pubnub.models.consumer.v3.channel import Channel  # type: ignore[import-untyped]
from pubnub.models.consumer.v3.uuid import UUID  # type: ignore[import-untyped]
from pubnub.pnconfiguration import PNConfiguration  # type: ignore[import-untyped]
from pubnub.pubnub import PubNub  # type: ignore[import-untyped]

from signaling.access.keysets import KeySet, SecretKey
from signaling.clock import SystemClock
from tests.command import sotto
from tests.signaling.access.cells import every_cell
from tests.signaling.access.rig import Signer
from tests.signaling.sync.conftest import closed

ROOT = Path(__file__).resolve().parents[3]
PORTS = ("https", "http", "operator", "udp", "tcp")
ROOM = {"resources": {"channels": {"room": 3}}}


def make_key_set(state: Path, *more: str) -> KeySet:
    words = sotto("access", "key-set", "tests", f"--state-dir={state}", *more)
    made = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    keys = json.loads(made.stdout)
    return KeySet(
        id=keys["id"],
        name="tests",
        subscribe_key=keys["subscribe_key"],
        publish_key=keys["publish_key"],
        secrets=(SecretKey(id="first", text=keys["secret_key"], created=0.0),),
        created=0.0,
    )


class Server:
    """One `sotto dev`, and what it wrote."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.ready = folder / "ready.json"
        self.output = folder / "output"
        words = sotto(
            "dev", "--no-turn", f"--state-dir={folder / 'state'}", f"--ready-file={self.ready}",
            *(f"--{name}-port=0" for name in PORTS), "--set", "api.rate_factor=1000",
            *more,
        )  # fmt: skip
        self.ready.unlink(missing_ok=True)
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, env=os.environ)

    async def url(self) -> str:
        end = time.monotonic() + 120
        while not self.ready.exists():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        return str(json.loads(self.ready.read_text())["http_url"]).rstrip("/")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.asynccontextmanager
async def running(folder: Path, keyset: KeySet) -> AsyncIterator[Signer]:
    server = Server(folder)
    try:
        url = await server.url()
        async with aiohttp.ClientSession() as session:
            yield Signer(session, url, SystemClock(), keyset)
    finally:
        server.stop()


@pytest.fixture
def keyset(tmp_path: Path) -> KeySet:
    return make_key_set(tmp_path / "state")


async def test_b22_every_cell_through_a_server(tmp_path: Path, keyset: KeySet) -> None:
    async with running(tmp_path, keyset) as client:
        assert await every_cell(client) > 100
    output = (tmp_path / "output").read_text()
    assert "am_" not in output
    assert keyset.secrets[0].text not in output


async def test_b26_tokens_outlive_the_server_and_so_do_revocations(
    tmp_path: Path, keyset: KeySet
) -> None:
    async with running(tmp_path, keyset) as client:
        kept, revoked = await client.granted(ROOM), await client.granted(ROOM)
        assert (await client.signed("DELETE", f"/grant/{revoked}")).status == 200
        spent = client.target("POST", f"/v3/pam/{keyset.subscribe_key}/grant", b"{}", nonce="n")
        assert (await client.send("POST", spent, data=b"{}")).status == 400
    async with running(tmp_path, keyset) as client:
        assert (await client.check(kept, "publish", channels=["room"])).status == 200
        answer = await client.check(revoked, "publish", channels=["room"])
        assert answer.body["message"] == "Token is revoked"
        assert (await client.send("POST", spent, data=b"{}")).status == 409


async def test_b23_b24_b27_refusals_through_a_server(tmp_path: Path, keyset: KeySet) -> None:
    async with running(tmp_path, keyset) as client:
        for token in (None, "am_x", "am_" + "A" * 64):
            assert (await client.check(token, "history", channels=["room"])).status == 403
        bound = await client.granted({**ROOM, "uuid": "ada"})
        assert (await client.check(bound, "history", channels=["room"])).status == 403
        wrong = await client.check(bound, "history", channels=["room"], uuid="bob")
        assert wrong.status == 403
        right = await client.check(bound, "history", channels=["room"], uuid="ada")
        assert right.status == 200
        body = {"ttl": 5, "permissions": ROOM}
        for origin in (client.base, "https://evil.example", "null"):
            answer = await client.signed("POST", "/grant", body, headers={"Origin": origin})
            assert answer.status == 403
            assert answer.body["code"] == "origin_refused"
            assert "Access-Control-Allow-Origin" not in answer.headers
        sessions = await client.send("GET", "/api/v1/access/key-sets")
        assert sessions.status == 401
        by_token = await client.send(
            "GET", "/api/v1/access/key-sets", headers={"Authorization": f"Bearer {bound}"}
        )
        assert by_token.status in (401, 403)


async def test_b22_b24_b26_sockets_through_a_server(tmp_path: Path, keyset: KeySet) -> None:
    """Subscriptions, presence and their ends on the sync socket; the clock is the real one."""
    async with running(tmp_path, keyset) as client:
        read = {"channels": {"room": 1, "room-pnpres": 1}, "groups": {"team": 5}}
        token = await client.granted({"resources": read})
        opener = await client.granted({"resources": {"channels": {"nothing": 1}}})
        group = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        filled = await client.send(
            "POST", "/api/v1/access/groups/team", data=b'{"add": ["other"]}', headers=group
        )
        assert filled.body == {"name": "team", "rooms": ["other"]}
        headers = {"Sec-WebSocket-Protocol": "sotto.1", "Authorization": f"Bearer {opener}"}
        url = client.base + "/sync"
        async with client.session.ws_connect(url, headers=headers) as socket:
            assert (await socket.receive_json(timeout=30))["type"] == "hello"

            async def bind(session: int, **names: Any) -> Any:
                frame = {"type": "bind", "session": session, "token": token, **names}
                await socket.send_json(frame)
                return await socket.receive_json(timeout=30)

            bound = await bind(1, channels=["room", "room-pnpres"], groups=["team"], uuid="ada")
            assert bound["channels"] == ["other", "room", "room-pnpres"]
            here: Any = {}
            while here.get("uuids") != ["ada"]:
                here = await socket.receive_json(timeout=30)
            refused = await bind(2, channels=["room", "secret"], groups=["foes"])
            while refused["type"] == "here":
                refused = await socket.receive_json(timeout=30)
            assert (refused["code"], refused["status"]) == (206, 403)
            assert refused["body"]["message"] == "Forbidden: secret, foes"
            revoking = asyncio.create_task(client.signed("DELETE", f"/grant/{token}"))
            ended = await socket.receive_json(timeout=30)
            while ended["type"] == "here":
                ended = await socket.receive_json(timeout=30)
            assert (ended["code"], ended["session"], ended["status"]) == (228, 1, 403)
            assert await closed(socket) == 4403
            assert (await revoking).status == 200


@pytest.mark.long
async def test_b26_a_minute_through_a_server(tmp_path: Path, keyset: KeySet) -> None:
    """Granted for a minute: works, and after it 403, what was open is closed, revoking is 400."""
    async with running(tmp_path, keyset) as client:
        started = time.monotonic()
        opener, token = await client.granted(ROOM), await client.granted(ROOM, 1)
        headers = {"Sec-WebSocket-Protocol": "sotto.1", "Authorization": f"Bearer {opener}"}
        url = client.base + "/sync"
        async with client.session.ws_connect(url, headers=headers) as socket:
            await socket.receive_json(timeout=30)
            await socket.send_json(
                {"type": "bind", "session": 1, "token": token, "channels": ["room"]}
            )
            ending = asyncio.create_task(_first_error(socket))
            while time.monotonic() - started < 55:
                answer = await client.check(token, "publish", channels=["room"])
                assert answer.status == 200
                await asyncio.sleep(5)
            frame = await asyncio.wait_for(ending, 10)
            assert 58 < time.monotonic() - started < 62
            assert (frame["code"], frame["session"], frame["status"]) == (202, 1, 403)
            assert await closed(socket) == 4403
        answer = await client.check(token, "publish", channels=["room"])
        assert (answer.status, answer.body["message"]) == (403, "Token is expired")
        answer = await client.signed("DELETE", f"/grant/{token}")
        assert (answer.status, answer.body["error"]["message"]) == (400, "Invalid token")


async def _first_error(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """Answers pings until there is one."""
    while True:
        frame = await socket.receive_json()
        if frame["type"] == "error":
            return frame
        if frame["type"] == "ping":
            await socket.send_json({"type": "pong", "id": frame["id"]})


async def test_b22_b26_calls_through_a_server(tmp_path: Path, keyset: KeySet) -> None:
    """Read opens the call, write lets speak, manage moderates; revoking ends who is in it."""
    async with running(tmp_path, keyset) as client:

        async def wish(token: str | None, room: str = "room", uuid: str | None = None) -> Any:
            query = "" if uuid is None else f"?uuid={uuid}"
            headers = {"Content-Type": "application/json"}
            if token is not None:
                headers["Authorization"] = f"Bearer {token}"
            body = json.dumps({"room": room})
            path = f"/api/v1/access/call-tokens{query}"
            return await client.send("POST", path, data=body, headers=headers)

        for mask in (0, 2, 4, 128, 238):
            token = await client.granted({"resources": {"channels": {"room": mask}}})
            answer = await wish(token)
            assert answer.status == 403
            assert answer.body["payload"] == {"channels": ["room"]}
        assert (await wish(None)).status == 403
        for mask, publishes, moderates in ((1, False, False), (3, True, False), (7, True, True)):
            token = await client.granted({"resources": {"channels": {"room": mask}}, "uuid": "ada"})
            assert (await wish(token)).status == 403
            assert (await wish(token, "other", "ada")).status == 403
            made = await wish(token, "room", "ada")
            assert made.status == 201
            grant = jwt.decode(made.body["token"], options={"verify_signature": False})["video"]
            assert grant["canPublish"] is grant["canPublishData"] is publishes
            assert grant.get("roomAdmin", False) is moderates
        await _join_and_be_ended(client, token, made.body["token"])


async def _join_and_be_ended(client: Signer, token: str, call_token: str) -> None:
    url = f"{client.base}/rtc?access_token={call_token}&protocol=15&auto_subscribe=1"
    async with client.session.ws_connect(url) as socket:
        first = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
        assert first.join.participant.identity.startswith("ada:")
        revoking = asyncio.create_task(client.signed("DELETE", f"/grant/{token}"))
        while True:
            frame = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
            if frame.WhichOneof("message") == "leave":
                break
        assert frame.leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
        assert (await revoking).status == 200
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.session.ws_connect(url)
    assert refused.value.status == 401


# It warns of changes to come in itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_b25_pubnubs_own_library(tmp_path: Path, keyset: KeySet) -> None:
    """Its grant, its token and its revocation, over HTTP as it speaks it."""
    async with running(tmp_path, keyset) as client:
        host = client.base.removeprefix("http://")
        token, errors = await asyncio.to_thread(_with_pubnub, keyset, host)
        assert token.startswith("am_")
        answer = await client.check(token, "publish", channels=["inbox é"], uuid="ada")
        assert answer.body["message"] == "Token is revoked"
    assert errors == [400, 403]


def _with_pubnub(keyset: KeySet, host: str) -> tuple[str, list[int]]:
    errors = []
    library = _library(keyset, host, keyset.secrets[0].text)
    wanted = library.grant_token().ttl(15).authorized_uuid("ada").meta({"a": "b"})
    wanted.channels([Channel.id("inbox é").read().write(), Channel.pattern("^r.*$").read()])
    wanted.uuids([UUID.id("ada").get().update()])
    token: str = wanted.sync().result.get_token()
    library.revoke_token(token).sync()
    library.revoke_token(token).sync()
    for secret, ttl in ((keyset.secrets[0].text, 50_000), ("sec_wrong", 5)):
        library = _library(keyset, host, secret)
        with pytest.raises(PubNubException) as refused:
            library.grant_token().ttl(ttl).channels([Channel.id("x").read()]).sync()
        errors.append(refused.value._status_code)
    return token, errors


def _library(keyset: KeySet, host: str, secret: str) -> Any:
    config = PNConfiguration()
    config.subscribe_key, config.publish_key = keyset.subscribe_key, keyset.publish_key
    config.secret_key = secret
    config.origin, config.ssl, config.uuid = host, False, "server *1*(a)~!'"
    return PubNub(config)
