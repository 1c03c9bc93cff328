"""What operators see of live calls.

Who is in them and how each track fares. Reads, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from livekit.protocol import models

from mediaserver.api import MediaError
from signaling.rtc.participant import Participant
from signaling.rtc.room import Room
from signaling.rtc.rooms import Rooms

_STATES = {value: name.lower() for name, value in models.ParticipantInfo.State.items()}


class Live:
    """The `LiveCalls` of the operator's listener, over the open rooms."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def summaries(self) -> list[dict[str, Any]]:
        return [_summary(room) for room in self._rooms.all()]

    def details(self, call_id: str) -> dict[str, Any] | None:
        for room in self._rooms.all():
            if room.sid == call_id:
                return {
                    **_summary(room),
                    "participants": [_participant(p) for p in room.participants()],
                }
        return None

    def counters(self) -> Mapping[str, int]:
        return self._rooms.services.counters.values

    def live(self) -> int:
        """Participants in all calls."""
        return sum(len(room.participants()) for room in self._rooms.all())


def _summary(room: Room) -> dict[str, Any]:
    return {
        "id": room.sid,
        "room": room.name,
        "started_at": int(room.created_at),
        "participant_count": len(room.participants()),
        "track_count": len(room.publications()),
    }


def _participant(participant: Participant) -> dict[str, Any]:
    info = participant.info()
    shown: dict[str, Any] = {
        "id": participant.sid,
        "identity": participant.identity,
        "state": _STATES.get(info.state, ""),
        "joined_at": info.joined_at,
        "tracks": [
            {"id": track.sid, "type": int(track.type), "muted": track.muted}
            for track in info.tracks
        ],
    }
    try:
        stats = asdict(participant.media.stats())
    except MediaError:
        return shown  # it is leaving at this moment
    for transport in stats["transports"]:
        transport["target"] = transport["target"].value
    return {**shown, "media": stats}
