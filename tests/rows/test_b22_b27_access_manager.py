"""Rows B22 to B27: tokens of the Access Manager, who may make them, and how they end."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import jwt
import msgspec
import pytest
from livekit.protocol import models, rtc

from tests.rows.house import House, Visit, closed, pump, visiting
from tests.rows.house import apart as house_apart
from tests.rows.pam import bind, is_error
from tests.signaling.access import oracle
from tests.signaling.access.quickest import Ask, apart
from tests.signaling.access.rig import Signer
from tests.signaling.access.test_server import _with_pubnub as with_pubnub
from tests.signaling.access.words import ROOM, members, refusal, said
from tests.slack import within

BY = "Client and server produced different signatures for the same inputs."
# In milliseconds: less is not told apart through a network.
APART = 3.0


async def test_b22_read_and_write_at_the_level_of_user_channel_and_key(there: Visit) -> None:
    """The matrix itself is section 1.D's; here each level says no by itself."""
    client, other = await there.signer(), await there.signer("other")
    token = await client.granted({"resources": {"channels": {"room": 1}}, "uuid": "ada"})
    asked = {"channels": ["room"], "uuid": "ada"}
    assert (await client.check(token, "history", **asked)).status == 200
    assert (await client.check(token, "publish", **asked)).status == 403
    assert (await client.check(token, "history", channels=["else"], uuid="ada")).status == 403
    assert (await client.check(token, "history", channels=["room"], uuid="bob")).status == 403
    assert (await other.signed("DELETE", f"/grant/{token}")).status == 400


async def test_b22_calls_ask_the_same_function(there: Visit) -> None:
    client = await there.signer()
    for mask in (0, 2, 4, 128, 238):
        token = await client.granted({"resources": {"channels": {"room": mask}}})
        answer = await wish(there, token)
        assert (answer.status, answer.body["payload"]) == (403, {"channels": ["room"]})
    for mask, publishes, moderates in ((1, False, False), (3, True, False), (7, True, True)):
        token = await client.granted({"resources": {"channels": {"room": mask}}, "uuid": "ada"})
        assert (await wish(there, token)).status == 403
        made = await wish(there, token, "ada")
        assert made.status == 201
        grant = jwt.decode(made.body["token"], options={"verify_signature": False})["video"]
        assert grant["canPublish"] is grant["canPublishData"] is publishes
        assert grant.get("roomAdmin", False) is moderates


async def wish(there: Visit, token: str | None, uuid: str = "") -> Any:
    query = {"uuid": uuid} if uuid else {}
    return await there.ask(
        "POST", "/access/call-tokens", {"room": "room"}, token or "", params=query
    )


async def test_b23_every_operation_without_a_token_is_403(there: Visit) -> None:
    client = await there.signer()
    names: dict[str, Any] = {"channels": ["room"], "groups": ["g"], "uuids": ["u"]}
    wanted = said("Forbidden", channels=["room"], channel_groups=["g"], uuids=["u"])
    for operation in oracle.MATRIX:
        answer = await client.check(None, operation, **names)
        assert (answer.status, members(answer)) == (403, wanted), operation
    assert (await wish(there, None)).status == 403
    for method, body in (("GET", None), ("POST", {"add": ["x"]}), ("DELETE", None)):
        assert (await there.ask(method, "/access/groups/team", body)).status == 403, method
    async with there.socket(await client.granted(ROOM)) as socket:
        frame = await bind(socket, 1, None, channels=["room"])
        assert is_error(frame, 203, 1, "Forbidden: room")
        assert await closed(socket) == 4403


@pytest.fixture(scope="module")
def another(later: House) -> str:
    """A good token of another server."""
    return house_apart(granted_by(later))


async def granted_by(house: House) -> str:
    async with visiting(house) as there:
        client = await there.signer("another")
        client.clock = Moved(house)
        return await client.granted(ROOM)


async def bad_tokens(client: Signer, another: str) -> dict[str, str]:
    """Every kind of the row but the expired one, for which the time is moved; see there."""
    good = await client.granted(ROOM)
    revoked = await client.granted(ROOM)
    await client.signed("DELETE", f"/grant/{revoked}")
    return {
        "garbage": "am_garbage",
        "truncated": good[:-4],
        "bad mac": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "another server's": another,
        "revoked": revoked,
        "wrong uuid": await client.granted({**ROOM, "uuid": "ada"}),
    }


