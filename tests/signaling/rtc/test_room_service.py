"""The server API through `livekit-api` and plain JSON: every method, its grant, and its errors."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from livekit import api
from livekit.protocol import models, rtc

from mediaserver.api import Channel
from signaling.rtc.room_service import RoomService
from signaling.rtc.twirp import ABSENT, ROOM_SERVICE_METHODS
from tests.signaling.rtc.conftest import Served, Socket, token
from tests.signaling.rtc.fakes import KEY, SECRET, World


@pytest.fixture
async def livekit(served: Served) -> AsyncIterator[api.LiveKitAPI]:
    client = api.LiveKitAPI(served.url, KEY, SECRET)
    yield client
    await client.aclose()


async def call(
    served: Served, method: str, body: Any, *, service: str = "RoomService", **grants: Any
) -> tuple[int, dict[str, Any]]:
    """A JSON call with the given grants."""
    video = api.VideoGrants(**grants)
    bearer = api.AccessToken(KEY, SECRET).with_grants(video).to_jwt()
    async with served.session.post(
        f"{served.url}/twirp/livekit.{service}/{method}",
        data=json.dumps(body),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {bearer}"},
    ) as response:
        return response.status, await response.json()


async def publish(served: Served, socket: Socket, identity: str) -> str:
    await socket.ask(add_track={"cid": "c", "type": "AUDIO", "source": "MICROPHONE"})
    response = await socket.until("track_published")
    served.participant_media(identity).publish_declared()
    sid: str = response.track_published.track.sid
    return sid


def test_every_method_of_the_service_is_there() -> None:
    assert set(RoomService(World().rooms).methods) == ROOM_SERVICE_METHODS


async def test_rooms_are_created_listed_updated_and_deleted(
    served: Served, livekit: api.LiveKitAPI
) -> None:
    room = await livekit.room.create_room(
        api.CreateRoomRequest(name="r", metadata="m", max_participants=5, empty_timeout=60)
    )
    assert (room.name, room.metadata, room.max_participants) == ("r", "m", 5)
    assert room.sid.startswith("RM_")
    again = await livekit.room.create_room(api.CreateRoomRequest(name="r"))
    assert again.sid == room.sid
    await livekit.room.create_room(api.CreateRoomRequest(name="other"))
    listed = await livekit.room.list_rooms(api.ListRoomsRequest(names=["r"]))
    assert [r.name for r in listed.rooms] == ["r"]
    assert len((await livekit.room.list_rooms(api.ListRoomsRequest())).rooms) == 2
    updated = await livekit.room.update_room_metadata(
        api.UpdateRoomMetadataRequest(room="r", metadata="new")
    )
    assert updated.metadata == "new"
    alice = await served.join("alice")
    await livekit.room.delete_room(api.DeleteRoomRequest(room="r"))
    leave = await alice.until("leave")
    assert leave.leave.reason == models.DisconnectReason.ROOM_DELETED
    with pytest.raises(api.TwirpError) as missing:
        await livekit.room.delete_room(api.DeleteRoomRequest(room="r"))
    assert (missing.value.code, missing.value.status) == ("not_found", 404)


async def test_participants_are_listed_changed_and_removed(
    served: Served, livekit: api.LiveKitAPI
) -> None:
    alice, bob = await served.join("alice"), await served.join("bob")
    sid = await publish(served, alice, "alice")
    listed = await livekit.room.list_participants(api.ListParticipantsRequest(room="r"))
    assert {p.identity for p in listed.participants} == {"alice", "bob"}
    who = api.RoomParticipantIdentity(room="r", identity="alice")
    assert (await livekit.room.get_participant(who)).tracks[0].sid == sid
    changed = await livekit.room.update_participant(
        api.UpdateParticipantRequest(
            room="r", identity="alice", name="A", metadata="m", attributes={"k": "v"}
        )
    )
    assert (changed.name, changed.metadata, changed.attributes["k"]) == ("A", "m", "v")
    assert (await alice.until("refresh_token")).refresh_token
    muted = await livekit.room.mute_published_track(
        api.MuteRoomTrackRequest(room="r", identity="alice", track_sid=sid, muted=True)
    )
    assert muted.track.muted
    assert (await alice.until("mute")).mute.sid == sid
    with pytest.raises(api.TwirpError, match="remote unmute"):
        await livekit.room.mute_published_track(
            api.MuteRoomTrackRequest(room="r", identity="alice", track_sid=sid, muted=False)
        )
    await livekit.room.remove_participant(who)
    leave = await alice.until("leave")
    assert leave.leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
    with pytest.raises(api.TwirpError, match="participant does not exist"):
        await livekit.room.get_participant(who)
    await bob.ws.close()


async def test_a_removed_participants_old_token_is_refused_and_a_new_one_admits(
    served: Served, livekit: api.LiveKitAPI
) -> None:
    alice = await served.join("alice")
    who = api.RoomParticipantIdentity(room="r", identity="alice")
    await livekit.room.remove_participant(
        api.RoomParticipantIdentity(room="r", identity="alice", revoke_token_ts=2**40)
    )
    await alice.until("leave")
    assert (await served.get("/rtc/validate", access_token=token()))[0] == 401
    assert (await served.get("/rtc/validate", access_token=token("bob")))[0] == 200
    await served.join("bob")
    await livekit.room.remove_participant(
        api.RoomParticipantIdentity(room=who.room, identity="bob")
    )
    assert (await served.get("/rtc/validate", access_token=token("bob")))[0] == 200


async def test_permission_changes_take_effect_at_once(
    served: Served, livekit: api.LiveKitAPI
) -> None:
    alice, bob = await served.join("alice"), await served.join("bob")
    sid = await publish(served, alice, "alice")
    await livekit.room.update_participant(
        api.UpdateParticipantRequest(
            room="r",
            identity="bob",
            permission=api.ParticipantPermission(can_subscribe=False, can_publish=True),
        )
    )
    assert not served.participant_media("bob").subscriptions
    await livekit.room.update_participant(
        api.UpdateParticipantRequest(
            room="r",
            identity="bob",
            permission=api.ParticipantPermission(can_subscribe=True, can_publish=True),
        )
    )
    assert list(served.participant_media("bob").subscriptions) == [sid]
    await livekit.room.update_subscriptions(
        api.UpdateSubscriptionsRequest(room="r", identity="bob", track_sids=[sid], subscribe=False)
    )
    assert not served.participant_media("bob").subscriptions
    await livekit.room.update_participant(
        api.UpdateParticipantRequest(
            room="r", identity="alice", permission=api.ParticipantPermission(can_subscribe=True)
        )
    )
    assert (await alice.until("track_unpublished")).track_unpublished.track_sid == sid
    await bob.ws.close()


async def test_data_is_sent_to_those_named_and_a_retry_is_not_sent_twice(
    served: Served, livekit: api.LiveKitAPI
) -> None:
    await served.join("alice")
    await served.join("bob")
    await livekit.room.send_data(
        api.SendDataRequest(
            room="r",
            data=b"hi",
            kind=models.DataPacket.Kind.RELIABLE,
            destination_identities=["bob"],
            topic="t",
        )
    )
    body = {"room": "r", "data": "aGk=", "nonce": "bm5ubm5ubm5ubm5ubm5ubg=="}
    for _ in range(2):
        assert (await call(served, "SendData", body, room_admin=True, room="r"))[0] == 200
    packets = served.participant_media("bob").packets()
    assert [(p.user.payload, p.user.topic) for p in packets] == [(b"hi", "t"), (b"hi", "")]
    assert len(served.participant_media("alice").sent) == 1


async def test_perform_rpc_waits_for_the_participants_answer(served: Served) -> None:
    await served.join("bob")
    body = {"room": "r", "destinationIdentity": "bob", "method": "greet", "payload": "x"}
    asked = asyncio.create_task(call(served, "PerformRpc", body, room_admin=True, room="r"))
    media = served.participant_media("bob")
    await asyncio.wait_for(media.sending.wait(), 30)
    (request,) = media.packets()
    assert request.rpc_request.method == "greet"
    request_id = request.rpc_request.id
    for answer in (
        models.DataPacket(rpc_ack=models.RpcAck(request_id=request_id)),
        models.DataPacket(rpc_response=models.RpcResponse(request_id=request_id, payload="hello")),
    ):
        media.listener.on_data(Channel.RELIABLE, answer.SerializeToString())
    assert await asked == (200, {"payload": "hello"})


async def test_perform_rpc_reports_the_participants_error(served: Served) -> None:
    await served.join("bob")
    body = {"room": "r", "destination_identity": "bob", "method": "m"}
    asked = asyncio.create_task(call(served, "PerformRpc", body, room_admin=True, room="r"))
    media = served.participant_media("bob")
    await asyncio.wait_for(media.sending.wait(), 30)
    request_id = media.packets()[0].rpc_request.id
    error = models.RpcError(code=1400, message="Method not supported")
    response = models.RpcResponse(request_id=request_id, error=error)
    media.listener.on_data(
        Channel.RELIABLE, models.DataPacket(rpc_response=response).SerializeToString()
    )
    status, answer = await asked
    assert (status, answer["code"], answer["meta"]["rpc_code"]) == (400, "invalid_argument", "1400")


async def test_a_moved_participant_gets_the_new_room_and_reconnects(
    served: Served, livekit: api.LiveKitAPI
) -> None:
    alice = await served.join("alice")
    await livekit.room.move_participant(
        api.MoveParticipantRequest(room="r", identity="alice", destination_room="next")
    )
    moved = (await alice.until("room_moved")).room_moved
    assert moved.room.name == "next"
    leave = (await alice.until("leave")).leave
    assert leave.action == rtc.LeaveRequest.Action.RECONNECT
    claims = served.rooms.claims(moved.token)
    assert (claims.identity, claims.video.room) == ("alice", "next")


async def test_forwarding_shows_a_participant_in_another_room_as_well(
    served: Served, livekit: api.LiveKitAPI
) -> None:
    alice = await served.join("alice")
    sid = await publish(served, alice, "alice")
    request = api.ForwardParticipantRequest(room="r", identity="alice", destination_room="next")
    for _ in range(2):
        await livekit.room.forward_participant(request)
    who = api.RoomParticipantIdentity(room="next", identity="alice")
    guest = await livekit.room.get_participant(who)
    assert (guest.identity, [t.sid for t in guest.tracks]) == ("alice", [sid])
    assert guest.kind_details == [models.ParticipantInfo.KindDetail.FORWARDED]
    for room in ("r", "next"):
        listed = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
        assert [p.identity for p in listed.participants] == ["alice"]
    with pytest.raises(api.TwirpError) as refused:
        await livekit.room.update_participant(
            api.UpdateParticipantRequest(room="next", identity="alice", name="Bob")
        )
    assert refused.value.code == "failed_precondition"
    await livekit.room.remove_participant(who)
    with pytest.raises(api.TwirpError) as gone:
        await livekit.room.get_participant(who)
    assert gone.value.code == "not_found"
    stays = api.RoomParticipantIdentity(room="r", identity="alice")
    assert (await livekit.room.get_participant(stays)).identity == "alice"


@pytest.mark.parametrize(
    ("identity", "destination", "code"),
    [
        ("alice", "r", "invalid_argument"),
        ("alice", "", "invalid_argument"),
        ("alice", "x" * 257, "invalid_argument"),
        ("nobody", "next", "not_found"),
        ("alice", "taken", "already_exists"),
        ("alice", "full", "resource_exhausted"),
    ],
)
async def test_what_cannot_be_forwarded_is_said(
    served: Served, livekit: api.LiveKitAPI, identity: str, destination: str, code: str
) -> None:
    await served.join("alice")
    await served.join("alice", room="taken")
    await served.join("carol", room="full")
    await livekit.room.create_room(api.CreateRoomRequest(name="full", max_participants=1))
    with pytest.raises(api.TwirpError) as refused:
        await livekit.room.forward_participant(
            api.ForwardParticipantRequest(room="r", identity=identity, destination_room=destination)
        )
    assert refused.value.code == code


@pytest.mark.parametrize("service", sorted(ABSENT))
async def test_services_that_are_not_here_say_so(served: Served, service: str) -> None:
    status, answer = await call(served, "Anything", {}, service=service, room_record=True)
    assert (status, answer["code"]) == (501, "unimplemented")
    assert answer["msg"].endswith(".")


async def test_json_takes_both_spellings_and_answers_as_livekit(served: Served) -> None:
    for body in ({"name": "r", "maxParticipants": 7}, {"name": "r", "max_participants": 7}):
        status, room = await call(served, "CreateRoom", body, room_create=True)
        assert (status, room["max_participants"], room["metadata"]) == (200, 7, "")


ADMIN = {"room_admin": True, "room": "r"}


@pytest.mark.parametrize(
    ("method", "body", "grants"),
    [
        ("CreateRoom", {"name": "r"}, {"room_list": True, **ADMIN}),
        ("ListRooms", {}, {"room_create": True, **ADMIN}),
        ("DeleteRoom", {"room": "r"}, {"room_list": True, **ADMIN}),
        ("ListParticipants", {"room": "r"}, {"room_admin": True, "room": "x"}),
        ("GetParticipant", {"room": "r", "identity": "a"}, {"room_create": True}),
        ("RemoveParticipant", {"room": "r", "identity": "a"}, {"room_list": True}),
        ("MutePublishedTrack", {"room": "r", "identity": "a"}, {"room_admin": True}),
        ("UpdateParticipant", {"room": "r", "identity": "a"}, {"room_join": True, "room": "r"}),
        ("UpdateSubscriptions", {"room": "r", "identity": "a"}, {}),
        ("SendData", {"room": "r"}, {"room_create": True, "room_list": True}),
        ("UpdateRoomMetadata", {"room": "r"}, {"room_create": True}),
        ("ForwardParticipant", {"room": "r", "destination_room": "d"}, ADMIN),
        ("MoveParticipant", {"room": "r", "destination_room": "d"}, ADMIN),
        ("PerformRpc", {"room": "r"}, {"room_record": True}),
    ],
)
async def test_each_method_needs_its_grant(
    served: Served, method: str, body: dict[str, Any], grants: dict[str, Any]
) -> None:
    if grants.get("room_join"):
        grants = {**grants, "room_join": None}
    status, answer = await call(served, method, body, **grants)
    assert (status, answer["code"]) == (401, "unauthenticated")


async def test_bad_calls_are_answered_in_twirps_words(served: Served) -> None:
    url = f"{served.url}/twirp/livekit.RoomService"
    bearer = api.AccessToken(KEY, SECRET).with_grants(api.VideoGrants(room_list=True)).to_jwt()
    auth = {"Authorization": f"Bearer {bearer}"}

    async def post(path: str, data: bytes | io.BytesIO, **headers: str) -> tuple[int, str]:
        async with served.session.post(path, data=data, headers=headers) as response:
            return response.status, (await response.json())["code"]

    as_json = {"Content-Type": "application/json", **auth}
    assert await post(f"{url}/Nothing", b"{}", **as_json) == (404, "bad_route")
    assert await post(f"{url}/ListRooms", b"{", **as_json) == (400, "malformed")
    assert await post(f"{url}/ListRooms", io.BytesIO(b"x" * 1_048_577), **as_json) == (
        400,
        "invalid_argument",
    )
    assert await post(
        f"{url}/ListRooms", b"\xff\xff", **{"Content-Type": "application/protobuf"}, **auth
    ) == (400, "malformed")
    assert await post(f"{url}/ListRooms", b"", **{"Content-Type": "text/plain"}, **auth) == (
        400,
        "malformed",
    )
    no_token = {"Content-Type": "application/json"}
    assert await post(f"{url}/ListRooms", b"{}", **no_token) == (401, "unauthenticated")


async def test_browsers_may_ask_first(served: Served) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.options(f"{served.url}/twirp/livekit.RoomService/ListRooms") as response,
    ):
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
