"""Coming back: a client whose socket broke resumes the same participant, or is told to start
afresh.

`resume` re-attaches and tells what was missed, in the order that clients need; `sync` compares
what the client believes with what we know, and orders a full reconnect when they differ.
"""

from __future__ import annotations

from livekit.protocol import models, rtc

from mediaserver.api import MediaError, Target
from signaling.rtc.entry import Entry
from signaling.rtc.frames import Outgoing
from signaling.rtc.outbox import Sink, leave_message
from signaling.rtc.participant import Action, Participant

Reason = models.DisconnectReason


def may_resume(participant: Participant | None, entry: Entry) -> bool:
    """The participant still stands, it is the one the client means, in the same mode, and came by
    the same token or one that was made of it: what is taken back takes along all that it opened.
    """
    return (
        participant is not None
        and not participant.closed
        and participant.mode is entry.mode
        and participant.claims.binding == entry.claims.binding
        and entry.participant_sid in ("", participant.sid)
    )


def refuse_resume(sink: Sink, entry: Entry) -> None:
    """The first and only message: reconnect in full. (A 404 would never lead to one.)"""
    sink.send(
        Outgoing(leave_message(entry.client.protocol, Reason.STATE_MISMATCH, Action.RECONNECT))
    )
    sink.close("state mismatch")


def resume(participant: Participant, sink: Sink) -> None:
    """`reconnect` first, then participants, the room, what was kept, and the ICE restart."""
    missed_since = participant.liveness.heard_at
    participant.outbox.attach(sink)
    participant.liveness.socket_opened()
    cut = participant.take_cut()
    if cut is False:
        participant.drop_socket("simulated")
        return
    services, room = participant.services, participant.room
    reconnect = rtc.ReconnectResponse(
        ice_servers=services.ice_servers_for(participant.sid),
        server_info=services.server_info(),
        last_message_seq=participant.data.last_sequence,
    )
    participant.send(rtc.SignalResponse(reconnect=reconnect))
    gone = [info for at, info in room.departed if at >= missed_since]
    present = [participant.info(), *room.others(participant)]
    update = rtc.ParticipantUpdate(participants=[*gone, *present])
    participant.send(rtc.SignalResponse(update=update))
    participant.send(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=room.info())))
    participant.outbox.flush()
    participant.data_tracks.resumed()
    if participant.primary is Target.SUBSCRIBER:
        try:
            participant.media.restart_ice(Target.SUBSCRIBER)
        except MediaError:  # the connection ended while nobody could be told
            participant.leave(Reason.MEDIA_FAILURE, Action.RECONNECT)
            return
    services.counters.add("resumes")
    if cut is True:
        participant.drop_socket("simulated")


def sync(participant: Participant, state: rtc.SyncState) -> None:
    """SyncState: what the client publishes and subscribes, as it remembers."""
    for published in state.publish_tracks:
        if not participant.publishing.knows(published.track.sid):
            participant.leave(Reason.STATE_MISMATCH, Action.RECONNECT)
            return
    for data_track in state.publish_data_tracks:
        if not participant.data_tracks.knows(data_track.info.sid):
            participant.leave(Reason.STATE_MISMATCH, Action.RECONNECT)
            return
    participant.subscribing.disable(state.track_sids_disabled)
    participant.subscribing.update(state.subscription)
    if state.HasField("data_subscription"):
        participant.data_tracks.update(state.data_subscription)
