"""The rest of the endpoint by role table: what is another's, and the surfaces of calls.

The columns of roles are checked in `tests/signaling/http/test_roles.py`. Here a member asks for
every kind of object that another has, and everybody comes to every door of calls.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit.protocol import models, rtc

from signaling.accounts.principal import Role
from signaling.delivery.push.webpush import private_key, public_point
from signaling.http.api.role_table import (
    BEARER,
    CALL_CELLS,
    CALLS,
    PEOPLE,
    operations_of,
    others,
)
from tests.proofs.document import NOBODY, Shapes, operations, usual
from tests.proofs.server import ROOT, Answered, Api, Installation
from tests.signaling.accounts.authenticator import Authenticator, b64
from tests.signaling.accounts.rig import secret_of

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\ns=-\r\nt=0 0\r\n"
# What LiveKit's clients send: the older ones a few words, newer ones the whole request.
_REQUEST = rtc.JoinRequest(client_info=models.ClientInfo(protocol=17)).SerializeToString()
_WRAPPED = rtc.WrappedJoinRequest(join_request=_REQUEST).SerializeToString()
JOIN = f"protocol=17&join_request={base64.urlsafe_b64encode(_WRAPPED).decode()}"
GOLDEN = ROOT / "tests/mediaserver/golden/aiortc.json"
Maker = Callable[[Api, str, Mapping[str, str]], Awaitable[str]]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    settings = {"api.reauth_seconds": "3600", "calls.guest_join": "false"}
    async with Installation(tmp_path, settings).running() as made:
        yield made


# Makers of the objects that a member may have, by the name of the parameter: whose it is (a
# token), and what was made before, so that a message lies in the room that is asked for.


async def device(api: Api, token: str, made: Mapping[str, str]) -> str:
    return str((await api.must("GET", "/account/devices", token=token))["items"][0]["id"])


async def session(api: Api, token: str, made: Mapping[str, str]) -> str:
    return str((await api.must("GET", "/sessions", token=token))["items"][0]["id"])


async def passkey(api: Api, token: str, made: Mapping[str, str]) -> str:
    begun = await api.must("POST", "/account/passkeys/options", token=token)
    key = Authenticator(origin=api.installation.url).create(begun["options"])
    body = {"ticket": begun["ticket"], "credential": key, "name": "key"}
    await api.must("POST", "/account/passkeys", body, token)
    return str((await api.must("GET", "/account", token=token))["passkeys"][0]["id"])


async def call_token(api: Api, token: str, made: Mapping[str, str]) -> str:
    return str((await api.must("POST", "/calls/tokens", {"room": "r"}, token))["id"])


async def consented(api: Api, token: str, made: Mapping[str, str]) -> str:
    """A client of the app: what may be withdrawn is one's own consent to it."""
    wish = {
        "name": "App", "redirect_uris": [], "scopes": ["account:read"], "confidential": True,
        "grants": ["urn:ietf:params:oauth:grant-type:device_code"],
    }  # fmt: skip
    return str((await api.must("POST", "/oauth/clients", wish, made["owner"]))["id"])


async def group(api: Api, token: str, made: Mapping[str, str]) -> str:
    return "a-group"


async def room(api: Api, token: str, made: Mapping[str, str]) -> str:
    if "room_id" in made:
        return made["room_id"]
    return str((await api.must("POST", "/rooms", {"name": "theirs"}, token))["id"])


async def room_invite(api: Api, token: str, made: Mapping[str, str]) -> str:
    where = made["room_id"]
    made_now = await api.must("POST", f"/rooms/{where}/invites", {}, token)
    return str(made_now["invite"]["id"])


async def report(api: Api, token: str, made: Mapping[str, str]) -> str:
    where = made["room_id"]
    one = made.get("message_id") or await message(api, token, made)
    path = f"/rooms/{where}/messages/{one}/reports"
    return str((await api.must("POST", path, {"reason": "spam"}, token))["id"])


async def scheduled(api: Api, token: str, made: Mapping[str, str]) -> str:
    wish = {"at": "2099-01-01T00:00:00Z", "message": {"text": "later"}}
    return str((await api.must("POST", f"/rooms/{made['room_id']}/scheduled", wish, token))["id"])


async def message(api: Api, token: str, made: Mapping[str, str]) -> str:
    where = made["room_id"]
    sent = await api.must("POST", f"/rooms/{where}/messages", {"text": "theirs"}, token)
    return str(sent["id"])


