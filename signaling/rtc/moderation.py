"""Changes to a participant that come from itself (with leave to do so) or from the server API.

Each function applies one change and does everything that follows from it: what ends, who is told,
the fresh token. Grants are checked by the caller for the API, here for the participant's own
requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from livekit.protocol import models, rtc

from signaling.errors import ClientError, Code
from signaling.rtc.entry import attributes_size
from signaling.rtc.grants import VideoGrant
from signaling.rtc.participant import Action, Participant
from signaling.rtc.room import Room

Reason = rtc.RequestResponse.Reason
_ANSWERS_OK_PROTOCOL = 15  # older clients take any RequestResponse for a failure


def update_own_metadata(participant: Participant, request: rtc.UpdateParticipantMetadata) -> None:
    """UpdateParticipantMetadata, answered by a RequestResponse with its request id."""
    answer = rtc.RequestResponse(request_id=request.request_id, update_metadata=request)
    if not participant.grant.can_update_own_metadata:
        participant.refuse(
            Reason.NOT_ALLOWED, "does not have permission to update own metadata", answer
        )
        return
    try:
        update_profile(participant, request.name, request.metadata, request.attributes)
    except ClientError as error:
        participant.refuse(Reason.LIMIT_EXCEEDED, error.message, answer)
        return
    if participant.protocol >= _ANSWERS_OK_PROTOCOL:
        participant.refuse(Reason.OK, "", answer)


def update_profile(
    participant: Participant, name: str, metadata: str, attributes: Mapping[str, str]
) -> None:
    """Empty fields stay as they are; an empty attribute is deleted. Raises ClientError."""
    limits = participant.services.settings.limits
    merged = {**participant.attributes, **attributes}
    merged = {key: value for key, value in merged.items() if value}
    if len(name) > limits.name_chars:
        raise _over("name")
    if len(metadata.encode()) > limits.metadata_bytes:
        raise _over("metadata")
    if attributes_size(merged) > limits.attributes_bytes:
        raise _over("attributes")
    participant.name = name or participant.name
    participant.metadata = metadata or participant.metadata
    participant.attributes = merged
    _changed(participant)


def _over(what: str) -> ClientError:
    return ClientError(Code.TOO_LARGE, 400, f"{what} exceeds the limit")


def _changed(participant: Participant) -> None:
    participant.touch()
    participant.room.broadcast(participant)
    participant.refresh_token()


def set_permission(participant: Participant, permission: models.ParticipantPermission) -> None:
    """UpdateParticipant's permission."""
    set_grant(participant, participant.grant.with_permission(permission))


def set_grant(participant: Participant, after: VideoGrant) -> None:
    """What it may do from now on: what is no longer allowed ends at once."""
    before = participant.grant
    if after.to_permission() == before.to_permission():
        if after.room_admin != before.room_admin:
            # Only its token says so; the others see nothing of it.
            participant.grant = after
            participant.refresh_token()
        return
    if before.hidden != after.hidden and after.hidden:
        _vanish(participant)
    participant.grant = after
    participant.room.counts_changed()
    participant.publishing.revoke_sources()
    if not after.can_publish_data:
        participant.data_tracks.revoke()
    _changed(participant)
    if after.can_subscribe and not participant.subscribes:
        participant.leave(models.DisconnectReason.STATE_MISMATCH, Action.RECONNECT)
        return
    participant.subscribing.reconsider_all()
    participant.data_tracks.grant_changed()


def _vanish(participant: Participant) -> None:
    """Hidden from now on: to the others it has left."""
    gone = models.ParticipantInfo()
    gone.CopyFrom(participant.info())
    gone.state = models.ParticipantInfo.State.DISCONNECTED
    update = rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=[gone]))
    for room in (participant.room, *participant.seen_in):
        for other in room.participants():
            if other is not participant and other.ready:
                other.send(update)


def mute_by_admin(participant: Participant, track_sid: str, muted: bool) -> models.TrackInfo:
    """MutePublishedTrack. Raises ClientError."""
    if not muted and not participant.services.settings.remote_unmute:
        raise ClientError(Code.PRECONDITION_FAILED, 412, "remote unmute is not enabled")
    info = participant.publishing.set_muted(track_sid, muted)
    if info is None:
        raise ClientError(Code.TRACK_NOT_FOUND, 404, "no such track")
    participant.send(rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid=track_sid, muted=muted)))
    return info


def remove(participant: Participant, room: Room) -> None:
    """RemoveParticipant. A guest stays in its own room."""
    if participant.room is room:
        participant.leave(models.DisconnectReason.PARTICIPANT_REMOVED)
    else:
        room.guests.remove(participant, models.DisconnectReason.PARTICIPANT_REMOVED)


def move(participant: Participant, destination: Room) -> None:
    """MoveParticipant: the client gets the new room and a token for it, and joins there afresh.

    Its transports belong to the call that it leaves, so it reconnects instead of keeping them.
    """
    participant.grant = replace(participant.grant, room=destination.name)
    token = participant.fresh_token()
    # The Rust SDK keeps tokens from `refresh_token` alone.
    participant.send(rtc.SignalResponse(refresh_token=token))
    moved = rtc.RoomMovedResponse(
        room=destination.info(),
        token=token,
        participant=participant.info(),
        other_participants=destination.others(participant),
    )
    participant.send(rtc.SignalResponse(room_moved=moved))
    participant.leave(models.DisconnectReason.MIGRATION, Action.RECONNECT)
