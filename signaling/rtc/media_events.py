"""What the media server reports, told to the part of the participant or room that it concerns.

Implements `ParticipantListener` and `CallListener`; decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from livekit.protocol import rtc

from mediaserver.api import Channel, Offer, Published, Target

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.room import Room


class ParticipantEvents:
    """Events of one participant's media. After it left they are ignored."""

    def __init__(self, participant: Participant) -> None:
        self._p = participant

    def on_connected(self, target: Target) -> None:
        if not self._p.closed:
            self._p.room.media_connected(self._p, target)

    def on_failed(self, target: Target, reason: str) -> None:
        if not self._p.closed:
            self._p.services.counters.add("transports_failed")
            self._p.liveness.media_failed()

    def on_idle(self, seconds: float) -> None:
        if not self._p.closed:
            self._p.liveness.media_idle(seconds)

    def on_active(self) -> None:
        pass

    def on_offer(self, offer: Offer) -> None:
        self._p.negotiating.offer(offer)

    def on_sections_needed(self, audio: int, video: int) -> None:
        self._p.negotiating.need_sections(
            rtc.MediaSectionsRequirement(num_audios=audio, num_videos=video)
        )

    def on_published(self, published: Published) -> None:
        if not self._p.closed:
            self._p.publishing.published_by_media(published)

    def on_unpublished(self, track_id: str) -> None:
        self._p.publishing.unpublish(track_id)

    def on_publish_refused(self, track_id: str, reason: str) -> None:
        if not self._p.closed:
            self._p.publishing.refused_by_media(track_id, reason)

    def on_data(self, channel: Channel, payload: bytes) -> None:
        if channel is Channel.DATA_TRACK:
            self._p.data_tracks.receive(payload)
        else:
            self._p.data.receive(channel, payload)

    def on_stream_state(self, states: Sequence[tuple[str, bool]]) -> None:
        self._p.subscribing.stream_state(states)

    def on_subscribed(self, track_id: str) -> None:
        publication = self._p.room.publication(track_id)
        if publication is not None:
            publication.publisher.publishing.subscribed(track_id)

    def on_subscription_failed(self, track_id: str, reason: str) -> None:
        self._p.subscribing.failed_in_media(track_id, reason)

    def on_demand(
        self, track_id: str, qualities: Sequence[tuple[str, Sequence[tuple[int, bool]]]]
    ) -> None:
        self._p.publishing.demand(track_id, qualities)


class CallEvents:
    """Events of a whole call."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def on_speakers(self, levels: Sequence[tuple[str, str, float, bool]]) -> None:
        self._room.observers.speakers(levels)

    def on_quality(self, quality: Sequence[tuple[str, int, float]]) -> None:
        self._room.observers.quality(quality)
