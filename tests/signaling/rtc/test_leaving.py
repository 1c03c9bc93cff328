"""Who leaves when: sockets, silence, resume windows, duplicate identities, rooms that empty."""

from __future__ import annotations

from dataclasses import replace

import pytest
from livekit.protocol import models, rtc
from livekit.protocol import room as room_pb

from mediaserver.api import Channel, Mode, Target
from signaling.errors import ClientError, Refused
from signaling.rtc import moderation
from signaling.rtc.entry import plain_entry
from signaling.rtc.limits import RtcSettings
from tests.signaling.rtc.fakes import Client, World, claims, grant

Reason = models.DisconnectReason
Action = rtc.LeaveRequest.Action


def keep_talking(
    client: Client, seconds: float, *, packets: bool = True, pings: bool = True
) -> None:
    for _ in range(int(seconds)):
        if packets:
            client.media.packet()
        if pings and not client.me.closed:
            client.ask(ping_req=rtc.Ping(timestamp=1))
        client.world.clock.advance(1)


def test_a_killed_browser_is_gone_within_5_s_of_its_socket() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    keep_talking(bob, 3)
    bob.lose_socket()
    world.clock.advance(2.9)  # 3.9 s after the last packet
    assert not bob.me.closed
    world.clock.advance(0.5)
    assert bob.me.closed
    gone = alice.last("update").update.participants[0]
    assert (gone.identity, gone.state) == ("bob", models.ParticipantInfo.State.DISCONNECTED)
    assert bob.media.closed


def test_the_engines_word_of_silence_is_not_waited_for_again() -> None:
    """The age of the last packet comes from a snapshot that may be a second old."""
    world = World()
    bob = world.join("bob")
    keep_talking(bob, 3)
    bob.media.listener.on_idle(4.0)
    assert not bob.me.closed  # its socket is open
    bob.lose_socket()
    bob.media.packet()
    bob.media.listener.on_idle(4.0)
    assert bob.me.closed


def test_media_outlives_a_leave_that_was_told_by_a_moment() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sid = alice.add_track()
    moderation.remove(alice.me, alice.me.room)
    assert not bob.media.subscriptions
    assert alice.me.room.publication(sid) is None
    alice.media.listener.on_data(Channel.RELIABLE, b"")
    assert not bob.media.sent  # only the way towards it is still open
    assert not alice.media.closed
    world.clock.advance(0.5)
    assert alice.media.closed


def test_while_packets_come_it_may_resume_for_30_s_and_no_longer() -> None:
    world = World()
    bob = world.join("bob")
    bob.lose_socket()
    keep_talking(bob, 29, pings=False)
    assert not bob.me.closed
    keep_talking(bob, 2, pings=False)
    assert bob.me.closed


def test_when_nothing_closes_a_dead_client_is_gone_within_30_s() -> None:
    world = World()
    bob = world.join("bob")
    keep_talking(bob, 5)
    world.clock.advance(13)
    assert not bob.me.closed
    world.clock.advance(3)
    assert bob.closed == "ping timeout"
    assert bob.me.closed


def test_a_client_that_only_pings_stays() -> None:
    world = World()
    bob = world.join("bob")
    keep_talking(bob, 120, packets=False)
    assert not bob.me.closed


def test_media_that_never_connects_ends_the_join() -> None:
    world = World()
    bob = world.join("bob", connect=False)
    keep_talking(bob, 61, packets=False)
    assert bob.last("leave").leave.reason == Reason.JOIN_FAILURE
    assert world.hooks.names() == ["room_started", "participant_connection_aborted"]


def test_a_plain_session_leaves_by_silence_alone() -> None:
    world = World()
    entry = plain_entry(claims("obs"), "r", publish=True, subscribe=False)
    participant = world.rooms.enter(entry)
    participant.room.joined(participant)
    media = world.media.media(participant.sid)
    media.connect()
    world.clock.advance(24)
    media.packet()
    world.clock.advance(24)
    assert not participant.closed
    world.clock.advance(3)
    assert participant.closed


def test_duplicate_identity_takes_over() -> None:
    world = World()
    first = world.join("bob")
    second = world.join("bob")
    assert first.last("leave").leave.reason == Reason.DUPLICATE_IDENTITY
    assert first.last("leave").leave.action == Action.DISCONNECT
    assert second.me.room.by_identity("bob") is second.me
    assert first.me.sid != second.me.sid


