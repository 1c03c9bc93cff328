"""ForwardParticipant: a guest of another room is seen, heard and gone there as in its own."""

from __future__ import annotations

from typing import Any

import pytest
from livekit import api
from livekit import rtc as client
from livekit.protocol import models, rtc

from mediaserver.api import Channel
from signaling.rtc.limits import RtcSettings, RtcTimes
from tests.signaling.rtc.fakes import Client, World, claims, grant
from tests.signaling.rtc.real import Heard, Real, publish_tone, real_server, until

State = models.ParticipantInfo.State
FORWARDED = models.ParticipantInfo.KindDetail.FORWARDED


def forward(world: World, who: Client, room: str = "s") -> None:
    found = world.rooms.get(room)
    assert found is not None
    found.guests.add(who.me)


def guests_of(who: Client) -> list[models.ParticipantInfo]:
    """What a client was told about those who are forwarded to its room."""
    told = [p for u in who.all("update") for p in u.update.participants]
    return [p for p in told if FORWARDED in p.kind_details]


def test_a_guest_is_announced_with_its_tracks_which_are_subscribed() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", room="s")
    first = alice.add_track("c1")
    forward(world, alice)
    (info,) = guests_of(bob)
    assert (info.sid, info.identity, info.state) == (alice.me.sid, "alice", State.ACTIVE)
    assert [t.sid for t in info.tracks] == [first]
    second = alice.add_track("c2")
    assert set(bob.media.subscriptions) == {first, second}
    call, there = (world.media.calls[who.me.room.sid] for who in (alice, bob))
    assert call.forwarded == {(first, there.call_id), (second, there.call_id)}
    carol = world.join("carol", room="s")
    others = carol.responses[0].join.other_participants
    assert {p.identity for p in others} == {"alice", "bob"}
    assert set(carol.media.subscriptions) == {first, second}


def test_what_changes_at_home_is_told_abroad() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", room="s")
    forward(world, alice)
    sid = alice.add_track("c1")
    alice.ask(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    assert guests_of(bob)[-1].tracks[0].muted
    everybody_but_bob = rtc.SubscriptionPermission(all_participants=False)
    alice.ask(subscription_permission=everybody_but_bob)
    assert not bob.media.subscriptions
    alice.ask(subscription_permission=rtc.SubscriptionPermission(all_participants=True))
    assert set(bob.media.subscriptions) == {sid}
    alice.media.listener.on_unpublished(sid)
    assert not bob.media.subscriptions and not guests_of(bob)[-1].tracks
    assert not world.media.calls[alice.me.room.sid].forwarded


def test_a_guest_hears_nothing_and_says_no_data() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", room="s")
    forward(world, alice)
    bob.add_track("c1")
    packet = models.DataPacket(user=models.UserPacket(payload=b"x")).SerializeToString()
    for sender in (alice, bob):
        sender.media.listener.on_data(Channel.RELIABLE, packet)
    assert not alice.media.subscriptions
    assert not alice.media.sent and not bob.media.sent


def test_data_tracks_of_a_guest_are_received() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", room="s")
    forward(world, alice)
    alice.ask(publish_data_track_request=rtc.PublishDataTrackRequest(pub_handle=7, name="geo"))
    handles = bob.last("data_track_subscriber_handles").data_track_subscriber_handles
    assert [h.publisher_sid for h in handles.sub_handles.values()] == [alice.me.sid]
    alice.ask(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=7))
    assert not bob.last("data_track_subscriber_handles").data_track_subscriber_handles.sub_handles


def test_speaking_and_quality_of_a_guest_are_told_to_those_who_hear_it() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", room="s")
    forward(world, alice)
    sid = alice.add_track("c1")
    home, abroad = (world.media.calls[who.me.room.sid].listener for who in (alice, bob))
    home.on_speakers([(alice.me.sid, sid, 0.5, True)])
    home.on_quality([(alice.me.sid, 0, 1.0)])
    (speaker,) = bob.last("speakers_changed").speakers_changed.speakers
    assert (speaker.sid, speaker.active) == (alice.me.sid, True)
    (quality,) = bob.last("connection_quality").connection_quality.updates
    assert quality.quality == models.ConnectionQuality.POOR
    bob.forget()
    abroad.on_speakers([])  # nobody of that room speaks; the guest still does
    assert not bob.all("speakers_changed")
    home.on_speakers([])
    assert not bob.last("speakers_changed").speakers_changed.speakers[0].active


