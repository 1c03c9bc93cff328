"""WHIP (RFC 9725) and WHEP over HTTP, on a fake engine: each status, header and change of state."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from signaling.doctor.probe import _relay, offer
from signaling.rtc import IceServer
from signaling.whip.routes import ice_links
from tests.signaling.house import Running, call_token, serving

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
PWD = "newpasswordnewpassword99"


def publish_offer() -> str:
    return offer("abcd", "p" * 24)


def watch_offer() -> str:
    return (
        publish_offer()
        .replace("a=sendonly", "a=recvonly")
        .replace("a=msid:doctor doctor-audio\r\n", "")
    )


async def post(
    house: Running, path: str, body: str, token: str, **headers: str
) -> aiohttp.ClientResponse:
    sent = {"Content-Type": SDP, **headers}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    answer = await house.client.post(
        house.https + path, data=io.BytesIO(body.encode()), headers=sent
    )
    await answer.read()
    return answer


async def start(house: Running, room: str = "show", who: str = "obs") -> aiohttp.ClientResponse:
    answer = await post(house, f"/whip/{room}", publish_offer(), house.token(room, who))
    assert answer.status == 201
    return answer


@pytest.fixture(params=["whip", "whep"])
async def session(house: Running, request: pytest.FixtureRequest) -> aiohttp.ClientResponse:
    """A session of `obs` in the room `show`, of each protocol."""
    if request.param == "whip":
        return await start(house)
    await start(house, who="host")
    answer = await post(house, "/whep/show", watch_offer(), house.token("show", "obs"))
    assert answer.status == 201
    return answer


async def patch(
    house: Running, location: str, body: str, token: str, **headers: str
) -> aiohttp.ClientResponse:
    sent = {"Authorization": f"Bearer {token}", "Content-Type": FRAGMENT, **headers}
    answer = await house.client.patch(house.https + location, data=body.encode(), headers=sent)
    await answer.read()
    return answer


async def calls(house: Running) -> list[dict[str, Any]]:
    async with house.client.get(house.operator + "/calls") as answer:
        found: list[dict[str, Any]] = (await answer.json())["calls"]
        return found


async def test_a_publisher_becomes_a_participant(house: Running) -> None:
    answer = await start(house)
    assert answer.content_type == SDP
    assert answer.headers["Location"].startswith("/whip/show/")
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["Accept-Patch"] == FRAGMENT
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    sdp = await answer.text()
    assert "a=recvonly" in sdp
    assert "a=setup:passive" in sdp
    assert "a=candidate:" in sdp
    (call,) = await calls(house)
    assert (call["room"], call["participant_count"], call["track_count"]) == ("show", 1, 1)


async def test_delete_ends_it(house: Running, session: aiohttp.ClientResponse) -> None:
    location, token = session.headers["Location"], house.token("show", "obs")
    headers = {"Authorization": f"Bearer {token}"}
    async with house.client.delete(house.https + location, headers=headers) as ended:
        assert ended.status == 200
    (call,) = await calls(house)
    assert call["participant_count"] == (1 if "/whep/" in location else 0)
    async with house.client.delete(house.https + location, headers=headers) as again:
        assert again.status == 404


async def test_the_token_may_name_the_room(house: Running) -> None:
    answer = await post(house, "/whip", publish_offer(), house.token("named", "obs"))
    assert answer.status == 201
    assert answer.headers["Location"].startswith("/whip/named/")


async def test_a_second_session_of_an_identity_replaces_the_first(house: Running) -> None:
    first = await start(house)
    await start(house)
    (call,) = await calls(house)
    assert call["participant_count"] == 1
    token = house.token("show", "obs")
    gone = await patch(house, first.headers["Location"], "", token, **{"If-Match": "*"})
    assert gone.status == 404


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/whip/show", {"token": ""}, 401),
        ("/whip/show", {"token": "not.a.token"}, 401),
        ("/whip/show", {"token": call_token("show", "a", life=-100)}, 401),
        ("/whip/show", {"token": call_token("other", "a")}, 401),
        ("/whip/show", {"token": call_token("show", "a", publish=False)}, 403),
        ("/whip/show", {"Content-Type": "text/plain"}, 415),
        ("/whip/show", {"Accept": "text/html"}, 406),
        ("/whip/show", {"body": "x" * 1_100_000}, 413),
        ("/whip/show", {"body": ""}, 400),
        ("/whip/show", {"body": "v=0\r\n"}, 422),
        (
            "/whip/show",
            {"body": publish_offer().replace("SAVPF", "AVP").replace("UDP/TLS/", "")},
            422,
        ),
        ("/whip/show", {"body": publish_offer().replace("a=fingerprint", "a=x")}, 422),
        ("/whip/show", {"body": publish_offer().replace("sha-256", "md5")}, 422),
        ("/whep/show", {"body": watch_offer()}, 404),
        ("/whep/show", {"token": call_token("show", "a", subscribe=False)}, 403),
    ],
)
async def test_refusals_are_problems(
    house: Running, path: str, change: dict[str, str], status: int
) -> None:
    change = dict(change)
    body = change.pop("body", publish_offer())
    token = change.pop("token", house.token("show", "ann"))
    answer = await post(house, path, body, token, **change)
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/problem+json"
    problem = json.loads(await answer.text())
    assert problem["status"] == status
    assert problem["code"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    if status == 401:
        # RFC 6750 section 3.1: only a token that came and was no good is named.
        bad = problem["code"] in {"token_invalid", "token_expired"}
        expected = 'Bearer error="invalid_token"' if bad else "Bearer"
        assert answer.headers["WWW-Authenticate"] == expected
    assert all(call["participant_count"] == 0 for call in await calls(house))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_other_methods_are_not_allowed(house: Running, method: str) -> None:
    for path in ("/whip/show", "/whep/show", "/whip", "/whip/show/x"):
        async with house.client.request(method, house.https + path) as answer:
            assert answer.status == 405
            assert "OPTIONS" in answer.headers["Allow"]


async def test_options_say_what_may_be_posted(house: Running) -> None:
    for path in ("/whip/show", "/whep/show"):
        async with house.client.options(house.https + path) as answer:
            assert answer.status == 204
            assert answer.headers["Accept-Post"] == SDP
            assert "POST" in answer.headers["Access-Control-Allow-Methods"]


async def test_trickled_candidates_are_taken(
    house: Running, session: aiohttp.ClientResponse
) -> None:
    location, tag = session.headers["Location"], session.headers["ETag"]
    token = house.token("show", "obs")
    body = "a=ice-ufrag:abcd\r\na=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n"
    assert (await patch(house, location, body, token, **{"If-Match": tag})).status == 204


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, "", 428),
        ({"If-Match": '"other"'}, "", 412),
        ({"If-Match": "*", "Content-Type": SDP}, "", 415),
        ({"If-Match": "*"}, "a=ice-ufrag:abcd\r\n", 422),
        ({"If-Match": "*"}, "nonsense", 422),
        ({"If-Match": "*"}, "x" * 100_000, 413),
        ({"If-Match": "TAG"}, "a=ice-ufrag:other\r\n", 422),
    ],
)
async def test_bad_patches_change_nothing(
    house: Running, session: aiohttp.ClientResponse, headers: dict[str, str], body: str, status: int
) -> None:
    location, tag = session.headers["Location"], session.headers["ETag"]
    headers = {name: value.replace("TAG", tag) for name, value in headers.items()}
    token = house.token("show", "obs")
    assert (await patch(house, location, body, token, **headers)).status == status
    assert (await patch(house, location, "", token, **{"If-Match": tag})).status == 204


async def test_an_ice_restart_changes_credentials_and_tag(
    house: Running, session: aiohttp.ClientResponse
) -> None:
    location, tag = session.headers["Location"], session.headers["ETag"]
    token = house.token("show", "obs")
    body = f"a=ice-ufrag:new1\r\na=ice-pwd:{PWD}\r\na=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n"
    restarted = await patch(house, location, body, token, **{"If-Match": "*"})
    assert restarted.status == 200
    assert restarted.content_type == FRAGMENT
    assert restarted.headers["ETag"] != tag
    sdp = await restarted.text()
    assert "a=ice-ufrag:00again" in sdp
    assert "a=end-of-candidates" in sdp
    stale = await patch(house, location, "", token, **{"If-Match": tag})
    assert stale.status == 412
    remote = house.engine.named("set_remote_ice")
    assert remote[-1][2:] == ("new1", PWD)


async def test_only_its_maker_may_touch_a_session(
    house: Running, session: aiohttp.ClientResponse
) -> None:
    location, tag = session.headers["Location"], session.headers["ETag"]
    for token in (house.token("show", "eve"), house.token("other", "obs")):
        assert (await patch(house, location, "", token, **{"If-Match": tag})).status == 404
    assert (await patch(house, location, "", "junk", **{"If-Match": tag})).status == 401
    fresh = house.token("show", "obs", life=300)
    assert (await patch(house, location, "", fresh, **{"If-Match": tag})).status == 204
    elsewhere = location.replace("/show/", "/other/")
    assert (await patch(house, elsewhere, "", fresh, **{"If-Match": tag})).status == 404


async def test_a_watcher_chooses_by_room_and_participant(house: Running) -> None:
    await start(house, who="left")
    await start(house, who="right")
    token = house.token("show", "viewer")
    answer = await post(house, "/whep/show?participant=right", watch_offer(), token)
    assert answer.status == 201
    assert answer.headers["Location"].startswith("/whep/show/")
    assert "a=sendonly" in await answer.text()
    assert len(house.engine.subscriptions) == 1
    absent = await post(house, "/whep/show?participant=nobody", watch_offer(), token)
    assert absent.status == 404
    assert json.loads(await absent.text())["code"] == "participant_not_found"


async def test_relays_are_announced_as_links(tmp_path: Path) -> None:
    """To publishers and to watchers, each with a credential of its own."""
    flags = {"turn.host": "turn.example", "turn.secret": "s" * 32}
    async with serving(tmp_path, flags) as house:
        published = await start(house)
        watched = await post(house, "/whep/show", watch_offer(), house.token("show", "eye"))
        assert watched.status == 201
    names = set()
    for answer in (published, watched):
        links = answer.headers.getall("Link")
        servers = [server for link in links for server in _relay(link)]
        assert [(s.host, s.port, s.transport) for s in servers] == [
            ("turn.example", 3478, "udp"),
            ("turn.example", 3478, "tcp"),
            ("turn.example", 5349, "tls"),
        ]
        assert all(s.username and s.password for s in servers)
        names |= {s.username for s in servers}
    assert len(names) == 2


async def test_there_are_as_many_sessions_as_were_configured(tmp_path: Path) -> None:
    async with serving(tmp_path, {"signaling_limits.plain_sessions": "1"}) as house:
        await start(house)
        token = house.token("show", "other")
        answer = await post(house, "/whip/show", publish_offer(), token)
        assert answer.status == 503


def test_link_headers_quote_what_they_carry() -> None:
    (link,) = ice_links([IceServer(("turn:a:1",), 'na"me', "pass\\word")])
    assert 'username="na\\"me"' in link
    assert 'credential="pass\\\\word"' in link