def test_old_clients_read_can_reconnect_instead_of_an_action() -> None:
    world = World()
    bob = world.join("bob", protocol=9)
    bob.me.leave(Reason.SERVER_SHUTDOWN, Action.RECONNECT)
    leave = bob.last("leave").leave
    assert leave.can_reconnect is True
    assert leave.action == Action.DISCONNECT


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        (Reason.CLIENT_INITIATED, Reason.CLIENT_INITIATED),
        (Reason.USER_REJECTED, Reason.USER_REJECTED),
        (Reason.SERVER_SHUTDOWN, Reason.CLIENT_INITIATED),
    ],
)
def test_a_client_leaves_with_a_reason_that_it_may_give(
    asked: models.DisconnectReason, seen: models.DisconnectReason
) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    bob.ask(leave=rtc.LeaveRequest(reason=asked))
    assert alice.last("update").update.participants[0].disconnect_reason == seen
    assert not bob.all("leave")


def test_resume_keeps_sid_tracks_and_subscriptions() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sid = alice.add_track()
    alice.lose_socket()
    bob.add_track("b1")
    bob.ask(leave=rtc.LeaveRequest())
    again = world.resume(alice)
    assert again.cases()[:3] == ["reconnect", "update", "room_update"]
    assert again.me is alice.me
    infos = {p.identity: p for p in again.responses[1].update.participants}
    assert infos["bob"].state == models.ParticipantInfo.State.DISCONNECTED
    assert infos["alice"].tracks[0].sid == sid
    world.clock.advance(10)
    assert not alice.me.closed


def test_what_happened_meanwhile_is_told_after_a_resume() -> None:
    world = World()
    alice = world.join("alice")
    sid = alice.add_track()
    alice.lose_socket()
    alice.media.listener.on_demand(sid, [("video/VP8", [(0, True), (1, False), (2, False)])])
    again = world.resume(alice)
    assert again.last("subscribed_quality_update").subscribed_quality_update.track_sid == sid


def test_dual_mode_resume_restarts_ice_unasked() -> None:
    world = World()
    alice = world.join("alice", mode=Mode.DUAL)
    alice.lose_socket()
    again = world.resume(alice)
    assert again.media.restarts == [Target.SUBSCRIBER]
    assert again.last("offer").offer.sdp == "restart offer"


@pytest.mark.parametrize("wrong", [{"participant_sid": "PA_other"}, {"mode": Mode.DUAL}])
def test_a_resume_of_something_else_is_told_to_reconnect(wrong: dict[str, object]) -> None:
    world = World()
    alice = world.join("alice")
    alice.lose_socket()
    if "mode" in wrong:
        alice.entry = plain_entry(claims("alice"), "r", publish=True, subscribe=True)
        object.__setattr__(alice.entry, "mode", Mode.DUAL)
        object.__setattr__(alice.entry, "client", models.ClientInfo(protocol=17))
        wrong = {}
    again = world.resume(alice, **wrong)
    assert again.cases() == ["leave"]
    leave = again.responses[0].leave
    assert (leave.action, leave.reason) == (Action.RECONNECT, Reason.STATE_MISMATCH)
    assert again.closed


def test_a_resume_after_the_end_is_told_to_reconnect() -> None:
    world = World()
    alice = world.join("alice")
    alice.lose_socket()
    world.clock.advance(10)
    assert world.resume(alice).responses[0].leave.action == Action.RECONNECT


def test_the_old_socket_of_a_resumed_client_changes_nothing() -> None:
    world = World()
    alice = world.join("alice")
    world.resume(alice)
    assert alice.closed == "replaced"
    alice.lose_socket()
    world.clock.advance(10)
    assert not alice.me.closed


def test_sync_state_naming_an_unknown_track_forces_a_full_reconnect() -> None:
    world = World()
    alice = world.join("alice")
    sid = alice.add_track()
    known = rtc.TrackPublishedResponse(cid="c1", track=models.TrackInfo(sid=sid))
    alice.ask(sync_state=rtc.SyncState(publish_tracks=[known]))
    assert not alice.me.closed
    unknown = rtc.TrackPublishedResponse(cid="x", track=models.TrackInfo(sid="TR_unknown"))
    alice.ask(sync_state=rtc.SyncState(publish_tracks=[known, unknown]))
    assert alice.last("leave").leave.action == Action.RECONNECT


def test_sync_state_restores_disabled_tracks_and_wishes() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", auto_subscribe=False)
    sid = alice.add_track()
    wishes = rtc.UpdateSubscription(track_sids=[sid], subscribe=True)
    bob.ask(sync_state=rtc.SyncState(subscription=wishes, track_sids_disabled=[sid]))
    assert bob.media.subscriptions[sid].paused is True