async def account(api: Api, token: str, made: Mapping[str, str]) -> str:
    return str((await api.must("GET", "/account", token=token))["id"])


async def file(api: Api, token: str, made: Mapping[str, str]) -> str:
    words = {"room": made["room_id"], "filename": "a.txt"}
    named = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in words.items())
    headers = {
        "Tus-Resumable": "1.0.0", "Upload-Length": "5", "Authorization": f"Bearer {token}",
        "Upload-Metadata": named,
    }  # fmt: skip
    answer = await api.send("POST", "/api/v1/uploads", headers=headers)
    assert answer.status == 201, answer.raw
    return answer.headers["Location"].rpartition("/")[2]


async def call(api: Api, token: str, made: Mapping[str, str]) -> str:
    begun = await api.must("POST", f"/rooms/{made['room_id']}/call", {}, token)
    return str(begun["call"]["id"])


async def emoji(api: Api, token: str, made: Mapping[str, str]) -> str:
    return "%F0%9F%91%8D"


async def push(api: Api, token: str, made: Mapping[str, str]) -> str:
    wish = {
        "kind": "web_push", "endpoint": "https://push.example/x", "auth": "A" * 22,
        "p256dh": b64(public_point(private_key(b"\1" * 32))),
    }  # fmt: skip
    return str((await api.must("POST", "/push/subscriptions", wish, token))["id"])


async def request(api: Api, token: str, made: Mapping[str, str]) -> str:
    wish = {"kind": "access", "text": "What do you have of me?"}
    return str((await api.must("POST", "/account/requests", wish, token))["id"])


MAKERS: Mapping[str, Maker] = {
    "device_id": device, "session_id": session, "passkey_id": passkey, "token_id": call_token,
    "client_id": consented, "group": group, "room_id": room, "room": room, "message_id": message,
    "account_id": account, "file_id": file, "emoji": emoji, "invite_id": room_invite,
    "report_id": report, "scheduled_id": scheduled, "call_id": call,
    "push_id": push, "request_id": request,
}  # fmt: skip
# Providers and purposes are the operator's; everybody may connect, and consent, to each.
NOBODYS = {"provider_id", "purpose_id"}


async def test_what_is_anothers_is_answered_as_what_nobody_has(api: Api) -> None:
    owner = await api.owner()
    theirs = (await api.invited(owner, "some.body"))["access_token"]
    other = (await api.invited(owner, "other.body"))["access_token"]
    document = (await api.send("GET", "/api/openapi.json")).body
    made: dict[str, str] = {"owner": owner}
    made["room_id"] = await room(api, theirs, made)
    wrong, checked = [], 0
    bodies = {wanted.id: wanted for wanted in operations(document)}
    shapes = Shapes(document)
    for method, path, operation in operations_of(document):
        if others(path, operation["x-sotto-access"]) != "as nobody's":
            continue
        names = set(re.findall(r"\{([a-z_]+)\}", path))
        assert names <= MAKERS.keys() | NOBODYS, f"{path}: add a maker to MAKERS"
        if names & NOBODYS:
            continue
        for name in names - made.keys():
            made[name] = await MAKERS[name](api, theirs, made)
        wanted = bodies[operation["operationId"]]
        body = shapes.made(wanted.body, usual) if wanted.kind == "application/json" else None
        there = await asked(api, method, path, made, other, body)
        nobody = dict.fromkeys(names, NOBODY) | {n: made[n] for n in names & {"emoji"}}
        nowhere = await asked(api, method, path, nobody, other, body)
        checked += 1
        if said(there) != said(nowhere) or there.status < 400:
            wrong.append(
                f"{method} {path}: {there.status} {there.raw[:150]!r}; {nowhere.raw[:150]!r}"
            )
    assert not wrong, "\n".join(wrong)
    assert checked >= 30
    # Nothing of it happened.
    assert (await api.ask("GET", "/session", token=theirs)).status == 200
    assert len((await api.must("GET", "/account", token=theirs))["passkeys"]) == 1


async def asked(
    api: Api, method: str, path: str, ids: Mapping[str, str], token: str, body: Any
) -> Answered:
    url = re.sub(r"\{([a-z_]+)\}", lambda name: ids[name[1]], path)
    fields = {"If-Match": "*", "Tus-Resumable": "1.0.0"}
    return await api.send(method, url, body, token, headers=fields)


def said(answer: Answered) -> tuple[int, Any]:
    """Without what differs by nature: the request's id, and the ids that were asked for."""
    text = re.sub(rb"[0-9a-f]{8}-[0-9a-f-]{27}", b"ID", answer.raw)
    return answer.status, text