async def test_b24_each_invalid_token_is_403_over_http(there: Visit, another: str) -> None:
    client = await there.signer()
    for kind, token in (await bad_tokens(client, another)).items():
        answer = await client.check(token, "publish", channels=["room"])
        assert answer.status == 403, kind
        wanted = {
            "revoked": said("Token is revoked"),
            "wrong uuid": said("Forbidden", channels=["room"]),
        }.get(kind, said("Invalid token"))
        assert members(answer) == wanted, kind
        assert "WWW-Authenticate" not in answer.headers


async def test_b24_each_invalid_token_has_its_number_on_the_socket(
    there: Visit, another: str
) -> None:
    client = await there.signer()
    opener = await client.granted(ROOM)
    numbers = {"revoked": (228, "Token is revoked"), "wrong uuid": (206, "Forbidden: room")}
    for kind, token in (await bad_tokens(client, another)).items():
        async with there.socket(opener) as socket:
            frame = await bind(socket, 1, token, channels=["room"])
            code, message = numbers.get(kind, (203, "Invalid token"))
            assert is_error(frame, code, 1, message), (kind, frame)
            assert await closed(socket) == 4403, kind


async def test_b24_each_refusal_takes_the_same_time(there: Visit, another: str) -> None:
    client = await there.signer()
    bad = await bad_tokens(client, another)
    assert not await apart({kind: asking(client, token) for kind, token in bad.items()}, APART)


async def test_b24_an_expired_token_takes_the_same_time(house: House, later: House) -> None:
    """Where the time can be moved; `house` is the other server there."""
    another = await granted_by(house)
    async with visiting(later) as there:
        client = await there.signer()
        client.clock = Moved(later)
        expired = await client.granted(ROOM, 1)
        later.move_on(61)
        bad = {**await bad_tokens(client, another), "expired": expired}
        answer = await client.check(expired, "publish", channels=["room"])
        assert members(answer) == said("Token is expired")
        assert not await apart({kind: asking(client, token) for kind, token in bad.items()}, APART)


def asking(client: Signer, token: str) -> Ask:
    async def ask() -> None:
        assert (await client.check(token, "publish", channels=["room"])).status == 403

    return ask


async def test_b24_b26_a_token_of_a_minute_ends_after_it(later: House) -> None:
    """Works, and a minute on: 403 over HTTP, 202 on the socket, 400 when revoked."""
    async with visiting(later) as there:
        client = await there.signer()
        client.clock = Moved(later)
        token = await client.granted(ROOM, 1)
        assert (await client.check(token, "publish", channels=["room"])).status == 200
        later.move_on(61)
        opener = await client.granted(ROOM)
        answer = await client.check(token, "publish", channels=["room"])
        assert (answer.status, members(answer)) == (403, said("Token is expired"))
        async with there.socket(opener) as socket:
            frame = await bind(socket, 1, token, channels=["room"])
            assert is_error(frame, 202, 1, "Token is expired")
            assert await closed(socket) == 4403
        answer = await client.signed("DELETE", f"/grant/{token}")
        wanted = refusal("token", "revoke", "token", "path", "Token is expired.", 400)
        assert (answer.status, members(answer)) == (400, wanted)


class Moved:
    """The house's time."""

    def __init__(self, house: House) -> None:
        self._house = house

    def unix(self) -> float:
        return time.time() + self._house.offset

    def monotonic(self) -> float:
        return time.monotonic()


async def test_b25_whoever_has_the_secret_grants(there: Visit) -> None:
    client = await there.signer()
    answer = await client.signed("POST", "/grant", {"ttl": 1, "permissions": ROOM})
    assert answer.status == 200
    token = answer.body["data"]["token"]
    assert answer.body == {
        "data": {"message": "Success", "token": token}, "service": "Access Manager", "status": 200,
    }  # fmt: skip
    assert (await client.check(token, "publish", channels=["room"])).status == 200


