"""Joining, publishing and subscribing, on the fake media server in virtual time."""

from __future__ import annotations

import pytest
from livekit.protocol import models, rtc

from mediaserver.api import ClientError as MediaClientError
from mediaserver.api import Code, Mode, SubscribeSettings, TrackSpec, Unavailable
from signaling.rtc.limits import RtcLimits, RtcSettings
from tests.signaling.rtc.fakes import Client, World, claims, grant, run_now


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
    assert (answer.id, answer.type) == (7, "answer")
    assert answer.sdp.startswith("answer to o")


def joined_with_offer(sdk: models.ClientInfo.SDK) -> tuple[World, Client]:
    world = World()
    alice = world.join("alice", sdk=sdk)
    offer = rtc.SessionDescription(type="offer", sdp="o", id=1)
    run_now(alice.me.negotiating.offered_to_join(offer))
    return world, alice


def test_the_go_sdk_gets_its_first_answer_after_its_first_candidate() -> None:
    world, alice = joined_with_offer(models.ClientInfo.SDK.GO)
    assert "answer" not in alice.cases()
    alice.ask(trickle=rtc.TrickleRequest(candidateInit='{"candidate": ""}'))
    assert alice.cases()[-2:] == ["answer", "trickle"]
    world.clock.advance(1)
    assert len(alice.all("answer")) == 1


def test_the_go_sdk_is_answered_soon_without_a_candidate_too() -> None:
    world, alice = joined_with_offer(models.ClientInfo.SDK.GO)
    world.clock.advance(0.3)
    assert alice.cases()[-2:] == ["answer", "trickle"]


def test_other_sdks_are_answered_at_once() -> None:
    _, alice = joined_with_offer(models.ClientInfo.SDK.JS)
    assert alice.cases()[-2:] == ["answer", "trickle"]


def test_sections_are_asked_for_only_after_the_first_answer() -> None:
    world = World()
    alice = world.join("alice")
    alice.media.listener.on_sections_needed(1, 2)
    assert not alice.all("media_sections_requirement")
    alice.ask(offer=rtc.SessionDescription(type="offer", sdp="o", id=1))
    assert alice.cases()[-3:] == ["answer", "trickle", "media_sections_requirement"]
    alice.ask(offer=rtc.SessionDescription(type="offer", sdp="o", id=2))
    assert len(alice.all("trickle")) == 1
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


def test_an_offer_that_overtook_its_track_publishes_it_on_arrival(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    declare = alice.media.declare_track

    def declare_and_publish(spec: TrackSpec) -> None:
        declare(spec)
        alice.media.publish_declared()

    monkeypatch.setattr(alice.media, "declare_track", declare_and_publish)
    alice.ask(
        add_track=rtc.AddTrackRequest(
            cid="c", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA
        )
    )
    sid = alice.last("track_published").track_published.track.sid
    assert list(bob.media.subscriptions) == [sid]
    assert bob.last("update").update.participants[0].tracks[0].sid == sid


def test_a_bad_offer_ends_its_sender_and_our_own_trouble_asks_for_a_reconnect() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.media.offer_error = MediaClientError(Code.SDP_MALFORMED, 400, "bad")
    alice.ask(offer=rtc.SessionDescription(type="offer", sdp="x"))
    assert alice.last("leave").leave.action == rtc.LeaveRequest.Action.DISCONNECT
    bob.media.offer_error = Unavailable(Code.ENGINE_FAILED, "engine", retry=True)
    bob.ask(offer=rtc.SessionDescription(type="offer", sdp="x"))
    assert bob.last("leave").leave.action == rtc.LeaveRequest.Action.RECONNECT


def test_an_answer_to_an_offer_that_is_no_longer_open_changes_nothing() -> None:
    world = World()
    alice = world.join("alice", mode=Mode.DUAL)
    alice.media.offer_error = MediaClientError(Code.ANSWER_UNEXPECTED, 409, "none open")
    alice.ask(answer=rtc.SessionDescription(type="answer", sdp="x", id=1))
    assert not alice.me.closed


def test_what_the_media_server_ended_first_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sid = alice.add_track()

    def gone(*args: object) -> None:
        raise MediaClientError(Code.TRACK_UNKNOWN, 404, "gone")

    monkeypatch.setattr(alice.media, "set_muted", gone)
    monkeypatch.setattr(bob.media, "update_subscription", gone)
    alice.ask(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    bob.ask(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], disabled=True))
    assert world.rooms.services.counters.values["media_refused"] == 2


