"""Who speaks and how well everybody is connected: kept for a room, told to those it concerns.

A participant hears of itself and of those it receives something from. Only changes are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.room import Room

_QUALITIES = (
    models.ConnectionQuality.POOR,
    models.ConnectionQuality.GOOD,
    models.ConnectionQuality.EXCELLENT,
    models.ConnectionQuality.LOST,
)
_LOST_PROTOCOL = 11  # older clients do not know LOST


class Observers:
    """Speakers and qualities by participant sid."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._speakers: dict[str, models.SpeakerInfo] = {}
        self._quality: dict[str, rtc.ConnectionQualityInfo] = {}

    def speakers(self, levels: Sequence[tuple[str, str, float, bool]]) -> None:
        # Guests are told of by the room that they are in.
        now = {sid: info for sid, info in self._speakers.items() if self._room.guests.has(sid)}
        for sid, _, level, active in levels:
            loudest = now.get(sid)
            if active and (loudest is None or loudest.level < level):
                now[sid] = models.SpeakerInfo(sid=sid, level=level, active=True)
        changed = [info for sid, info in now.items() if self._speakers.get(sid) != info]
        changed.extend(
            models.SpeakerInfo(sid=sid, level=0, active=False)
            for sid in self._speakers.keys() - now.keys()
        )
        self._speakers = now
        if changed:
            self.announce(changed)
        for info in changed:
            speaker = self._room.by_sid(info.sid)
            for room in speaker.seen_in if speaker is not None else ():
                room.observers.guest_speaks(info)

    def guest_speaks(self, info: models.SpeakerInfo) -> None:
        """A guest of this room began or ended to speak, or speaks louder."""
        if info.active:
            self._speakers[info.sid] = info
        else:
            self._speakers.pop(info.sid, None)
        self.announce([info])

    def announce(self, changed: Sequence[models.SpeakerInfo]) -> None:
        """Tell each participant about those among `changed` that it hears, and about itself."""
        for participant in self._room.participants():
            if not participant.ready:
                continue
            heard = [
                info
                for info in changed
                if info.sid == participant.sid or participant.subscribing.receives_from(info.sid)
            ]
            if heard:
                update = rtc.SpeakersChanged(speakers=heard)
                participant.send(rtc.SignalResponse(speakers_changed=update))

    def quality(self, qualities: Sequence[tuple[str, int, float]]) -> None:
        changed = False
        for sid, quality, score in qualities:
            participant = self._room.by_sid(sid)
            if participant is None and not self._room.guests.has(sid):
                continue
            for room in participant.seen_in if participant is not None else ():
                room.observers.quality([(sid, quality, score)])
            info = rtc.ConnectionQualityInfo(
                participant_sid=sid, quality=_QUALITIES[quality & 3], score=score
            )
            before = self._quality.get(sid)
            changed = changed or before is None or before.quality != info.quality
            self._quality[sid] = info
        if changed:
            for participant in self._room.participants():
                self._send_quality(participant)

    def _send_quality(self, participant: Participant) -> None:
        if not participant.ready:
            return
        updates = [
            info if participant.protocol >= _LOST_PROTOCOL else _without_lost(info)
            for sid, info in self._quality.items()
            if sid == participant.sid or participant.subscribing.receives_from(sid)
        ]
        if updates:
            update = rtc.ConnectionQualityUpdate(updates=updates)
            participant.send(rtc.SignalResponse(connection_quality=update))

    def introduce(self, publisher: Participant, subscriber: Participant) -> None:
        """`subscriber` begins to receive from `publisher`: what it would have heard before."""
        speaker = self._speakers.get(publisher.sid)
        if speaker is not None:
            update = rtc.SpeakersChanged(speakers=[speaker])
            subscriber.send(rtc.SignalResponse(speakers_changed=update))
        quality = self._quality.get(publisher.sid)
        if quality is not None:
            qualities = rtc.ConnectionQualityUpdate(updates=[quality])
            subscriber.send(rtc.SignalResponse(connection_quality=qualities))

    def forget(self, sid: str) -> None:
        self._speakers.pop(sid, None)
        self._quality.pop(sid, None)


def _without_lost(info: rtc.ConnectionQualityInfo) -> rtc.ConnectionQualityInfo:
    if info.quality != models.ConnectionQuality.LOST:
        return info
    return rtc.ConnectionQualityInfo(
        participant_sid=info.participant_sid,
        quality=models.ConnectionQuality.POOR,
        score=info.score,
    )