# It warns of changes to come in itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_b25_pubnubs_own_library_signs_and_grants(house: House, there: Visit) -> None:
    """Over the plain listener of a proxy's side, which its library speaks to; see `Proxied`."""
    client = await there.signer()
    async with Proxied(house) as host:
        token, errors = await asyncio.to_thread(with_pubnub, client.keyset, host)
    answer = await client.check(token, "publish", channels=["inbox é"], uuid="ada")
    assert answer.body["message"] == "Token is revoked"
    assert errors == [400, 403]


class Proxied:
    """Takes plain http and passes it on over TLS, as a proxy in front of a server would."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *what: object) -> None:
        self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(
            "127.0.0.1", self._house.facts["https"], ssl=self._house.trust,
            server_hostname="localhost",
        )  # fmt: skip
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))


async def test_b25_what_is_signed_wrongly_is_403(there: Visit) -> None:
    client, other = await there.signer(), await there.signer("other")
    body = {"ttl": 5, "permissions": ROOM}
    wanted = refusal("signature", "grant", "signature", "query", BY, 403)
    secret = other.keyset.secrets[0].text
    for wrong in ({"secret": "sec_wrong"}, {"publish": "pub_other"}, {"secret": secret}):
        answer = await client.signed("POST", "/grant", body, **wrong)
        assert (answer.status, members(answer)) == (403, wanted), wrong
    path = f"/v3/pam/{client.keyset.subscribe_key}/grant"
    for query in ("", f"?timestamp={int(time.time())}", "?signature=", "?signature=v2."):
        answer = await client.send("POST", path + query, data=b"{}")
        assert answer.status == 403
        assert members(answer)["error"]["message"] == "Invalid signature"


async def test_b25_a_skewed_clock_is_400_and_a_request_counts_once(there: Visit) -> None:
    client = await there.signer()
    body = {"ttl": 5, "permissions": ROOM}
    for seconds in (-65, 65, -3600):
        answer = await client.signed("POST", "/grant", body, timestamp=time.time() + seconds)
        assert answer.status == 400
        assert members(answer)["error"]["message"] == "Invalid timestamp"
    for seconds in (-50, 50):
        answer = await client.signed("POST", "/grant", body, timestamp=time.time() + seconds)
        assert answer.status == 200
    raw = msgspec.json.encode(body)
    path = f"/v3/pam/{client.keyset.subscribe_key}/grant"
    target = client.target("POST", path, raw, nonce="n1")
    assert (await client.send("POST", target, data=raw)).status == 200
    for again in (target, client.target("POST", path, raw, nonce="n1", more="1")):
        answer = await client.send("POST", again, data=raw)
        assert (answer.status, answer.body["code"]) == (409, "request_replayed")


async def test_b26_grant_list_parse_and_revoke(there: Visit) -> None:
    client = await there.signer()
    permissions = {**ROOM, "meta": {"shift": "night"}, "uuid": "ada"}
    token, other = await client.granted(permissions, 15), await client.granted(ROOM)
    path = f"/v3/pam/{client.keyset.subscribe_key}/parse"
    parsed = await there.send("POST", path, json={"token": token})
    assert parsed.status == 200
    assert parsed.body.keys() == {
        "version", "timestamp", "ttl", "authorized_uuid", "resources", "patterns", "meta",
    }  # fmt: skip
    assert (parsed.body["ttl"], parsed.body["authorized_uuid"]) == (15, "ada")
    listed = (await client.signed("GET", "/grants", limit="10")).body["data"]["tokens"]
    assert len(listed) == 2 and token not in json.dumps(listed)
    assert (await client.signed("DELETE", f"/grant/{token}")).status == 200
    listed = (await client.signed("GET", "/grants", limit="10")).body["data"]["tokens"]
    assert sorted(one["revoked"] for one in listed) == [False, True]
    assert (await client.check(other, "publish", channels=["room"])).status == 200
    for text in ("garbage", other[:-1], other[:-1] + ("A" if other[-1] != "A" else "B")):
        answer = await client.signed("DELETE", f"/grant/{text}")
        assert answer.status == 400
        assert members(answer)["error"]["message"] == "Invalid token"
    for ttl in (0, 43201, "text"):
        answer = await client.signed("POST", "/grant", {"ttl": ttl, "permissions": ROOM})
        details = "Range should be 1 to 43200 minute(s)."
        assert answer.status == 400
        assert members(answer) == refusal("ttl", "grant", "ttl", "body", details, 400)


async def test_b26_whoever_is_in_a_call_leaves_it_within_a_second(there: Visit) -> None:
    client, took = await there.signer(), []
    for _ in range(5):
        token = await client.granted({"resources": {"channels": {"room": 3}}, "uuid": "ada"})
        made = await wish(there, token, "ada")
        call_token = made.body["token"]
        url = f"{there.house.url}/rtc?access_token={call_token}&protocol=15&auto_subscribe=1"
        async with there.client.ws_connect(url) as socket:
            first = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
            assert first.join.participant.identity.startswith("ada:")
            began = time.monotonic()
            done = asyncio.create_task(client.signed("DELETE", f"/grant/{token}"))
            while True:
                frame = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
                if frame.WhichOneof("message") == "leave":
                    break
            took.append(time.monotonic() - began)
            assert frame.leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
            assert (await done).status == 200
    within(1, took)


async def test_b27_the_secret_is_shown_once_and_is_nowhere_else(house: House, there: Visit) -> None:
    client = await there.signer("once")
    secret, owner = client.keyset.secrets[0].text, await there.owner()
    token = await client.granted(ROOM)
    one = f"/access/key-sets/{client.keyset.id}"
    seen = [await there.ask("GET", path, token=owner) for path in ("/access/key-sets", one)]
    auditor, _ = await there.joined("auditor")
    await there.recorded(auditor, "createKeySet", "allowed")
    for form in ("ndjson", "csv"):
        answer = await there.ask("GET", "/audit/export", token=auditor, params={"format": form})
        assert answer.status == 200, answer.text
        seen.append(answer)
    seen += await bundle(there)
    assert not [answer for answer in seen if secret in answer.text or token in answer.text]
    kept = [path for path in house.folder.rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert not [path for path in kept if secret.encode() in path.read_bytes()]


async def bundle(there: Visit) -> list[Any]:
    """The page and every script and style that it names, and those that they name."""
    seen, names = [await there.send("GET", "/")], set[str]()
    for one in seen:
        for name in re.findall(r"[\w-]+\.(?:js|css)\b", one.text):
            answer = None if name in names else await there.send("GET", f"/assets/{name}")
            names.add(name)
            if answer is not None and answer.status == 200:
                seen.append(answer)
    assert len([one for one in seen if "javascript" in one.headers["Content-Type"]]) > 5
    return seen


async def test_b27_rotation_has_an_overlap(there: Visit) -> None:
    client, owner = await there.signer(), await there.owner()
    one = f"/access/key-sets/{client.keyset.id}"
    answer = await there.ask("POST", f"{one}/rotate", {"overlap_seconds": 60}, owner)
    assert answer.status == 200
    body = {"ttl": 5, "permissions": ROOM}
    for nonce, secret in enumerate((client.keyset.secrets[0].text, answer.body["secret_key"])):
        done = await client.signed("POST", "/grant", body, secret=secret, nonce=str(nonce))
        assert done.status == 200
    answer = await there.ask("POST", f"{one}/rotate", {"overlap_seconds": 0}, owner)
    assert answer.status == 200
    assert (await client.signed("POST", "/grant", body, nonce="late")).status == 403


async def test_b27_a_secret_in_a_browser_is_403_and_recorded(there: Visit) -> None:
    client = await there.signer()
    auditor, _ = await there.joined("auditor")
    before = len(
        [r for r in await there.records(auditor, action="grantToken") if r["result"] == "denied"]
    )
    body = {"ttl": 5, "permissions": ROOM}
    wrong = (
        {"Origin": there.house.url},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Mode": "cors"},
    )
    for headers in wrong:
        answer = await client.signed("POST", "/grant", body, headers=headers)
        assert (answer.status, answer.body["code"]) == (403, "origin_refused")
        assert "Access-Control-Allow-Origin" not in answer.headers
    found = await there.recorded(auditor, "grantToken", "denied", before + len(wrong))
    assert found[0]["code"] == "origin_refused"
    preflight = await there.send(
        "OPTIONS", f"/v3/pam/{client.keyset.subscribe_key}/grant",
        headers={"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"},
    )  # fmt: skip
    assert preflight.status >= 400
    assert not any(name.lower().startswith("access-control-") for name in preflight.headers)
