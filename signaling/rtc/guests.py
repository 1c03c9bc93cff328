"""Participants of other rooms that are seen and heard in this one (ForwardParticipant).

A guest is the participant itself: its sid, its tracks and their sids, and its permissions are
those of its own room, which tells this one what changes. It is in no way here: it hears nothing of
this room, and data packets neither come from it nor reach it. It stays a guest until it leaves its
own room, is removed from this one, or its identity joins here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from mediaserver.api import MediaError
from signaling.errors import ClientError, Code
from signaling.rtc.events import announce
from signaling.rtc.frames import Outgoing

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.room import Room
    from signaling.rtc.tracks import Publication

_FORWARDED = models.ParticipantInfo.KindDetail.FORWARDED


class Guests:
    """One for each room; by identity."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._guests: dict[str, Participant] = {}

    def all(self) -> list[Participant]:
        return list(self._guests.values())

    def by_identity(self, identity: str) -> Participant | None:
        return self._guests.get(identity)

    def has(self, sid: str) -> bool:
        return any(guest.sid == sid for guest in self._guests.values())

    def info(self, guest: Participant) -> models.ParticipantInfo:
        info = models.ParticipantInfo()
        info.CopyFrom(guest.info())
        if _FORWARDED not in info.kind_details:
            info.kind_details.append(_FORWARDED)
        return info

    def add(self, participant: Participant) -> None:
        """Once more is no difference. Raises ClientError when there is no place for it."""
        room = self._room
        present = room.found(participant.identity)
        if present is participant:
            return
        if present is not None:
            raise ClientError(Code.CONFLICT, 409, "the identity is in the destination room")
        if not participant.dependent:
            room.check_count()
            room.occupied()
        self._guests[participant.identity] = participant
        participant.seen_in.append(room)
        self.changed(participant)
        announce(room, "participant_joined", participant)
        for publication in participant.publishing.published():
            self.track_published(publication)
        for track in participant.data_tracks.published():
            room.data_track_published(track)
        room.counts_changed()

    def changed(self, guest: Participant) -> None:
        if guest.ready and not guest.hidden:
            self._tell(self.info(guest))

    def _tell(self, info: models.ParticipantInfo) -> None:
        update = rtc.ParticipantUpdate(participants=[info])
        message = Outgoing(rtc.SignalResponse(update=update))
        for participant in self._room.participants():
            if participant.ready:
                participant.outbox.send(message)

    def track_published(self, publication: Publication) -> None:
        try:
            publication.publisher.room.call().forward(publication.sid, self._room.call())
        except MediaError:  # it ended a moment ago; its own room will say so
            self._room.services.counters.add("media_refused")
            return
        self._room.track_published(publication)

    def track_unpublished(self, publication: Publication) -> None:
        if self._room.publication(publication.sid) is None:
            return
        self._room.track_unpublished(publication)
        publication.publisher.room.call().stop_forwarding(publication.sid, self._room.call())

    def remove(self, guest: Participant, reason: models.DisconnectReason) -> None:
        """It left its room, or this one no longer wants it."""
        room = self._room
        if self._guests.pop(guest.identity, None) is None:
            return
        guest.seen_in.remove(room)
        for publication in guest.publishing.published():
            self.track_unpublished(publication)
        for track in guest.data_tracks.published():
            room.data_track_unpublished(track)
        room.observers.forget(guest.sid)
        info = self.info(guest)
        info.state = models.ParticipantInfo.State.DISCONNECTED
        info.disconnect_reason = reason
        if not guest.hidden:
            room.departed.append((room.services.clock.monotonic(), info))
            self._tell(info)
        announce(room, "participant_left", guest, reason=reason)
        room.left_behind()
