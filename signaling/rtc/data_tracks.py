"""Data tracks: named streams of small frames over `_data_track`, published and subscribed like
media.

A publisher chooses a handle for its packets; each subscriber is told a handle of its own for each
track, and packets are relayed with that handle written in. Permissions are those of the
publisher's tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from mediaserver.api import Channel, MediaError
from signaling.rtc.data_track_packet import frame_number, handle_of, starts_frame, with_handle
from signaling.rtc.ids import Prefix
from signaling.rtc.pacing import FrameGate

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant

Reason = rtc.RequestResponse.Reason
_MAX_HANDLE = 0xFFFF


@dataclass(slots=True)
class DataSubscription:
    """One subscriber of one data track, with the handle it was told."""

    subscriber: Participant
    handle: int
    gate: FrameGate = field(default_factory=FrameGate)


@dataclass(slots=True)
class DataTrack:
    """A published data track and who receives it."""

    info: models.DataTrackInfo
    publisher: Participant
    subscriptions: dict[str, DataSubscription] = field(default_factory=dict)

    def relay(self, packet: bytes, now: float) -> None:
        for subscription in self.subscriptions.values():
            if not subscription.gate.admits(starts_frame(packet), frame_number(packet), now):
                continue
            try:
                subscription.subscriber.media.send(
                    Channel.DATA_TRACK, with_handle(packet, subscription.handle)
                )
            except MediaError:
                self.publisher.services.counters.add("data_track_dropped")


class DataTracks:
    """What one participant publishes and what it wants of others' data tracks."""

    def __init__(self, participant: Participant) -> None:
        self._p = participant
        self._by_handle: dict[int, DataTrack] = {}
        self._wanted: dict[str, bool] = {}
        self._fps: dict[str, int] = {}
        self._handles: dict[str, int] = {}
        self._next_handle = 0

    def infos(self) -> list[models.DataTrackInfo]:
        return [track.info for track in self._by_handle.values()]

    def published(self) -> list[DataTrack]:
        return list(self._by_handle.values())

    def knows(self, sid: str) -> bool:
        return any(track.info.sid == sid for track in self._by_handle.values())

    # Publishing

    def publish(self, request: rtc.PublishDataTrackRequest) -> None:
        problem = self._problem(request)
        if problem is not None:
            answer = rtc.RequestResponse(publish_data_track=request)
            self._p.refuse(problem[0], problem[1], answer)
            return
        info = models.DataTrackInfo(
            pub_handle=request.pub_handle,
            sid=self._p.services.ids.make(Prefix.DATA_TRACK),
            name=request.name,
            encryption=request.encryption,
        )
        if request.HasField("frame_encoding"):
            info.frame_encoding.CopyFrom(request.frame_encoding)
        if request.HasField("schema"):
            info.schema.CopyFrom(request.schema)
        track = DataTrack(info=info, publisher=self._p)
        self._by_handle[request.pub_handle] = track
        response = rtc.PublishDataTrackResponse(info=info)
        self._p.send(rtc.SignalResponse(publish_data_track_response=response))
        self._p.touch()
        self._p.room.data_track_published(track)

    def _problem(
        self, request: rtc.PublishDataTrackRequest
    ) -> tuple[rtc.RequestResponse.Reason, str] | None:
        limits = self._p.services.settings.limits
        custom = [
            encoding.custom
            for encoding in (request.frame_encoding, request.schema.encoding)
            if encoding.WhichOneof("value") == "custom"
        ]
        if not self._p.grant.can_publish_data:
            return Reason.NOT_ALLOWED, "does not have permission to publish data"
        if not 0 < request.pub_handle <= _MAX_HANDLE:
            return Reason.INVALID_HANDLE, "handle should be from 1 to 65535"
        if not 0 < len(request.name) <= limits.data_track_name_chars:
            return (
                Reason.INVALID_NAME,
                f"name should have 1 to {limits.data_track_name_chars} characters",
            )
        if not all(0 < len(c) <= limits.data_track_encoding_chars for c in custom):
            return Reason.INVALID_REQUEST, "encoding identifier is empty or too long"
        if request.pub_handle in self._by_handle:
            return Reason.DUPLICATE_HANDLE, "a data track with the same handle exists"
        if any(track.info.name == request.name for track in self._by_handle.values()):
            return Reason.DUPLICATE_NAME, "a data track with the same name exists"
        if len(self._by_handle) >= limits.data_tracks:
            return Reason.LIMIT_EXCEEDED, "too many data tracks"
        return None

    def unpublish(self, request: rtc.UnpublishDataTrackRequest) -> None:
        track = self._by_handle.get(request.pub_handle)
        if track is None:
            answer = rtc.RequestResponse(unpublish_data_track=request)
            self._p.refuse(Reason.NOT_FOUND, "no such data track", answer)
            return
        self._remove(track)

    def revoke(self) -> None:
        """`canPublishData` was withdrawn."""
        for track in self.published():
            self._remove(track)

    def _remove(self, track: DataTrack) -> None:
        del self._by_handle[track.info.pub_handle]
        response = rtc.UnpublishDataTrackResponse(info=track.info)
        self._p.send(rtc.SignalResponse(unpublish_data_track_response=response))
        self._p.touch()
        self._p.room.data_track_unpublished(track)

    def receive(self, packet: bytes) -> None:
        """A packet from this participant's `_data_track` channel."""
        services = self._p.services
        if self._p.closed or not self._p.data.admit(Channel.DATA_TRACK):
            return
        handle = handle_of(packet)
        track = self._by_handle.get(handle) if handle is not None else None
        if track is None or len(packet) > services.settings.limits.data_track_packet_bytes:
            services.counters.add("data_track_refused")
            return
        track.relay(packet, services.clock.monotonic())

    # Subscribing

    def begin(self) -> None:
        for track in self._p.room.data_tracks():
            self.track_appeared(track, tell=False)
        if self._handles:
            self._tell()

    def track_appeared(self, track: DataTrack, *, tell: bool = True) -> None:
        wanted = self._wanted.get(track.info.sid, self._p.entry.auto_subscribe_data)
        if track.publisher is not self._p and wanted:
            self._subscribe(track, tell=tell)

    def track_vanished(self, track: DataTrack) -> None:
        self._wanted.pop(track.info.sid, None)
        self._unsubscribe(track)

    def update(self, request: rtc.UpdateDataSubscription) -> None:
        limit = self._p.services.settings.limits.wanted_tracks
        for update in request.updates:
            if len(self._wanted) >= limit and update.track_sid not in self._wanted:
                self._p.services.counters.add("wishes_refused")
                continue
            self._wanted[update.track_sid] = update.subscribe
            self._fps[update.track_sid] = update.options.target_fps if update.subscribe else 0
            self._reconsider(update.track_sid)

    def _reconsider(self, sid: str) -> None:
        track = self._p.room.data_track(sid)
        if track is None or track.publisher is self._p:
            return
        if self._wanted.get(sid, self._p.entry.auto_subscribe_data):
            self._subscribe(track)
        else:
            self._unsubscribe(track)

    def _subscribe(self, track: DataTrack, *, tell: bool = True) -> None:
        sid = track.info.sid
        existing = track.subscriptions.get(self._p.sid)
        if existing is not None:
            existing.gate.set_rate(self._fps.get(sid, 0))
            if tell:
                self._tell()  # who asks again waits for the handle again
            return
        if not self._p.grant.can_subscribe or not track.publisher.permissions.allows(sid, self._p):
            return
        self._next_handle = self._next_handle % _MAX_HANDLE + 1
        self._handles[sid] = self._next_handle
        subscription = DataSubscription(subscriber=self._p, handle=self._next_handle)
        subscription.gate.set_rate(self._fps.get(sid, 0))
        track.subscriptions[self._p.sid] = subscription
        if tell:
            self._tell()

    def _unsubscribe(self, track: DataTrack) -> None:
        if track.subscriptions.pop(self._p.sid, None) is not None:
            self._handles.pop(track.info.sid, None)
            self._fps.pop(track.info.sid, None)
            if not self._p.closed:
                self._tell()

    def _tell(self) -> None:
        """The whole map of handles; clients replace theirs by it."""
        handles = rtc.DataTrackSubscriberHandles()
        for sid, handle in self._handles.items():
            track = self._p.room.data_track(sid)
            if track is not None:
                entry = handles.sub_handles[handle]
                entry.publisher_identity = track.publisher.identity
                entry.publisher_sid = track.publisher.sid
                entry.track_sid = sid
        self._p.send(rtc.SignalResponse(data_track_subscriber_handles=handles))

    def resumed(self) -> None:
        if self._handles:
            self._tell()

    def permissions_changed(self) -> None:
        """The publisher changed who may subscribe."""
        rooms = (self._p.room, *self._p.seen_in)
        audience = [participant for room in rooms for participant in room.participants()]
        for track in self.published():
            for participant in audience:
                allowed = self._p.permissions.allows(track.info.sid, participant)
                if allowed:
                    participant.data_tracks._reconsider(track.info.sid)
                else:
                    participant.data_tracks._unsubscribe(track)

    def grant_changed(self) -> None:
        """`canSubscribe` changed for this participant."""
        for track in self._p.room.data_tracks():
            if self._p.grant.can_subscribe:
                self._reconsider(track.info.sid)
            else:
                self._unsubscribe(track)

    def stop(self) -> None:
        for sid in list(self._handles):
            track = self._p.room.data_track(sid)
            if track is not None:
                track.subscriptions.pop(self._p.sid, None)
        self._handles.clear()