def test_a_full_media_server_refuses_the_subscription_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")

    def full(*args: object) -> None:
        raise MediaClientError(Code.TOO_MANY_TRACKS, 429, "full")

    monkeypatch.setattr(bob.media, "subscribe", full)
    sid = alice.add_track()
    assert bob.last("subscription_response").subscription_response.track_sid == sid


def test_the_limit_of_tracks_counts_those_that_are_announced() -> None:
    limits = RtcLimits(pending_tracks=64, published_tracks=100)
    world = World(RtcSettings(limits=limits))
    alice = world.join("alice")
    for number in range(99):
        alice.add_track(f"c{number}")
    alice.ask(add_track=rtc.AddTrackRequest(cid="c99", type=models.TrackType.VIDEO))
    assert not alice.all("request_response"), "the hundredth is allowed"
    alice.ask(add_track=rtc.AddTrackRequest(cid="c100", type=models.TrackType.VIDEO))
    refusal = alice.last("request_response").request_response
    assert refusal.reason == rtc.RequestResponse.Reason.LIMIT_EXCEEDED
    assert refusal.add_track.cid == "c100"


def test_a_track_that_the_media_server_cannot_take_is_refused_and_may_be_tried_again() -> None:
    world = World()
    alice = world.join("alice")
    alice.ask(add_track=rtc.AddTrackRequest(cid="c", type=models.TrackType.VIDEO))
    sid = alice.last("track_published").track_published.track.sid
    alice.media.listener.on_publish_refused(sid, "limit")
    refusal = alice.last("request_response").request_response
    assert refusal.reason == rtc.RequestResponse.Reason.LIMIT_EXCEEDED
    assert refusal.add_track.cid == "c"
    assert alice.last("track_unpublished").track_unpublished.track_sid == sid
    alice.media.declared.clear()
    assert alice.add_track("c") != sid
    assert len(alice.me.info().tracks) == 1


def test_a_subscription_that_fails_says_whether_the_codec_was_the_reason() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sid = alice.add_track()
    errors = {
        "codec_unsupported": models.SubscriptionError.SE_CODEC_UNSUPPORTED,
        "engine_limit": models.SubscriptionError.SE_UNKNOWN,
    }
    for reason, error in errors.items():
        bob.media.listener.on_subscription_failed(sid, reason)
        assert bob.last("subscription_response").subscription_response.err == error


def test_backup_codecs_join_their_track() -> None:
    world = World()
    alice = world.join("alice")
    sid = alice.add_track(simulcast_codecs=[rtc.SimulcastCodec(codec="vp8", cid="c1")])
    backup = rtc.SimulcastCodec(codec="h264", cid="c2")
    alice.ask(
        add_track=rtc.AddTrackRequest(
            cid="c2", sid=sid, type=models.TrackType.VIDEO, simulcast_codecs=[backup]
        )
    )
    spec = alice.media.declared[sid]
    assert [c.cid for c in spec.codecs] == ["c1", "c2"]
    unknown = rtc.AddTrackRequest(cid="c3", sid="TR_none", type=models.TrackType.VIDEO)
    alice.ask(add_track=unknown)
    reason = alice.last("request_response").request_response.reason
    assert reason == rtc.RequestResponse.Reason.NOT_FOUND


def test_speakers_are_told_to_those_who_hear_them() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    carol = world.join("carol", auto_subscribe=False)
    sid = alice.add_track(type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE)
    call = next(iter(world.media.calls.values()))
    call.listener.on_speakers([(alice.me.sid, sid, 0.5, True)])
    assert bob.last("speakers_changed").speakers_changed.speakers[0].active
    assert alice.all("speakers_changed")
    assert not carol.all("speakers_changed")
    carol.ask(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    assert carol.last("speakers_changed").speakers_changed.speakers[0].sid == alice.me.sid
    carol.ask(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=False))
    assert not carol.last("speakers_changed").speakers_changed.speakers[0].active


def test_settings_given_before_the_track_exists_apply_when_it_does() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob", auto_subscribe=False)
    sid = alice.add_track()
    bob.ask(
        track_setting=rtc.UpdateTrackSettings(track_sids=[sid], quality=models.VideoQuality.MEDIUM)
    )
    bob.ask(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=True))
    assert bob.media.subscriptions[sid] == SubscribeSettings(max_quality=1)
    bob.ask(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], width=640, height=360, fps=15))
    assert bob.media.subscriptions[sid] == SubscribeSettings(width=640, height=360, fps=15)
    bob.ask(
        track_setting=rtc.UpdateTrackSettings(track_sids=[sid], quality=models.VideoQuality.OFF)
    )
    assert bob.media.subscriptions[sid].paused