class Doors:
    """Everybody's call tokens, and every door."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def furnish(self) -> None:
        api = self.api
        owner = await api.owner()
        tokens = {"owner": owner}
        for name in ("member", "auditor", "compliance", "administrator"):
            roles = [] if name == "member" else [str(Role(name))]
            tokens[name] = (await api.invited(owner, f"some.{name}", *roles))["access_token"]
        link = await api.must("POST", "/guest-links", {"room": "r"}, owner)
        step = {"link": secret_of(link["url"])}
        tokens["guest"] = (await api.must("POST", "/guests", step))["access_token"]
        self.sessions = tokens
        self.calls = {name: await self.call(token, "r") for name, token in tokens.items()}
        gone = (await api.invited(owner, "some.gone"))["access_token"]
        self.revoked = await self.call(gone, "r")
        await api.must("DELETE", "/session", token=gone)
        self.elsewhere = await self.call(tokens["member"], "another")

    async def call(self, token: str, room: str) -> str:
        return str((await self.api.must("POST", "/calls/tokens", {"room": room}, token))["token"])

    async def knock(self, surface: str, token: str) -> int:
        """Its status; 101 for an open socket."""
        method, _, path = surface.partition(" ")
        path = path.replace("{room}", "r").replace("{session}", NOBODY).replace("*", "ListRooms")
        fields = {"Authorization": f"Bearer {token}"} if token else {}
        if method == "GET" and "validate" not in path:
            return await self.open(path, fields)
        kind = "application/json" if "twirp" in path else "application/sdp"
        if method == "PATCH":
            kind = "application/trickle-ice-sdpfrag"
        fields |= {"Content-Type": kind, "If-Match": "*"}
        data = None if method in ("GET", "DELETE") else b"{}" if "twirp" in path else SDP
        query = f"?{JOIN}" if method == "GET" else ""
        return (await self.api.send(method, path + query, data=data, headers=fields)).status

    async def open(self, path: str, fields: Mapping[str, str]) -> int:
        url = self.api.installation.url.replace("https", "wss", 1) + path
        try:
            async with self.api.session.ws_connect(f"{url}?{JOIN}", headers=fields) as socket:
                assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.BINARY
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status


async def test_every_cell_of_the_table_of_calls(api: Api) -> None:
    doors = Doors(api)
    await doors.furnish()
    assert set(doors.calls) | {"anonymous", "revoked", BEARER} == set(PEOPLE)
    wrong = []
    for surface, kind in CALLS.items():
        own, none, revoked, other, by_session = CALL_CELLS[kind]
        asked_by = {
            "anonymous": ("", none), "revoked": (doors.revoked, revoked),
            **{f"session of {n}": (t, by_session) for n, t in doors.sessions.items()},
            **{name: (token, own) for name, token in doors.calls.items()},
        }  # fmt: skip
        if "{room}" in surface:
            asked_by["other's"] = (doors.elsewhere, other)
        for person, (token, cell) in asked_by.items():
            status = await doors.knock(surface, token)
            if not fits(cell, status, surface):
                wrong.append(f"{surface} as {person}: {status}, not {cell}")
    assert not wrong, "\n".join(wrong)


def fits(cell: str, status: int, surface: str) -> bool:
    """Who is let in meets what comes behind the door: a bad offer, nobody to watch, no session."""
    if cell != "yes":
        return status == int(cell)
    if "{session}" in surface or "whep" in surface:
        return status == 404
    return status in (101, 200, 400, 422)


async def test_a_whip_session_is_its_makers_alone(api: Api) -> None:
    """Whoever has a good token for the room, but not of this participant: there is no session."""
    doors = Doors(api)
    await doors.furnish()
    offer = json.loads(GOLDEN.read_text())["offers"]["publish"].encode()
    fields = {"Content-Type": "application/sdp", "Authorization": f"Bearer {doors.calls['member']}"}
    made = await api.send("POST", "/whip/r", data=offer, headers=fields)
    assert made.status == 201, made.raw
    for name in ("owner", "guest", "administrator"):
        word = {"Authorization": f"Bearer {doors.calls[name]}"}
        answer = await api.send("DELETE", made.headers["Location"], headers=word)
        assert (answer.status, answer.code) == (404, "not_found"), name
    answer = await api.send("DELETE", made.headers["Location"], headers=fields)
    assert answer.status == 200, answer.raw