def test_a_failed_connection_asks_for_a_full_reconnect() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.media.listener.on_failed(Target.PUBLISHER, "dtls")
    assert not alice.me.closed  # it may be leaving right now
    world.clock.advance(1.1)
    leave = alice.last("leave").leave
    assert (leave.reason, leave.action) == (Reason.MEDIA_FAILURE, Action.RECONNECT)
    gone = bob.last("update").update.participants[0]
    assert gone.state == models.ParticipantInfo.State.DISCONNECTED


def test_a_client_that_closes_its_connection_first_leaves_by_its_own_word() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.media.listener.on_failed(Target.PUBLISHER, "peer_closed")
    alice.ask(leave=rtc.LeaveRequest(reason=Reason.CLIENT_INITIATED))
    world.clock.advance(5)
    gone = bob.last("update").update.participants[0]
    assert gone.disconnect_reason == Reason.CLIENT_INITIATED
    assert not alice.all("leave")


def test_an_empty_room_closes_and_says_so() -> None:
    world = World()
    alice = world.join("alice")
    sid = alice.me.room.sid
    alice.ask(leave=rtc.LeaveRequest())
    world.clock.advance(19)
    assert world.rooms.get("r") is not None
    world.clock.advance(2)
    assert world.rooms.get("r") is None
    assert world.hooks.names()[-1] == "room_finished"
    assert world.media.calls[sid].closed
    assert world.clock.pending == 0


def test_a_created_room_that_nobody_joins_closes() -> None:
    world = World()
    world.rooms.create(room_pb.CreateRoomRequest(name="x", empty_timeout=5))
    world.clock.advance(6)
    assert world.rooms.get("x") is None


def test_agents_do_not_keep_a_room_open_nor_fill_it() -> None:
    world = World()
    world.rooms.create(room_pb.CreateRoomRequest(name="r", max_participants=1))
    agent = world.join("agent", claim=claims("agent", kind="agent"))
    alice = world.join("alice")
    with pytest.raises(ClientError) as full:
        world.join("bob")
    assert full.value.status == 403
    alice.ask(leave=rtc.LeaveRequest())
    keep_talking(agent, 21)
    assert agent.last("leave").leave.reason == Reason.ROOM_CLOSED


def test_a_full_room_admits_a_duplicate_identity() -> None:
    world = World(RtcSettings(max_participants=1))
    world.join("alice")
    again = world.join("alice")
    assert not again.me.closed


async def test_drain_sends_everybody_elsewhere() -> None:
    world = World()
    alice = world.join("alice")
    await world.rooms.drain()
    leave = alice.last("leave").leave
    assert (leave.reason, leave.action) == (Reason.SERVER_SHUTDOWN, Action.RECONNECT)
    with pytest.raises(Exception, match="shutting down"):
        world.join("bob")


def test_without_auto_create_a_room_must_exist() -> None:
    world = World(RtcSettings(auto_create=False))
    with pytest.raises(ClientError, match="requested room does not exist") as missing:
        world.join("alice")
    assert missing.value.status == 404
    world.rooms.create(room_pb.CreateRoomRequest(name="r"))
    world.join("alice")


def test_a_revoked_token_does_not_come_back() -> None:
    world = World()
    world.rooms.revoke("r", "alice", world.clock.unix())
    with pytest.raises(Refused):
        world.join("alice")


def test_hidden_participants_are_seen_by_nobody_else() -> None:
    world = World()
    alice = world.join("alice")
    alice.forget()
    ghost = world.join("ghost", claim=claims("ghost", video=grant(hidden=True)))
    assert not alice.all("update")
    bob = world.join("bob")
    identities = [p.identity for p in bob.responses[0].join.other_participants]
    assert identities == ["alice"]
    assert [p.identity for p in ghost.responses[0].join.other_participants] == ["alice"]
    ghost.ask(leave=rtc.LeaveRequest())
    assert all(p.identity != "ghost" for u in alice.all("update") for p in u.update.participants)


def test_a_token_is_pushed_before_the_old_one_expires() -> None:
    world = World()
    alice = world.join("alice")
    keep_talking(alice, 301)
    token = alice.last("refresh_token").refresh_token
    fresh = world.rooms.claims(token)
    assert (fresh.identity, fresh.video.room) == ("alice", "r")
    assert fresh.expires_at == alice.me.claims.expires_at  # longer than a fresh one would live


def test_a_short_token_is_renewed_in_time() -> None:
    world = World()
    short = replace(claims("alice"), expires_at=world.clock.unix() + 100)
    alice = world.join("alice", claim=short)
    keep_talking(alice, 51)
    fresh = world.rooms.claims(alice.last("refresh_token").refresh_token)
    assert fresh.expires_at == pytest.approx(world.clock.unix() + 600, abs=2)
