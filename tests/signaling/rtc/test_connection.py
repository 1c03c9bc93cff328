"""The WebSocket adapter over real sockets: joining both ways, the validate paths, and bad input."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import weakref
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from google.protobuf import json_format
from livekit.protocol import rtc

from signaling.rtc import RtcLimits, RtcSettings
from signaling.rtc.dispatch import HANDLERS
from signaling.rtc.limits import RtcTimes
from signaling.rtc.routes import CONNECTIONS
from tests.signaling.rtc.conftest import Served, join_request, token

Serve = Callable[[RtcSettings], Awaitable[Served]]


async def test_v1_join_with_the_first_offer_in_the_request(served: Served) -> None:
    offer = rtc.SessionDescription(type="offer", sdp="v=0 " + "x" * 14_000, id=1)
    socket = await served.socket(
        "/rtc/v1",
        join_request=join_request(client_info={"protocol": 17}, publisher_offer=offer),
    )
    join = await socket.next()
    assert join.join.participant.identity == "alice"
    assert join.join.subscriber_primary is False
    answer = await socket.until("answer")
    assert answer.answer.id == 1
    await socket.ws.close()


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("pad", [False, True])
async def test_join_requests_as_clients_write_them(
    served: Served, compress: bool, pad: bool
) -> None:
    request = join_request(compress=compress, pad=pad, client_info={"protocol": 17})
    socket = await served.socket("/rtc/v1", join_request=request)
    assert (await socket.next()).join.participant.sid.startswith("PA_")
    await socket.ws.close()


async def test_dual_join_by_query_parameters(served: Served) -> None:
    socket = await served.socket("/rtc", protocol="16", sdk="android", auto_subscribe="1")
    assert (await socket.next()).join.subscriber_primary is True
    assert (await socket.until("offer")).offer.id == 1
    await socket.ws.close()


async def test_the_mode_follows_the_join_request_not_the_path(served: Served) -> None:
    request = join_request(client_info={"protocol": 17})
    socket = await served.socket("/rtc", join_request=request)
    assert (await socket.next()).join.subscriber_primary is False
    await socket.ws.close()


async def test_a_token_may_come_in_the_authorization_header(served: Served) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    async with served.session.ws_connect(served.url + "/rtc", headers=headers) as ws:
        message = await ws.receive()
        assert rtc.SignalResponse.FromString(message.data).HasField("join")


async def test_json_clients_are_answered_in_json(served: Served) -> None:
    socket = await served.socket("/rtc", protocol="16")
    await socket.until("join")
    await socket.ws.send_str(json.dumps({"pingReq": {"timestamp": "42"}}))
    while True:
        message = await asyncio.wait_for(socket.ws.receive(), 30)
        if message.type is aiohttp.WSMsgType.TEXT:
            response = json_format.Parse(message.data, rtc.SignalResponse())
            if response.HasField("pong_resp"):
                break
    assert response.pong_resp.last_ping_timestamp == 42
    await socket.ws.close()


async def test_two_clients_publish_and_subscribe_over_sockets(served: Served) -> None:
    alice, bob = await served.join("alice"), await served.join("bob")
    await alice.ask(add_track={"cid": "c", "type": "VIDEO", "source": "CAMERA"})
    sid = (await alice.until("track_published")).track_published.track.sid
    served.participant_media("alice").publish_declared()
    update = await bob.until("update")
    while not update.update.participants[0].tracks:
        update = await bob.until("update")
    assert update.update.participants[0].tracks[0].sid == sid
    assert list(served.participant_media("bob").subscriptions) == [sid]
    await alice.ws.close()
    await bob.ws.close()


async def test_validate_answers_200_or_the_reason(served: Served) -> None:
    assert await served.get("/rtc/validate", access_token=token()) == (200, "success")
    request = join_request(client_info={"protocol": 17})
    good = await served.get("/rtc/v1/validate", access_token=token(), join_request=request)
    assert good == (200, "success")
    missing = await served.get("/rtc/v1/validate", access_token=token())
    assert missing == (400, "join_request is required")
    assert await served.get("/rtc/validate") == (401, "no token")
    assert await served.get("/rtc/validate", access_token="x.y.z") == (401, "invalid token")
    status, _ = await served.get("/rtc/validate", access_token=token(), attributes="!")
    assert status == 400


async def test_refused_upgrades_carry_the_same_status(served: Served) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await served.socket("/rtc", access_token="nonsense")
    assert refused.value.status == 401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await served.socket("/rtc/v1")
    assert refused.value.status == 400
    assert (await served.get("/rtc", access_token=token()))[0] == 404


async def test_no_room_and_no_auto_create_is_a_404_that_browsers_understand(serve: Serve) -> None:
    served = await serve(RtcSettings(auto_create=False))
    status, text = await served.get("/rtc/validate", access_token=token())
    assert (status, text) == (404, "requested room does not exist")


@pytest.mark.parametrize(
    "request_text",
    [
        "%%%",
        "AAAA",
        base64.urlsafe_b64encode(os.urandom(200)).decode(),
        join_request(client_info={"protocol": 17})[:-9],
    ],
)
async def test_garbage_join_requests_are_refused_with_a_reason(
    served: Served, request_text: str
) -> None:
    status, text = await served.get(
        "/rtc/v1/validate", access_token=token(), join_request=request_text
    )
    assert status in (200, 400)  # random bytes may happen to be an empty message
    assert text


async def test_a_gzip_bomb_yields_no_more_than_its_bound(served: Served) -> None:
    bomb = join_request(compress=True, metadata="x" * 20_000_000)
    assert len(bomb) < 64_000
    status, text = await served.get("/rtc/v1/validate", access_token=token(), join_request=bomb)
    assert (status, text) == (400, "join request too large")


@pytest.mark.parametrize("frame", [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", "not json", "[]"])
async def test_a_frame_that_is_no_request_closes_that_socket_only(
    served: Served, frame: bytes | str
) -> None:
    alice, bob = await served.join("alice"), await served.join("bob")
    if isinstance(frame, str):
        await bob.ws.send_str(frame)
    else:
        await bob.ws.send_bytes(frame)
    assert await bob.end() == 1007
    await alice.ask(ping=1)
    assert (await alice.until("pong")).pong > 0
    await alice.ws.close()


async def test_an_oversized_frame_closes_with_1009(served: Served) -> None:
    bob = await served.join("bob")
    limit = served.rooms.services.settings.limits.signal_message_bytes
    await bob.ws.send_bytes(b"\0" * (limit + 1))
    assert await bob.end() == 1009


async def test_a_flood_closes_with_1008_and_others_go_on(serve: Serve) -> None:
    limits = RtcLimits(signal_messages_per_second=10, signal_burst=50)
    served = await serve(RtcSettings(limits=limits))
    alice, bob = await served.join("alice"), await served.join("bob")
    ping = rtc.SignalRequest(ping=1).SerializeToString()
    for _ in range(100):
        await bob.ws.send_bytes(ping)
    assert await bob.end() == 1008
    assert served.rooms.services.counters.values["sockets_flooding"] == 1
    await alice.ask(ping=1)
    await alice.until("pong")
    await alice.ws.close()


async def test_a_client_that_never_reads_is_cut(serve: Serve) -> None:
    served = await serve(RtcSettings(limits=RtcLimits(outbox_bytes=20_000)))
    alice = await served.join("alice")
    room = served.rooms.get("r")
    assert room is not None
    for number in range(400):  # more than the kernel's buffers hold
        room.set_metadata(f"{number} " + "x" * 30_000)
    assert await alice.end() == 1013
    assert served.rooms.services.counters.values["sockets_too_slow"] == 1


async def test_a_socket_that_fell_silent_is_closed_so_that_the_client_resumes(
    serve: Serve,
) -> None:
    served = await serve(RtcSettings(times=RtcTimes(ping_timeout=1)))
    alice = await served.join("alice")
    assert await alice.end() == 1001
    assert served.rooms.services.counters.values["ping_timeouts"] == 1


async def test_unknown_cases_of_newer_clients_are_ignored(served: Served) -> None:
    bob = await served.join("bob")
    await bob.ws.send_bytes(b"\xf2\x07\x02hi")  # field 126, length-delimited
    await bob.ask(ping=1)
    await bob.until("pong")
    assert served.rooms.services.counters.values["requests_unknown"] == 1
    await bob.ws.close()


async def test_leave_closes_the_socket(served: Served) -> None:
    bob = await served.join("bob")
    await bob.ask(leave={"reason": "CLIENT_INITIATED"})
    assert await bob.end() == 1000
    room = served.rooms.get("r")
    assert room is not None
    assert room.by_identity("bob") is None


async def test_our_own_bug_ends_one_socket_and_names_its_traceback(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = await served.join("alice"), await served.join("bob")

    def broken(*args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setitem(HANDLERS, "ping", broken)
    await bob.ask(ping=1)
    assert await bob.end() == 1011
    assert "correlation id" in caplog.text
    await alice.ask(ping_req={"timestamp": 1})
    await alice.until("pong_resp")


async def test_after_many_joins_and_leaves_nothing_is_left(served: Served) -> None:
    keeper = await served.join("keeper")
    await asyncio.sleep(0)
    tasks = len(asyncio.all_tasks())
    gone = []
    room = served.rooms.get("r")
    assert room is not None
    for number in range(40):
        socket = await served.join(f"p{number}")
        gone.append(weakref.ref(room.by_identity(f"p{number}")))
        await socket.ask(leave={"reason": "CLIENT_INITIATED"})
        await socket.end()
        served.sockets.clear()
    async with asyncio.timeout(30):
        while len(served.app[CONNECTIONS]) > 1 or len(asyncio.all_tasks()) > tasks:
            await asyncio.sleep(0.01)
    served.media.calls[room.sid].participants.clear()
    served.hooks.events.clear()
    gc.collect()
    assert len(served.app[CONNECTIONS]) == 1
    assert [ref for ref in gone if ref() is not None] == []
    assert len(asyncio.all_tasks()) <= tasks
    await keeper.ws.close()
