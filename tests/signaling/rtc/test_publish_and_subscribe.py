"""Joining, publishing and subscribing, on the fake media server in virtual time."""

from __future__ import annotations

from livekit.protocol import models, rtc

from mediaserver.api import Mode, SubscribeSettings
from tests.signaling.rtc.fakes import World, claims, grant


def test_join_response_comes_first_and_says_what_clients_need() -> None:
    world = World()
    alice = world.join("alice")
    join = alice.responses[0].join
    assert join.participant.identity == "alice"
    assert join.participant.sid.startswith("PA_")
    assert join.room.sid.startswith("RM_")
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert join.subscriber_primary is False
    assert join.fast_publish is True
    assert tuple(map(int, join.server_info.version.split("."))) >= (1, 8, 0)
    assert join.sif_trailer == b""


def test_dual_mode_makes_the_subscriber_primary_and_offers_at_once() -> None:
    world = World()
    alice = world.join("alice", mode=Mode.DUAL)
    assert alice.responses[0].join.subscriber_primary is True
    assert alice.last("offer").offer.id == 1
    alice.ask(answer=rtc.SessionDescription(type="answer", sdp="mine", id=1))
    assert alice.media.answers == [("mine", 1)]


def test_dual_mode_without_subscribing_has_no_subscriber_connection() -> None:
    world = World()
    alice = world.join("alice", mode=Mode.DUAL, claim=claims("alice", video=grant(subscribe=False)))
    assert alice.responses[0].join.subscriber_primary is False
    assert not alice.all("offer")
    assert alice.me.info().state == models.ParticipantInfo.State.ACTIVE


def test_others_learn_of_a_join_and_become_mutually_visible() -> None:
    world = World()
    alice = world.join("alice")
    bob = world.join("bob")
    assert [p.identity for p in bob.responses[0].join.other_participants] == ["alice"]
    states = [u.update.participants[0].state for u in alice.all("update")]
    assert states == [models.ParticipantInfo.State.JOINED, models.ParticipantInfo.State.ACTIVE]


def test_a_published_track_reaches_the_others_and_is_subscribed() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    bob.forget()
    sid = alice.add_track(name="cam")
    assert sid.startswith("TR_")
    track = bob.last("update").update.participants[0].tracks[0]
    assert (track.sid, track.name, track.mime_type) == (sid, "cam", "video/VP8")
    assert bob.media.subscriptions == {sid: SubscribeSettings()}
    bob.media.listener.on_subscribed(sid)
    bob.media.listener.on_subscribed(sid)
    assert [r.track_subscribed.track_sid for r in alice.all("track_subscribed")] == [sid]


def test_a_late_joiner_is_subscribed_to_what_exists() -> None:
    world = World()
    alice = world.join("alice")
    sid = alice.add_track()
    bob = world.join("bob")
    assert list(bob.media.subscriptions) == [sid]
    carol = world.join("carol", auto_subscribe=False)
    assert not carol.media.subscriptions
    carol.ask(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    assert list(carol.media.subscriptions) == [sid]
    carol.ask(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=False))
    assert not carol.media.subscriptions


def test_the_first_offer_may_come_with_the_join_and_is_answered_after_it() -> None:
    world = World()
    alice = world.join("alice")
    alice.ask(offer=rtc.SessionDescription(type="offer", sdp="o", id=7))
    answer = alice.last("answer").answer
    assert (answer.id, answer.type, answer.sdp) == (7, "answer", "answer to o")


def test_sections_are_asked_for_only_after_the_first_answer() -> None:
    world = World()
    alice = world.join("alice")
    alice.media.listener.on_sections_needed(1, 2)
    assert not alice.all("media_sections_requirement")
    alice.ask(offer=rtc.SessionDescription(type="offer", sdp="o", id=1))
    assert alice.cases()[-2:] == ["answer", "media_sections_requirement"]
    need = alice.last("media_sections_requirement").media_sections_requirement
    assert (need.num_audios, need.num_videos) == (1, 2)


def test_unpublishing_ends_subscriptions_and_is_told() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sid = alice.add_track()
    alice.media.listener.on_unpublished(sid)
    assert not bob.last("update").update.participants[0].tracks
    assert not bob.media.subscriptions
    assert "track_unpublished" in world.hooks.names()
