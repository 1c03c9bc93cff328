"""SimulateScenario: failures on request, with which client SDKs test their own recovery.

A participant can only do to itself what closing its own socket could; others see it as any such
failure.
"""

from __future__ import annotations

from livekit.protocol import models, rtc

from signaling.rtc.participant import Action, Participant

Reason = models.DisconnectReason
_MAX_SPEAKING_SECONDS = 60
_LEVEL = 0.9
_MAX_BITRATE = 1 << 40  # bit/s; more is no bound


def simulate(participant: Participant, request: rtc.SimulateScenario) -> None:
    scenario = request.WhichOneof("scenario")
    if scenario == "speaker_update":
        _speak(participant, min(max(request.speaker_update, 0), _MAX_SPEAKING_SECONDS))
    elif scenario == "node_failure":
        participant.leave(Reason.SERVER_SHUTDOWN, tell=False)
    elif scenario == "migration":
        participant.leave(Reason.MIGRATION, Action.RECONNECT)
    elif scenario == "server_leave":
        participant.leave(Reason.SERVER_SHUTDOWN)
    elif scenario == "leave_request_full_reconnect":
        participant.leave(Reason.STATE_MISMATCH, Action.RECONNECT)
    elif scenario == "switch_candidate_protocol":
        # One pair of ports serves every protocol; the client chooses anew when it resumes.
        leave = rtc.LeaveRequest(action=Action.RESUME, reason=Reason.UNKNOWN_REASON)
        participant.send(rtc.SignalResponse(leave=leave))
        participant.drop_socket("simulated")
    elif scenario == "disconnect_signal_on_resume":
        participant.cut_on_resume(with_messages=True)
    elif scenario == "disconnect_signal_on_resume_no_messages":
        participant.cut_on_resume(with_messages=False)
    elif scenario == "subscriber_bandwidth":
        bitrate = min(max(request.subscriber_bandwidth, 0), _MAX_BITRATE)
        participant.tell_media(lambda: participant.media.cap(bitrate))
    else:
        participant.refuse(
            rtc.RequestResponse.Reason.UNSUPPORTED_TYPE,
            "this scenario is not simulated here",
            rtc.RequestResponse(),
        )


def _speak(participant: Participant, seconds: int) -> None:
    observers, sid = participant.room.observers, participant.sid
    observers.announce([models.SpeakerInfo(sid=sid, level=_LEVEL, active=True)])
    participant.services.clock.call_later(
        seconds,
        lambda: observers.announce([models.SpeakerInfo(sid=sid, level=0, active=False)]),
    )
