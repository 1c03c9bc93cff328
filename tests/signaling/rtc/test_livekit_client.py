"""PyPI `livekit` (libwebrtc, Rust SDK) in both modes: what the protocol promises beyond media.

Plain publishing and the wide client matrix are in `tests/interop`; here are resume, data tracks,
permissions, moderation and moving, with the real media server.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from google.protobuf import json_format
from livekit import api
from livekit import rtc as client
from livekit.protocol import room as room_pb

from tests.signaling.rtc.fakes import KEY, SECRET
from tests.signaling.rtc.real import Heard, Real, publish_tone, real_server, until

both_modes = pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])


@both_modes
async def test_resume_keeps_sid_tracks_media_and_reliable_data(single: bool) -> None:
    async with real_server() as server:
        alice = await server.connect("alice", single=single)
        bob = await server.connect("bob", single=single)
        heard = Heard(bob)
        received: list[bytes] = []
        bob.on("data_received", lambda packet: received.append(packet.data))
        gone: list[str] = []
        bob.on("participant_disconnected", lambda p: gone.append(p.identity))
        states: list[int] = []
        alice.on("connection_state_changed", states.append)
        tone, publication = await publish_tone(alice)
        await until(lambda: heard.frames > 20)
        sid = server.participant("alice").sid
        server.participant("alice").drop_socket("test")
        sending = [
            asyncio.ensure_future(
                alice.local_participant.publish_data(str(n).encode(), reliable=True)
            )
            for n in range(20)
        ]
        await until(lambda: client.ConnectionState.CONN_CONNECTED in states)
        await asyncio.gather(*sending)
        before = heard.frames
        await until(lambda: heard.frames > before + 20)
        await until(lambda: len(received) == 20)
        assert sorted(received, key=int) == [str(n).encode() for n in range(20)]
        assert server.participant("alice").sid == sid
        assert heard.tracks == [publication.sid]
        assert not gone
        assert server.rooms.services.counters.values["resumes"] >= 1
        await tone.stop()
        await heard.stop()


@both_modes
async def test_data_tracks_both_ways(single: bool) -> None:
    async with real_server() as server:
        alice = await server.connect("alice", single=single)
        bob = await server.connect("bob", single=single)
        published: asyncio.Queue[client.RemoteDataTrack] = asyncio.Queue()
        bob.on("data_track_published", published.put_nowait)
        track = await alice.local_participant.publish_data_track(name="geo")
        remote = await asyncio.wait_for(published.get(), 30)
        assert (remote.info.name, remote.publisher_identity) == ("geo", "alice")
        stream = remote.subscribe()

        async def push() -> None:
            while True:
                track.try_push(client.DataTrackFrame(payload=b"x" * 3000))
                await asyncio.sleep(0.05)

        pushing = asyncio.ensure_future(push())
        frame = await asyncio.wait_for(stream.read(), 30)
        assert frame is not None
        assert frame.payload == b"x" * 3000
        pushing.cancel()
        await stream.aclose()
        await track.unpublish()
        await until(lambda: not server.participant("alice").data_tracks.infos())


@both_modes
async def test_publishers_decide_who_may_subscribe(single: bool) -> None:
    async with real_server() as server:
        alice = await server.connect("alice", single=single)
        bob = await server.connect("bob", single=single)
        heard = Heard(bob)
        tone, publication = await publish_tone(alice)
        await until(lambda: heard.frames > 10)
        bobs = server.participant("bob")
        alice.local_participant.set_track_subscription_permissions(allow_all_participants=False)
        await until(lambda: not bobs.subscribing.active())
        frames = await heard.silence()
        alice.local_participant.set_track_subscription_permissions(allow_all_participants=True)
        await until(lambda: bobs.subscribing.active() == [publication.sid])
        await until(lambda: heard.frames > frames + 30)
        await tone.stop()
        await heard.stop()


@both_modes
async def test_moderation_reaches_a_real_client(single: bool) -> None:
    async with real_server() as server:
        alice = await server.connect("alice", single=single)
        bob = await server.connect("bob", single=single)
        tone, publication = await publish_tone(alice)
        muted: list[str] = []
        bob.on("track_muted", lambda participant, pub: muted.append(pub.sid))
        await until(lambda: bool(bob.remote_participants["alice"].track_publications))
        async with server.server_api() as admin:
            await admin.room.mute_published_track(
                api.MuteRoomTrackRequest(
                    room="r", identity="alice", track_sid=publication.sid, muted=True
                )
            )
            await until(lambda: muted == [publication.sid])
            await admin.room.update_participant(
                api.UpdateParticipantRequest(
                    room="r", identity="alice", name="Alice", attributes={"k": "v"}
                )
            )
            await until(lambda: bob.remote_participants["alice"].name == "Alice")
            assert bob.remote_participants["alice"].attributes == {"k": "v"}
            await admin.room.update_room_metadata(
                api.UpdateRoomMetadataRequest(room="r", metadata="topic")
            )
            await until(lambda: bob.metadata == "topic")
            gone: list[int] = []
            alice.on("disconnected", gone.append)
            await admin.room.remove_participant(
                api.RoomParticipantIdentity(room="r", identity="alice")
            )
            await until(lambda: gone == [client.DisconnectReason.PARTICIPANT_REMOVED])
            await until(lambda: "alice" not in bob.remote_participants)
        await tone.stop()


@both_modes
async def test_a_moved_participant_arrives_in_the_other_room(single: bool) -> None:
    async with real_server() as server:
        alice = await server.connect("alice", single=single)
        tone, _ = await publish_tone(alice)
        async with server.server_api() as admin:
            await admin.room.move_participant(
                api.MoveParticipantRequest(room="r", identity="alice", destination_room="next")
            )
        await until(lambda: bool((room := server.rooms.get("next")) and room.participants()))
        await until(lambda: bool(server.participant("alice", "next").publishing.published()))
        source = server.rooms.get("r")
        assert source is not None
        assert not source.participants()
        await tone.stop()


@both_modes
async def test_own_metadata_rpc_and_streams(single: bool) -> None:
    async with real_server() as server:
        alice = await server.connect("alice", single=single)
        bob = await server.connect("bob", single=single)
        await alice.local_participant.set_attributes({"mood": "fine"})
        await until(lambda: bob.remote_participants["alice"].attributes == {"mood": "fine"})

        async def greet(data: client.RpcInvocationData) -> str:
            return f"hello {data.caller_identity} {data.payload}"

        bob.local_participant.register_rpc_method("greet", greet)
        answer = await alice.local_participant.perform_rpc(
            destination_identity="bob", method="greet", payload="x" * 10_000
        )
        assert answer == f"hello alice {'x' * 10_000}"
        texts: asyncio.Queue[str] = asyncio.Queue()

        async def read(reader: client.TextStreamReader) -> None:
            texts.put_nowait(await reader.read_all())

        tasks: list[asyncio.Future[None]] = []
        bob.register_text_stream_handler(
            "chat", lambda reader, identity: tasks.append(asyncio.ensure_future(read(reader)))
        )
        await alice.local_participant.send_text("y" * 100_000, topic="chat")
        assert await asyncio.wait_for(texts.get(), 30) == "y" * 100_000


@both_modes
async def test_the_server_api_calls_a_real_clients_rpc_method(single: bool) -> None:
    async with real_server() as server, server.server_api() as admin:
        bob = await server.connect("bob", single=single)

        async def double(data: client.RpcInvocationData) -> str:
            return data.payload * 2

        bob.local_participant.register_rpc_method("double", double)
        call = room_pb.PerformRpcRequest(
            room="r", destination_identity="bob", method="double", payload="ab"
        )
        answer = await _perform(server, call)
        assert answer == {"payload": "abab"}
        call.method = "unknown"
        refused = await _perform(server, call)
        assert refused["meta"]["rpc_code"] == "1400"
        await admin.room.send_data(api.SendDataRequest(room="r", data=b"x"))


async def _perform(server: Real, call: room_pb.PerformRpcRequest) -> dict[str, Any]:
    grants = api.VideoGrants(room_admin=True, room="r")
    token = api.AccessToken(KEY, SECRET).with_grants(grants).to_jwt()
    url = server.url.replace("ws", "http") + "/twirp/livekit.RoomService/PerformRpc"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=json_format.MessageToJson(call), headers=headers) as response,
    ):
        answer: dict[str, Any] = await response.json()
        return answer


@both_modes
async def test_a_second_device_with_the_same_identity_takes_over(single: bool) -> None:
    async with real_server() as server:
        first = await server.connect("alice", single=single)
        ended: list[int] = []
        first.on("disconnected", ended.append)
        await server.connect("alice", single=single)
        await until(lambda: ended == [client.DisconnectReason.DUPLICATE_IDENTITY])


@both_modes
@pytest.mark.parametrize(
    "scenario",
    [
        client.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT,
        client.SimulateScenarioKind.SIMULATE_FULL_RECONNECT,
        client.SimulateScenarioKind.SIMULATE_NODE_FAILURE,
        client.SimulateScenarioKind.SIMULATE_MIGRATION,
    ],
)
async def test_clients_recover_from_simulated_failures(
    single: bool, scenario: client.SimulateScenarioKind.ValueType
) -> None:
    async with real_server() as server:
        alice = await server.connect("alice", single=single)
        bob = await server.connect("bob", single=single)
        heard = Heard(bob)
        tone, _ = await publish_tone(alice)
        await until(lambda: heard.frames > 10)
        back: list[bool] = []
        alice.on("reconnected", lambda: back.append(True))
        await alice.simulate_scenario(scenario)
        await until(lambda: bool(back))
        frames = heard.frames
        await until(lambda: heard.frames > frames + 20)
        await tone.stop()
        await heard.stop()
