"""Every case of SignalRequest and who answers it.

The table names each case of the protobuf oneof; a test compares it with the descriptor, so a case
that a newer protocol adds fails there first. The connection calls `handle` for each message, one
at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from livekit.protocol import models, rtc

from mediaserver.api import Target
from signaling.rtc import moderation, resume
from signaling.rtc.participant import Participant
from signaling.rtc.simulate import simulate
from signaling.rtc.trail import MECHANICS

Handler = Callable[[Participant, rtc.SignalRequest], Awaitable[None] | None]
Reason = models.DisconnectReason

_CLIENT_REASONS = frozenset(
    {
        Reason.CLIENT_INITIATED,
        Reason.USER_UNAVAILABLE,
        Reason.USER_REJECTED,
        Reason.AGENT_ERROR,
    }
)
_CANDIDATE_BYTES = 2048


async def handle(participant: Participant, request: rtc.SignalRequest) -> None:
    """Unknown cases (a newer client) are counted and otherwise ignored, as protobuf intends."""
    participant.liveness.heard()
    case = request.WhichOneof("message")
    handler = HANDLERS.get(case) if case is not None else None
    if handler is None:
        participant.services.counters.add("requests_unknown")
        return
    participant.refused_with = ""
    result = handler(participant, request)
    if result is not None:
        await result
    if case not in MECHANICS:
        _leave_trace(participant, str(case))


def _leave_trace(participant: Participant, case: str) -> None:
    trail = participant.services.trail
    if participant.refused_with:
        trail.refused(participant, case, participant.refused_with)
    else:
        trail.asked(participant, case)


def _trickle(participant: Participant, request: rtc.SignalRequest) -> None:
    """ICE-lite needs no candidate of the client's; the media server validates and counts them."""
    participant.negotiating.release()
    trickle = request.trickle
    if not trickle.candidateInit or len(trickle.candidateInit) > _CANDIDATE_BYTES:
        participant.services.counters.add("candidates_ignored")
        return
    subscriber = trickle.target == rtc.SignalTarget.SUBSCRIBER
    participant.media.candidate(
        Target.SUBSCRIBER if subscriber else Target.PUBLISHER, trickle.candidateInit
    )


def _leave(participant: Participant, request: rtc.SignalRequest) -> None:
    reason = request.leave.reason
    if reason not in _CLIENT_REASONS:
        reason = Reason.CLIENT_INITIATED
    participant.leave(reason, tell=False)


def _ping(participant: Participant, request: rtc.SignalRequest) -> None:
    now = int(participant.services.clock.unix() * 1000)
    participant.send(rtc.SignalResponse(pong=now))


def _ping_req(participant: Participant, request: rtc.SignalRequest) -> None:
    participant.signal_rtt_ms = max(0, request.ping_req.rtt)
    pong = rtc.Pong(
        last_ping_timestamp=request.ping_req.timestamp,
        timestamp=int(participant.services.clock.unix() * 1000),
    )
    participant.send(rtc.SignalResponse(pong_resp=pong))


HANDLERS: dict[str, Handler] = {
    "offer": lambda p, r: p.negotiating.offered(r.offer),
    "answer": lambda p, r: p.negotiating.answered(r.answer),
    "trickle": _trickle,
    "add_track": lambda p, r: p.publishing.add(r.add_track),
    "mute": lambda p, r: p.publishing.mute(r.mute),
    "subscription": lambda p, r: p.subscribing.update(r.subscription),
    "track_setting": lambda p, r: p.subscribing.configure(r.track_setting),
    "leave": _leave,
    "update_layers": lambda p, r: p.publishing.update_layers(r.update_layers),
    "subscription_permission": lambda p, r: p.permissions.update(r.subscription_permission),
    "sync_state": lambda p, r: resume.sync(p, r.sync_state),
    "simulate": lambda p, r: simulate(p, r.simulate),
    "ping": _ping,
    "update_metadata": lambda p, r: moderation.update_own_metadata(p, r.update_metadata),
    "ping_req": _ping_req,
    "update_audio_track": lambda p, r: p.publishing.update_audio(r.update_audio_track),
    "update_video_track": lambda p, r: p.publishing.update_video(r.update_video_track),
    "publish_data_track_request": lambda p, r: p.data_tracks.publish(r.publish_data_track_request),
    "unpublish_data_track_request": lambda p, r: p.data_tracks.unpublish(
        r.unpublish_data_track_request
    ),
    "update_data_subscription": lambda p, r: p.data_tracks.update(r.update_data_subscription),
    "store_data_blob_request": lambda p, r: p.blobs.store(r.store_data_blob_request),
    "get_data_blob_request": lambda p, r: p.blobs.fetch(r.get_data_blob_request),
}
