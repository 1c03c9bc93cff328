"""What a participant publishes: tracks announced (pending), tracks published, mute, dimensions.

AddTrack makes a pending track and is answered at once; the media server says when its media has
been negotiated (`published_by_media`), and only then do others learn of it. An offer that no
longer sends a track's section unpublishes it (`unpublish`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from mediaserver.api import MediaError, Published
from signaling.rtc import tracks
from signaling.rtc.ids import Prefix
from signaling.rtc.tracks import Publication

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant

Reason = rtc.RequestResponse.Reason


class Publishing:
    """Pending tracks by cid, published tracks by sid."""

    def __init__(self, participant: Participant) -> None:
        self._p = participant
        self._pending: dict[str, models.TrackInfo] = {}
        self._queued: dict[str, deque[rtc.AddTrackRequest]] = {}
        self._published: dict[str, Publication] = {}
        self._reserved: dict[str, None] = {}

    # Facts

    @property
    def is_publisher(self) -> bool:
        return bool(self._published) or bool(self._p.data_tracks.infos())

    def published(self) -> list[Publication]:
        return list(self._published.values())

    def infos(self) -> list[models.TrackInfo]:
        return [publication.info for publication in self._published.values()]

    def get(self, sid: str) -> Publication | None:
        return self._published.get(sid)

    def knows(self, sid: str) -> bool:
        """Published or about to be: what a resuming client may name."""
        return sid in self._published or any(t.sid == sid for t in self._pending.values())

    def _find(self, sid: str) -> models.TrackInfo | None:
        if sid in self._published:
            return self._published[sid].info
        return next((t for t in self._pending.values() if t.sid == sid), None)

    # Announcing

    def add(self, request: rtc.AddTrackRequest) -> None:
        """Answered by TrackPublishedResponse, or by RequestResponse with the reason."""
        limits = self._p.services.settings.limits
        answer = rtc.RequestResponse(add_track=request)
        if not self._p.grant.can_publish_source(request.source):
            self._p.refuse(Reason.NOT_ALLOWED, "does not have permission to publish", answer)
        elif request.type == models.TrackType.DATA:
            self._p.refuse(Reason.UNSUPPORTED_TYPE, "data is not a media track", answer)
        elif (
            not request.cid
            or max(map(len, (request.name, request.stream))) > limits.track_name_chars
        ):
            self._p.refuse(Reason.INVALID_REQUEST, "cid, name or stream is not usable", answer)
        elif request.sid:
            self._add_codec(request, answer)
        elif self._in_use(request.cid):
            self._queue(request, answer)
        elif (
            len(self._pending) >= limits.pending_tracks
            or len(self._pending) + len(self._published) >= limits.published_tracks
        ):
            self._p.refuse(Reason.LIMIT_EXCEEDED, "too many tracks", answer)
        else:
            self._announce(request, answer)

    def _in_use(self, cid: str) -> bool:
        return cid in self._pending or any(cid in p.cids() for p in self._published.values())

    def _queue(self, request: rtc.AddTrackRequest, answer: rtc.RequestResponse) -> None:
        waiting = self._queued.setdefault(request.cid, deque())
        if len(waiting) >= self._p.services.settings.limits.queued_tracks:
            self._p.refuse(Reason.LIMIT_EXCEEDED, "too many requests wait for this cid", answer)
            return
        waiting.append(request)
        self._p.refuse(Reason.QUEUED, "the cid is in use", answer)

    def _announce(self, request: rtc.AddTrackRequest, answer: rtc.RequestResponse) -> None:
        services = self._p.services
        info = tracks.track_info(request, services.ids.make(Prefix.TRACK), services.versions.next())
        # Pending first: when its offer overtook it, the track is published inside declare_track.
        self._pending[request.cid] = info
        try:
            self._p.media.declare_track(tracks.track_spec(info, request.cid))
        except MediaError as error:
            self._pending.pop(request.cid, None)
            self._p.refuse(Reason.LIMIT_EXCEEDED, error.message, answer)
            return
        self._respond(request.cid, info)

    def _add_codec(self, request: rtc.AddTrackRequest, answer: rtc.RequestResponse) -> None:
        """A backup codec for a track that is published already."""
        publication = self._published.get(request.sid)
        if publication is None:
            self._p.refuse(Reason.NOT_FOUND, "no such track", answer)
            return
        tracks.add_codecs(publication.info, request)
        try:
            self._p.media.declare_track(tracks.track_spec(publication.info, publication.cid))
        except MediaError as error:
            self._p.refuse(Reason.INVALID_REQUEST, error.message, answer)
            return
        self._respond(request.cid, publication.info)

    def _respond(self, cid: str, info: models.TrackInfo) -> None:
        self._p.send(
            rtc.SignalResponse(track_published=rtc.TrackPublishedResponse(cid=cid, track=info))
        )

    def reserve(self, count: int) -> tuple[str, ...]:
        """Track ids for a plain session, whose tracks are declared by its offer."""
        sids = tuple(self._p.services.ids.make(Prefix.TRACK) for _ in range(count))
        self._reserved.update(dict.fromkeys(sids))
        return sids

    # Published

    def published_by_media(self, published: Published) -> None:
        """The media server negotiated a declared track, or one more codec of it."""
        existing = self._published.get(published.track_id)
        if existing is not None:
            tracks.apply_media(existing.info, published, self._p.services.versions.next())
            self._changed()
            return
        cid, info = self._take_pending(published)
        if info is None:
            return
        for other in [p for p in self._published.values() if p.info.mid == published.mid]:
            self._drop(other)  # the section was re-used before an offer showed it idle
        tracks.apply_media(info, published, self._p.services.versions.next())
        publication = Publication(info=info, cid=cid, publisher=self._p)
        self._published[info.sid] = publication
        self._p.tell_media(lambda: self._p.media.set_muted(info.sid, info.muted))
        self._p.touch()
        self._p.room.track_published(publication)

    def _take_pending(self, published: Published) -> tuple[str, models.TrackInfo | None]:
        for cid, info in self._pending.items():
            if info.sid == published.track_id:
                return cid, self._pending.pop(cid)
        if published.track_id in self._reserved:
            del self._reserved[published.track_id]
            info = tracks.plain_track_info(published)
            if self._p.grant.can_publish_source(info.source):
                return published.mid, info
            self._p.tell_media(lambda: self._p.media.remove_track(published.track_id))
        return "", None

    def refused_by_media(self, sid: str, reason: str) -> None:
        """A track that was announced and offered, and that the media server could not take."""
        found = [(cid, info) for cid, info in self._pending.items() if info.sid == sid]
        if not found:
            return
        ((cid, info),) = found
        del self._pending[cid]
        answer = rtc.RequestResponse(add_track=rtc.AddTrackRequest(cid=cid, type=info.type))
        code = Reason.LIMIT_EXCEEDED if reason == "limit" else Reason.UNCLASSIFIED_ERROR
        self._p.refuse(code, f"the media server refused the track: {reason}", answer)
        self._tell_unpublished(sid)

    def _tell_unpublished(self, sid: str) -> None:
        self._p.send(
            rtc.SignalResponse(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=sid))
        )

    def unpublish(self, sid: str, *, tell: bool = False) -> None:
        """End a track. `tell` the publisher when the end was not its own wish."""
        publication = self._published.get(sid)
        if publication is None:
            return
        self._drop(publication)
        if tell:
            self._tell_unpublished(sid)
        waiting = self._queued.get(publication.cid)
        if waiting:
            request = waiting.popleft()
            if not waiting:
                del self._queued[publication.cid]
            self.add(request)

    def _drop(self, publication: Publication) -> None:
        del self._published[publication.sid]
        self._p.touch()
        self._p.room.track_unpublished(publication)
        self._p.tell_media(lambda: self._p.media.remove_track(publication.sid))

    def revoke_sources(self) -> None:
        """After a change of permission: what may no longer be published ends."""
        for publication in self.published():
            if not self._p.grant.can_publish_source(publication.info.source):
                self.unpublish(publication.sid, tell=True)
        for cid, info in list(self._pending.items()):
            if not self._p.grant.can_publish_source(info.source):
                del self._pending[cid]
                self._p.tell_media(partial(self._p.media.remove_track, info.sid))

    # Changing

    def mute(self, request: rtc.MuteTrackRequest) -> None:
        """The client muted or unmuted its own track."""
        if self.set_muted(request.sid, request.muted) is None:
            answer = rtc.RequestResponse(mute=request)
            self._p.refuse(Reason.NOT_FOUND, "no such track", answer)

    def set_muted(self, sid: str, muted: bool) -> models.TrackInfo | None:
        info = self._find(sid)
        if info is None:
            return None
        if info.muted != muted:
            info.muted = muted
            if sid in self._published:
                self._p.tell_media(lambda: self._p.media.set_muted(sid, muted))
                self._touched(info)
        return info

    def update_audio(self, request: rtc.UpdateLocalAudioTrack) -> None:
        info = self._find(request.track_sid)
        if info is None:
            answer = rtc.RequestResponse(update_audio_track=request)
            self._p.refuse(Reason.NOT_FOUND, "no such track", answer)
            return
        tracks.set_audio_features(info, request.features)
        self._touched(info)

    def update_video(self, request: rtc.UpdateLocalVideoTrack) -> None:
        info = self._find(request.track_sid)
        if info is None:
            answer = rtc.RequestResponse(update_video_track=request)
            self._p.refuse(Reason.NOT_FOUND, "no such track", answer)
            return
        info.width, info.height = request.width, request.height
        self._touched(info)

    def update_layers(self, request: rtc.UpdateVideoLayers) -> None:
        """Deprecated; old clients say so that their layers changed. There is no response to it."""
        info = self._find(request.track_sid)
        if info is not None and request.layers:
            tracks.set_layers(info, request.layers)
            self._touched(info)

    def _touched(self, info: models.TrackInfo) -> None:
        info.version.CopyFrom(self._p.services.versions.next())
        if info.sid in self._published:
            self._changed()

    def _changed(self) -> None:
        self._p.touch()
        self._p.room.broadcast(self._p)

    def subscribed(self, sid: str) -> None:
        """Somebody receives this track; the publisher hears of the first time."""
        publication = self._published.get(sid)
        if publication is None or publication.subscribed_once:
            return
        publication.subscribed_once = True
        self._p.send(rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=sid)))

    def demand(self, sid: str, qualities: Iterable[tuple[str, Iterable[tuple[int, bool]]]]) -> None:
        """Dynacast: which layers and codecs somebody watches."""
        publication = self._published.get(sid)
        if publication is None:
            return
        self._p.send(tracks.demand_message(publication.info, qualities))
