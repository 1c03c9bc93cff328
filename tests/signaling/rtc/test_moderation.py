"""Changes of permission and profile, and what follows from each at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from livekit.protocol import models, rtc

from mediaserver.api import Mode
from signaling.rtc import moderation
from tests.signaling.rtc.fakes import Client, World, claims, grant

Action = rtc.LeaveRequest.Action
Permission = models.ParticipantPermission


def permit(client: Client, **values: object) -> None:
    everything = {"can_subscribe": True, "can_publish": True, "can_publish_data": True}
    moderation.set_permission(client.me, Permission(**{**everything, **values}))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", list(Mode))
def test_subscribing_may_be_withdrawn_and_given_back(mode: Mode) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", mode=mode)
    sid = alice.add_track()
    permit(bob, can_subscribe=False)
    assert not bob.media.subscriptions
    permit(bob)
    assert list(bob.media.subscriptions) == [sid]
    assert not bob.me.closed
    permissions = [
        u.update.participants[0].permission.can_subscribe
        for u in alice.all("update")
        if u.update.participants[0].identity == "bob"
    ]
    assert permissions[-2:] == [False, True]


@pytest.mark.parametrize("mode", list(Mode))
def test_who_joined_unable_to_subscribe_joins_again_to_begin(mode: Mode) -> None:
    world = World()
    bob = world.join("bob", mode=mode, claim=claims("bob", video=grant(subscribe=False)))
    permit(bob)
    assert bob.last("leave").leave.action == Action.RECONNECT
    token = world.rooms.claims(bob.last("refresh_token").refresh_token)
    assert token.video.can_subscribe


def test_a_source_that_is_no_longer_allowed_ends() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    camera = alice.add_track("c1")
    microphone = alice.add_track(
        "c2", type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE
    )
    permit(alice, can_publish_sources=[models.TrackSource.MICROPHONE])
    assert alice.last("track_unpublished").track_unpublished.track_sid == camera
    assert list(bob.media.subscriptions) == [microphone]
    assert camera not in alice.media.declared


def test_data_tracks_end_with_the_permission_to_publish_data() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.ask(publish_data_track_request=rtc.PublishDataTrackRequest(pub_handle=1, name="d"))
    permit(alice, can_publish_data=False)
    assert alice.all("unpublish_data_track_response")
    assert not bob.me.room.data_tracks()


def test_becoming_hidden_looks_like_leaving_and_back_like_joining() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    permit(alice, hidden=True)
    gone = bob.last("update").update.participants[0]
    assert (gone.identity, gone.state) == ("alice", models.ParticipantInfo.State.DISCONNECTED)
    permit(alice)
    back = bob.last("update").update.participants[0]
    assert (back.identity, back.state) == ("alice", models.ParticipantInfo.State.ACTIVE)
    assert back.version > gone.version


def test_the_same_permission_again_tells_nobody() -> None:
    world = World()
    alice = world.join("alice")
    alice.forget()
    moderation.set_permission(alice.me, alice.me.grant.to_permission())
    assert alice.cases() == []


def test_who_may_moderate_is_told_by_a_new_token_alone() -> None:
    """Nothing of it is seen by the others, and nothing of the participant's changes."""
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    for may in (True, False):
        for client in (alice, bob):
            client.forget()
        moderation.set_grant(alice.me, replace(alice.me.grant, room_admin=may))
        assert (alice.cases(), bob.cases()) == (["refresh_token"], [])
        token = world.rooms.claims(alice.last("refresh_token").refresh_token)
        assert token.video.room_admin is may and alice.me.grant.room_admin is may


def test_attributes_are_merged_and_an_empty_one_is_deleted() -> None:
    world = World()
    alice = world.join("alice", claim=claims("alice", attributes={"a": "1", "b": "2"}))
    moderation.update_profile(alice.me, "", "", {"b": "", "c": "3"})
    assert dict(alice.me.info().attributes) == {"a": "1", "c": "3"}
