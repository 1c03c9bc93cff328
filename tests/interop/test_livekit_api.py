"""The `livekit-api` package's room service calls, with their effects seen in a real client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from livekit import api

from tests.interop import clients, scenario
from tests.interop.peer import Peer, Stats, running, track
from tests.interop.servers import Server

pytestmark = pytest.mark.filterwarnings("ignore:The HMAC key")


def _event(start: str) -> Callable[[Stats], bool]:
    return lambda s: any(e.startswith(start) for e in s["events"])


async def test_room_service(server: Server, room: str, folder: Path) -> None:
    starting = [clients.start("libwebrtc", folder, name=n) for n in ("alice", "bob")]
    async with (
        api.LiveKitAPI(server.http, server.key, server.secret) as service,
        running(*starting) as (alice, bob),
    ):
        rooms = service.room
        made = await rooms.create_room(api.CreateRoomRequest(name=room, metadata="first"))
        assert made.name == room and made.metadata == "first" and made.sid.startswith("RM_")
        await scenario.join_all(server, room, [alice, bob])
        mic = (await alice.do("publish", kind="audio"))["sid"]
        await scenario.hears_and_sees(bob, video=False)

        await _count(rooms, room, 2)
        people = await rooms.list_participants(api.ListParticipantsRequest(room=room))
        assert sorted(p.identity for p in people.participants) == ["alice", "bob"]

        await _unsubscribed(rooms, room, mic, bob)
        who = api.RoomParticipantIdentity(room=room, identity="alice")
        assert (await rooms.get_participant(who)).tracks[0].sid == mic
        muted = await rooms.mute_published_track(
            api.MuteRoomTrackRequest(room=room, identity="alice", track_sid=mic, muted=True)
        )
        assert muted.track.muted
        changed = await rooms.update_participant(
            api.UpdateParticipantRequest(
                room=room, identity="bob", metadata="m", name="B", attributes={"k": "v"}
            )
        )
        assert (changed.metadata, changed.name, dict(changed.attributes)) == ("m", "B", {"k": "v"})
        await _data_metadata_and_end(rooms, room, alice, bob)


async def _count(rooms: api.room_service.RoomService, room: str, wanted: int) -> None:
    """A server may count participants now and then rather than at once."""
    for _ in range(50):
        listed = await rooms.list_rooms(api.ListRoomsRequest(names=[room]))
        if [r.num_participants for r in listed.rooms] == [wanted]:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(listed)


async def _unsubscribed(
    rooms: api.room_service.RoomService, room: str, sid: str, bob: Peer
) -> None:
    await rooms.update_subscriptions(
        api.UpdateSubscriptionsRequest(room=room, identity="bob", track_sids=[sid], subscribe=False)
    )
    await bob.do("reset_gap")
    await bob.until(
        lambda s: track(s, "audio")["sid"] == "" or track(s, "audio")["gap_ms"] > 1500,
        10,
        "no more audio",
    )


async def _data_metadata_and_end(
    rooms: api.room_service.RoomService, room: str, alice: Peer, bob: Peer
) -> None:
    await rooms.send_data(
        api.SendDataRequest(
            room=room,
            data=b"to bob",
            kind="RELIABLE",
            destination_identities=["bob"],
            topic="server",
        )
    )

    def told(stats: Stats) -> bool:
        return any(i["data"] == "to bob" and i["from"] == "" for i in stats["inbox"])

    await bob.until(told, 10, "data of the server")
    assert not told(await alice.stats())
    updated = await rooms.update_room_metadata(
        api.UpdateRoomMetadataRequest(room=room, metadata="second")
    )
    assert updated.metadata == "second"
    await rooms.remove_participant(api.RoomParticipantIdentity(room=room, identity="alice"))
    await bob.until(_event("left:alice"), 10, "alice gone")
    await rooms.delete_room(api.DeleteRoomRequest(room=room))
    await bob.until(_event("disconnected"), 10, "the room's end")
    left = await rooms.list_rooms(api.ListRoomsRequest(names=[room]))
    assert not left.rooms