@pytest.mark.parametrize("how", ["leaves", "is removed", "joins", "room closes"])
def test_a_guest_goes(how: str) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", room="s")
    alice.add_track("c1")
    forward(world, alice)
    room = world.rooms.get("s")
    assert room is not None
    if how == "leaves":
        alice.ask(leave=rtc.LeaveRequest())
    elif how == "is removed":
        room.guests.remove(alice.me, models.DisconnectReason.PARTICIPANT_REMOVED)
    elif how == "joins":
        world.join("alice", room="s")
    else:
        room.close(models.DisconnectReason.ROOM_DELETED)
    assert not room.guests.all() and not alice.me.seen_in and not room.publications()
    assert not world.media.calls[alice.me.room.sid].forwarded
    assert alice.me.closed == (how == "leaves")
    if how != "room closes":
        assert guests_of(bob)[-1].state == State.DISCONNECTED
        assert not bob.media.subscriptions
    names = [e.event for e in world.hooks.events if e.room.name == "s"]
    assert "participant_left" in names and "track_unpublished" in names


def test_a_hidden_participant_is_a_hidden_guest() -> None:
    world = World()
    bob = world.join("bob", room="s")
    hidden = world.join("ghost", claim=claims("ghost", video=grant(hidden=True)))
    forward(world, hidden)
    assert not guests_of(bob)
    carol = world.join("carol", room="s")
    assert {p.identity for p in carol.responses[0].join.other_participants} == {"bob"}


def test_a_room_lasts_as_long_as_its_guests() -> None:
    world = World(RtcSettings(times=RtcTimes(departure_timeout=5)))
    alice, bob = world.join("alice"), world.join("bob", room="s")
    forward(world, alice)
    room = bob.me.room
    bob.ask(leave=rtc.LeaveRequest())
    world.clock.advance(8)
    assert room.open and room.info().num_participants == 1
    room.guests.remove(alice.me, models.DisconnectReason.PARTICIPANT_REMOVED)
    world.clock.advance(6)
    assert not room.open


def test_who_resumes_learns_of_guests_that_came_and_went() -> None:
    world = World()
    alice, carol = world.join("alice"), world.join("carol")
    bob = world.join("bob", room="s")
    forward(world, carol)
    bob.lose_socket()
    forward(world, alice)
    bob.me.room.guests.remove(carol.me, models.DisconnectReason.PARTICIPANT_REMOVED)
    again = world.resume(bob)
    states = {p.identity: p.state for p in again.all("update")[0].update.participants}
    assert states["alice"] == State.ACTIVE and states["carol"] == State.DISCONNECTED


async def _forward(server: Real, room: str) -> None:
    async with server.server_api() as livekit:
        await livekit.room.forward_participant(
            api.ForwardParticipantRequest(room="r", identity="alice", destination_room=room)
        )


@pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])
async def test_a_subscriber_of_another_room_hears_who_is_forwarded(single: bool) -> None:
    async with real_server() as server:
        alice = await server.connect("alice", single=single)
        home = await server.connect("carol", single=single)
        bob = client.Room()
        server.clients.append(bob)
        options = client.RoomOptions(auto_subscribe=True, single_peer_connection=single)
        await bob.connect(server.url, server.token("bob", room="s"), options)
        heard, at_home = Heard(bob), Heard(home)
        gone: list[Any] = []
        bob.on("participant_disconnected", lambda p: gone.append(p.identity))
        tone, publication = await publish_tone(alice)
        await _forward(server, "s")
        await until(lambda: heard.frames > 50 and at_home.frames > 50)
        assert heard.tracks == at_home.tracks == [publication.sid]
        assert bob.remote_participants["alice"].track_publications[publication.sid].subscribed
        room = server.rooms.get("s")
        assert room is not None
        guest = server.participant("alice")
        room.guests.remove(guest, models.DisconnectReason.PARTICIPANT_REMOVED)
        await until(lambda: gone == ["alice"])
        before = at_home.frames
        await until(lambda: at_home.frames > before + 50)
        await heard.silence()
        await _forward(server, "s")
        before = heard.frames
        await until(lambda: heard.frames > before + 50)
        await alice.disconnect()
        await until(lambda: gone == ["alice", "alice"])
        for part in (tone, heard, at_home):
            await part.stop()
