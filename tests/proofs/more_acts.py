"""One act of every kind, continued: OAuth, the Access Manager, calls, sockets, and bad requests.

As `acts`, with whose `Stage` it works.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import time
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
from livekit.protocol import rtc

from signaling.access import signature
from signaling.rtc.grants import VideoGrant
from signaling.rtc.tokens import ApiKeys, Claims, issue
from signaling.secret import Secret
from tests.proofs.acts import Stage
from tests.proofs.server import API_KEY, API_SECRET, Answered
from tests.signaling.oauth.conftest import Prover

BACK = "https://app.example/back"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def post(stage: Stage, path: str, form: dict[str, str], **headers: str) -> Answered:
    fields = {**FORM, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await stage.api.send("POST", path, data=urlencode(form).encode(), headers=fields)


async def cookie(stage: Stage) -> str:
    """A browser's session; the value is in no answer but in its header."""
    body = {"login": stage.new("owner.login"), "password": stage.new("owner.password")}
    origin = stage.api.installation.url
    answer = await stage.api.send(
        "POST", "/api/v1/sign-in/password", {**body, "cookie": True},
        headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    found = re.search(r"(__Host-sotto)=([^;]+)", answer.headers["Set-Cookie"])
    assert found is not None
    stage.canaries.learn("cookie", found[2])
    return f"{found[1]}={found[2]}"


async def oauth(stage: Stage) -> None:
    """Every grant once; a code and a device are left waiting."""
    client = await stage.api.must(
        "POST", "/oauth/clients",
        {"name": "An app", "redirect_uris": [BACK], "scopes": ["account:read"],
         "grants": ["authorization_code", "refresh_token", "client_credentials",
                    "urn:ietf:params:oauth:grant-type:device_code"],
         "confidential": True, "introspects": True},
        stage.owner,
    )  # fmt: skip
    pair = f"{client['id']}:{client['secret']}".encode()
    stage.canaries.learn("client's credentials", base64.b64encode(pair).decode())
    basic = "Basic " + base64.b64encode(pair).decode()
    jar = await cookie(stage)
    code, verifier = await consent(stage, jar, client["id"])
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    form["code_verifier"] = verifier
    prover = Prover()
    answer = await proved(stage, prover, form, basic)
    refresh = {"grant_type": "refresh_token", "refresh_token": answer.body["refresh_token"]}
    await proved(stage, prover, refresh, basic)
    own = await post(
        stage, "/oauth/token", {"grant_type": "client_credentials"}, Authorization=basic
    )
    token = {"token": own.body["access_token"]}
    assert (await post(stage, "/oauth/introspect", token, Authorization=basic)).body["active"]
    await post(stage, "/oauth/revoke", token, Authorization=basic)
    device = await post(stage, "/oauth/device_authorization", {}, Authorization=basic)
    assert device.status == 200, device.raw
    for spelling in (device.body["user_code"], device.body["user_code"].replace("-", "")):
        stage.canaries.learn("user code", spelling)
    await consent(stage, jar, client["id"])


async def proved(stage: Stage, prover: Prover, form: dict[str, str], basic: str) -> Answered:
    """Tokens bound to a key; the server's nonce comes with its first refusal (RFC 9449)."""
    url, nonce = stage.api.installation.url + "/oauth/token", None
    for number in range(2):
        jti = stage.new(f"dpop.jti{form['grant_type']}{number}")
        proof = prover.proof("POST", url, time.time(), jti=jti, nonce=nonce)
        answer = await post(stage, "/oauth/token", form, Authorization=basic, DPoP=proof)
        nonce = answer.headers.get("DPoP-Nonce")
        stage.canaries.learn("DPoP proof", proof)
    assert answer.status == 200, answer.raw
    return answer


async def consent(stage: Stage, jar: str, client: str) -> tuple[str, str]:
    """A code for the app, and the verifier that it needs."""
    verifier = stage.new("oauth.verifier") + "v" * 30
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    query = {
        "response_type": "code", "client_id": client, "redirect_uri": BACK,
        "state": stage.new("oauth.state"), "code_challenge": digest.rstrip(b"=").decode(),
        "code_challenge_method": "S256", "scope": "account:read",
    }  # fmt: skip
    page = await stage.api.send(
        "GET", f"/oauth/authorize?{urlencode(query)}", headers={"Cookie": jar}
    )
    location = page.headers.get("Location", "")
    if page.status == 200:
        found = re.search(rb'name="request" value="([^"]*)"', page.raw)
        assert found is not None
        form = {"request": unescape(found[1].decode()), "decision": "allow"}
        answer = await post(
            stage, "/oauth/authorize", form, Cookie=jar, Sec_Fetch_Site="same-origin",
            Origin=stage.api.installation.url,
        )  # fmt: skip
        location = answer.headers["Location"]
    code = parse_qs(urlsplit(location).query)["code"][0]
    stage.canaries.learn("oauth code", code)
    return code, verifier


async def access(stage: Stage) -> None:
    """A key set, grants by both doors, a group of rooms, checks, and a token taken back."""
    api, new = stage.api, stage.new
    made = await api.must("POST", "/access/key-sets", {"name": new("key_set.name")}, stage.owner)
    stage.keyset = {**made["key_set"], "secret": made["secret_key"]}
    stage.canaries.learn("key set's secret", made["secret_key"])
    rotated = await api.must(
        "POST", f"/access/key-sets/{stage.keyset['id']}/rotate", {"overlap_seconds": 60},
        stage.owner,
    )  # fmt: skip
    stage.canaries.learn("key set's secret", rotated["secret_key"])
    permissions = {
        "resources": {
            "channels": {new("access.room"): 239}, "groups": {new("access.group"): 5},
            "uuids": {new("access.account"): 104},
        },
        "patterns": {"channels": {f"^{new('access.pattern')}.*$": 1}},
        "meta": {"note": new("access.meta")}, "uuid": new("access.uuid"),
    }  # fmt: skip
    body = {"ttl": 60, "permissions": permissions}
    path = f"/access/key-sets/{stage.keyset['id']}/tokens"
    token = (await api.must("POST", path, body, stage.owner))["token"]
    nonce = {"nonce": new("signed.nonce")}
    granted = await signed(stage, "POST", "/grant", body, **nonce)
    assert granted.status == 200, granted.raw
    await signed(stage, "POST", "/parse", {"token": token})
    explained = {"token": token, "operation": "publish", "channels": [new("access.room")]}
    await signed(stage, "POST", "/explain", explained)
    await signed(stage, "GET", "/grants")
    await signed(stage, "DELETE", f"/grant/{granted.body['data']['token']}")
    who = f"?uuid={new('access.uuid')}"
    group = f"/access/groups/{new('access.group')}{who}"
    await api.ask("POST", group, {"add": [new("group.room")]}, token)
    question = {"operation": "publish", "channels": [new("access.room"), new("access.refused")]}
    await api.ask("POST", f"/access/check{who}", question, token)
    wish = {"room": new("access.room"), "name": new("access.call_name")}
    await api.ask("POST", f"/access/call-tokens{who}", wish, token)
    key = {"Idempotency-Key": new("idempotency.key"), "Authorization": f"Bearer {token}"}
    for _ in range(2):
        await api.send(
            "POST", f"/api/v1{group}", {"add": [new("group.again")]}, headers=key
        )  # fmt: skip


async def signed(stage: Stage, method: str, tail: str, body: Any = None, **query: str) -> Answered:
    raw = b"" if body is None else json.dumps(body).encode()
    path = f"/v3/pam/{stage.keyset['subscribe_key']}{tail}"
    written = urlencode({"timestamp": str(int(time.time())), **query})
    request = signature.read(method, f"{path}?{written}", raw)
    made = signature.sign(request, stage.keyset["publish_key"], stage.keyset["secret"])
    stage.canaries.learn("signature", made)
    return await stage.api.send(
        method, f"{path}?{written}&signature={made}", data=raw or None,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip


async def sockets(stage: Stage) -> None:
    """A ticket spent and one left; presence; a call with the page's token and with the API's."""
    api, new = stage.api, stage.new
    base = api.installation.url.replace("https", "wss", 1)
    ticket = (await api.must("POST", "/sync/tickets", token=stage.person))["ticket"]
    await api.must("POST", "/sync/tickets", token=stage.person)
    async with api.session.ws_connect(
        f"{base}/sync?ticket={ticket}", protocols=["sotto.1"], headers=api.headers
    ) as socket:
        assert (await socket.receive_json(timeout=30))["type"] == "hello"
        await socket.send_json({"type": "presence", "text": new("frame.text")})
        await socket.send_str(new("frame.no_json"))
        with contextlib.suppress(TimeoutError):
            await socket.receive(timeout=0.3)
    wish = {"room": new("call.room"), "name": new("call.name")}
    call = await api.must("POST", "/calls/tokens", wish, stage.person)
    await join(stage, call["token"])
    await api.must("POST", "/calls/tokens", {"room": new("call.unused")}, stage.person)
    wish = {"room": new("join.room"), "name": new("join.name")}
    made = await api.send("POST", "/api/join", wish)
    await join(stage, made.body["token"])
    grant = VideoGrant(room=new("api.room"), room_join=True, room_admin=True, room_create=True,
                       room_list=True)  # fmt: skip
    claims = Claims(
        key=API_KEY, identity=new("api.identity"), name=new("api.name"), video=grant,
        has_video=True, metadata=new("api.metadata"),
    )  # fmt: skip
    token = issue(ApiKeys({API_KEY: Secret(API_SECRET)}), claims, time.time(), 60)
    stage.canaries.learn("call token of the API", token, token.rpartition(".")[2])
    await join(stage, token)
    for method in ("CreateRoom", "ListRooms", "UpdateRoomMetadata", "SendData"):
        body = {"room": new("api.room"), "name": new("api.room"), "metadata": new("room.metadata")}
        path = f"/twirp/livekit.RoomService/{method}"
        answer = await api.send("POST", path, body, token)
        assert answer.status < 500, answer.raw
    for path in ("whip", "whep"):
        sdp = f"v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\ns={new('sdp.name')}\r\n".encode()
        fields = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
        await api.send("POST", f"/{path}/{new('whip.room')}", data=sdp, headers=fields)


async def ringing(stage: Stage) -> None:
    """A call of a room that rings and is left ringing."""
    api = stage.api
    owner = (await api.must("GET", "/account", token=stage.owner))["id"]
    wish = {"kind": "direct", "members": [owner]}
    room = (await api.must("POST", "/rooms", wish, stage.person))["id"]
    begun = {"name": stage.new("call.shown")}
    await api.must("POST", f"/rooms/{room}/call", begun, stage.person)
    listed = await api.must("GET", "/calls?open=true", token=stage.owner)
    assert listed["items"][0]["reject_token"]


async def delivering(stage: Stage) -> None:
    """Webhooks and a route that nobody takes: what waits, and what was given up; a way in."""
    api, new = stage.api, stage.new
    room = (await api.must("POST", "/rooms", {"name": new("delivery.room name")}, stage.owner))[
        "id"
    ]
    there = f"https://127.0.0.1:{stage.provider.port}"
    hooks = []
    for name in ("waits", "dies"):
        wish = {
            "url": there + "/" + new(f"hook.{name}"),
            "name": new(f"hook.{name} name"),
            "room": room,
        }
        hooks.append((await api.must("POST", "/webhooks", wish, stage.owner))["id"])
    to = {
        "type": "s3", "endpoint": there, "bucket": "proofs", "access_key": new("route.access"),
        "secret_key": new("route.secret"),
    }  # fmt: skip
    await api.must(
        "POST", "/routes", {"to": to, "name": new("route.name"), "room": room}, stage.owner
    )
    wish = {"room": room, "name": new("incoming.name")}
    made = await api.must("POST", "/incoming-webhooks", wish, stage.owner)
    stage.canaries.learn("incoming token", made["url"].rpartition("/")[2])
    await api.must("POST", f"/rooms/{room}/messages", {"text": new("delivery.text")}, stage.owner)
    at = f"/webhooks/{hooks[1]}"
    async with asyncio.timeout(180):
        while not (await api.must("GET", at, token=stage.owner))["failing_since"]:
            await asyncio.sleep(0.1)
        await api.must("PATCH", at, {"enabled": False}, stage.owner)
        while not (await api.must("GET", at + "/dead-letters", token=stage.owner))["items"]:
            await asyncio.sleep(0.1)


async def join(stage: Stage, token: str) -> None:
    base = stage.api.installation.url.replace("https", "wss", 1)
    url = f"{base}/rtc?access_token={token}&protocol=17"
    async with stage.api.session.ws_connect(url, headers=stage.api.headers) as socket:
        first = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
        assert first.WhichOneof("message") == "join"
        update = rtc.SignalRequest()
        update.update_metadata.metadata = stage.new("participant.metadata")
        update.update_metadata.name = stage.new("participant.name")
        await socket.send_bytes(update.SerializeToString())


async def astray(stage: Stage) -> None:
    """Secrets where they do not belong: in paths, queries, headers, bodies that are refused."""
    api, new = stage.api, stage.new
    for path in ("/api/v1/", "/", "/rtc/", "/oauth/", "/problems/", "/twirp/x/"):
        await api.send("GET", f"{path}{new('stray.path')}?x={new('stray.query')}")
    for header in ("Cookie", "X-Request-Id", "If-Match", "Origin", "Sec-WebSocket-Protocol"):
        await api.send("GET", "/api/v1/session", headers={header: new(f"header.{header}")})
    for scheme in ("Bearer", "Basic", "DPoP", "Digest"):
        word = {"Authorization": f"{scheme} {new(f'header.{scheme}')}"}
        for path in ("/api/v1/session", "/rtc/validate", "/sync", "/oauth/introspect"):
            await api.send("GET" if "oauth" not in path else "POST", path, headers=word)
    for token in (stage.person, stage.owner):
        await api.send("GET", f"/rtc/validate?access_token={token}")
        await api.send("GET", f"/api/v1/session?access_token={token}")
        await api.send("GET", f"/sync?access_token={token}")
    broken = b'{"login": "' + new("broken.body").encode()
    await api.send(
        "POST", "/api/v1/sign-up", data=broken, headers={"Content-Type": "application/json"}
    )
    form = {"grant_type": new("form.grant"), "client_id": new("form.client"), "code": new("form.c")}
    await post(stage, "/oauth/token", form)
    with contextlib.suppress(aiohttp.ClientError):
        await api.send("GET", "/ca.crt?" + new("stray.ca"))


async def troubled(stage: Stage) -> None:
    """Somebody sends the log of their client, with a note of their own."""
    line = {"at": 1.0, "level": "error", "text": stage.new("client_log.text")}
    body = {"consent": True, "lines": [line], "note": stage.new("client_log.note")}
    sent = await stage.api.must("POST", "/diagnostics", body, stage.person)
    await stage.api.must("GET", f"/diagnostics/{sent['id']}", None, stage.owner)


async def reading(stage: Stage) -> None:
    """Who administers reads what was recorded, in every form."""
    auditor = await stage.api.invited(
        stage.owner, stage.new("auditor.login"), "auditor", password=stage.new("auditor.password")
    )
    for path in ("/audit?limit=100", "/audit/head", "/audit/verification",
                 "/audit/export?format=csv", "/audit/export?format=ndjson"):  # fmt: skip
        answer = await stage.api.ask("GET", path, token=auditor["access_token"])
        assert answer.status == 200, answer.raw
    for path in ("/keys", "/oauth/clients", "/access/key-sets"):
        await stage.api.ask("GET", path, token=stage.owner)
