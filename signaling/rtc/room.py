"""One LiveKit room: who is in it, what they publish, and telling everybody about changes.

Lives while somebody is in it and `departure_timeout` longer (`empty_timeout` when nobody ever
came). Owned by `Rooms`; one event loop. Long because everything that one participant's action means
for the others, here and where it is a guest, is read as one page.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc
from livekit.protocol import room as room_pb

from mediaserver.api import CallMedia, CallOptions, ParticipantOptions, Target
from signaling.errors import ClientError, Code
from signaling.ids import is_id
from signaling.rtc.clock import Timer
from signaling.rtc.data_tracks import DataTrack
from signaling.rtc.entry import Entry
from signaling.rtc.events import announce
from signaling.rtc.frames import Outgoing
from signaling.rtc.guests import Guests
from signaling.rtc.ids import Prefix
from signaling.rtc.media_events import CallEvents, ParticipantEvents
from signaling.rtc.observers import Observers
from signaling.rtc.participant import Action, Participant, State
from signaling.rtc.relay import Relay
from signaling.rtc.rpc import RpcCalls
from signaling.rtc.services import Services
from signaling.rtc.tracks import Publication

if TYPE_CHECKING:
    from mediaserver.api import ParticipantMedia

Reason = models.DisconnectReason
_DEPARTED_KEPT = 256
_PLAIN_TRACKS = 8
"""Sections that a WHIP offer may send; OBS sends up to 4 (simulcast as rids needs only one)."""


class Room:
    """`open` until `close`; `sid` changes never, `name` is unique among open rooms."""

    def __init__(
        self,
        services: Services,
        name: str,
        request: room_pb.CreateRoomRequest,
        on_closed: Callable[[Room], None],
    ) -> None:
        self.services = services
        self.name = name
        self.sid = services.ids.make(Prefix.ROOM)
        self.metadata = request.metadata
        self.created_at = services.clock.unix()
        times = services.settings.times
        self.empty_timeout = request.empty_timeout or times.empty_timeout
        self.departure_timeout = request.departure_timeout or times.departure_timeout
        self.max_participants = request.max_participants or services.settings.max_participants
        self.open = True
        self.departed: deque[tuple[float, models.ParticipantInfo]] = deque(maxlen=_DEPARTED_KEPT)
        self.observers = Observers(self)
        self.rpc = RpcCalls(services)
        self.relay = Relay(self)
        self.guests = Guests(self)
        self._on_closed = on_closed
        self._call: CallMedia | None = None
        self._by_identity: dict[str, Participant] = {}
        self._by_sid: dict[str, Participant] = {}
        self._publications: dict[str, Publication] = {}
        self._data_tracks: dict[str, DataTrack] = {}
        self._version = services.versions.next()
        self._empty_timer: Timer | None = None
        self._update_timer: Timer | None = None
        self._last_counts = (0, 0, False)
        self._counted: tuple[int, int, bool] | None = None
        self._watch_empty(self.empty_timeout)
        announce(self, "room_started")

    # Facts

    def participants(self) -> list[Participant]:
        return list(self._by_identity.values())

    def by_identity(self, identity: str) -> Participant | None:
        return self._by_identity.get(identity)

    def found(self, identity: str) -> Participant | None:
        """A participant of this room or a guest."""
        return self._by_identity.get(identity) or self.guests.by_identity(identity)

    def by_sid(self, sid: str) -> Participant | None:
        return self._by_sid.get(sid)

    def info_of(self, participant: Participant) -> models.ParticipantInfo:
        """As this room sees it."""
        return participant.info() if participant.room is self else self.guests.info(participant)

    def others(self, participant: Participant) -> list[models.ParticipantInfo]:
        """Everybody that `participant` may see beside itself."""
        here = [p for p in self.participants() if p is not participant]
        return [self.info_of(p) for p in [*here, *self.guests.all()] if self._visible(p)]

    def publications(self) -> list[Publication]:
        return list(self._publications.values())

    def publication(self, sid: str) -> Publication | None:
        return self._publications.get(sid)

    def data_tracks(self) -> list[DataTrack]:
        return list(self._data_tracks.values())

    def data_track(self, sid: str) -> DataTrack | None:
        return self._data_tracks.get(sid)

    def _counts(self) -> tuple[int, int, bool]:
        """People, publishers, whether anybody records. Counted when something changed."""
        if self._counted is None:
            self._counted = self._count()
        return self._counted

    def _count(self) -> tuple[int, int, bool]:
        seen = [*self._by_identity.values(), *self.guests.all()]
        people = sum(not p.dependent for p in seen)
        publishers = sum(p.publishing.is_publisher for p in seen)
        return people, publishers, any(p.recorder for p in self._by_identity.values())

    def ids(self) -> dict[str, str]:
        """What log lines carry: this call, and the room of Sotto's whose call it is. What else a
        room is called is somebody's word.
        """
        return {"call": self.sid, "room": self.name if is_id(self.name) else ""}

    def info(self) -> models.Room:
        people, publishers, recording = self._counts()
        return models.Room(
            sid=self.sid,
            name=self.name,
            empty_timeout=self.empty_timeout,
            departure_timeout=self.departure_timeout,
            max_participants=self.max_participants,
            creation_time=int(self.created_at),
            creation_time_ms=int(self.created_at * 1000),
            enabled_codecs=self.codecs(),
            metadata=self.metadata,
            num_participants=people,
            num_publishers=publishers,
            active_recording=recording,
            version=self._version,
        )

    def codecs(self) -> list[models.Codec]:
        return [models.Codec(mime=mime) for mime in self.services.settings.publish_codecs]

    # Coming

    def configure(self, request: room_pb.CreateRoomRequest) -> None:
        """CreateRoom for a room that is open already: what it sets replaces what was."""
        self.empty_timeout = request.empty_timeout or self.empty_timeout
        self.departure_timeout = request.departure_timeout or self.departure_timeout
        self.max_participants = request.max_participants or self.max_participants
        if request.metadata and request.metadata != self.metadata:
            self.set_metadata(request.metadata)

    def check_place(self, entry: Entry) -> None:
        """Raises ClientError when the room is full; coming back under one's identity never is."""
        kind = entry.claims.kind.lower()
        dependent = entry.claims.video.recorder or entry.claims.video.agent
        if dependent or kind in ("agent", "egress"):
            return
        if self.found(entry.identity) is None:
            self.check_count()

    def check_count(self) -> None:
        """Raises ClientError when there is no place for one more."""
        if self.max_participants and self._counts()[0] >= self.max_participants:
            # Of all statuses, browsers show their user the reason of 401 and 403 alone.
            raise ClientError(Code.ROOM_FULL, 403, "room has reached its limit of participants")

    def admit(self, entry: Entry) -> Participant:
        """A new participant with its media. Raises ClientError when the room is full or closed."""
        if not self.open:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "room is closed")
        if entry.identity in self._by_identity:
            raise ClientError(Code.CONFLICT, 409, "identity is in the room")
        self.check_place(entry)
        guest = self.guests.by_identity(entry.identity)
        if guest is not None:
            self.guests.remove(guest, Reason.DUPLICATE_IDENTITY)
        participant = Participant(
            self.services, self, self.services.ids.make(Prefix.PARTICIPANT), entry
        )
        participant.media = self._add_media(participant)
        self._by_identity[entry.identity] = participant
        self._by_sid[participant.sid] = participant
        if not participant.dependent:
            self.occupied()
        participant.liveness.start()
        self.counts_changed()
        self.services.admission.joined(participant)
        return participant

    def call(self) -> CallMedia:
        """The room's media, from its first participant or guest on."""
        if self._call is None:
            options = CallOptions(top_audio=self.services.settings.top_audio)
            self._call = self.services.media.call(self.sid, CallEvents(self), options)
        return self._call

    def occupied(self) -> None:
        """Somebody is here: the room stays."""
        if self._empty_timer is not None:
            self._empty_timer.cancel()
            self._empty_timer = None

    def _add_media(self, participant: Participant) -> ParticipantMedia:
        settings = self.services.settings
        plain = participant.entry.plain
        sids = participant.publishing.reserve(_PLAIN_TRACKS) if plain else ()
        return self.call().add_participant(
            participant.sid,
            participant.mode,
            ParticipantEvents(participant),
            ParticipantOptions(
                can_subscribe=participant.subscribes,
                data_channels=not plain,
                auto_declare=plain,
                auto_track_ids=sids,
                codecs=tuple(mime.lower() for mime in settings.publish_codecs),
            ),
        )

    def join_response(self, participant: Participant) -> rtc.JoinResponse:
        times = self.services.settings.times
        return rtc.JoinResponse(
            room=self.info(),
            participant=participant.info(),
            other_participants=self.others(participant),
            server_version=self.services.server_info().version,
            server_region=self.services.settings.region,
            server_info=self.services.server_info(),
            ice_servers=self.services.ice_servers_for(participant.sid),
            subscriber_primary=participant.primary is Target.SUBSCRIBER,
            ping_interval=times.ping_interval,
            ping_timeout=times.ping_timeout,
            enabled_publish_codecs=self.codecs(),
            fast_publish=participant.grant.can_publish,
        )

    @staticmethod
    def _visible(participant: Participant) -> bool:
        return participant.ready and not participant.hidden

    def joined(self, participant: Participant) -> None:
        """Its join response is out: the others learn of it, and it gets what there is."""
        if not participant.advance(State.JOINED):
            return
        self.broadcast(participant, to_self=False)
        participant.subscribing.begin()
        participant.data_tracks.begin()
        if participant.primary is Target.SUBSCRIBER:
            participant.media.negotiate()  # its offer carries the data channels

    def media_connected(self, participant: Participant, target: Target) -> None:
        """A connection works. The primary one makes the participant ACTIVE and opens its data."""
        if target is not participant.primary:
            return
        participant.data.opened()
        participant.liveness.connected()
        if participant.advance(State.ACTIVE):
            participant.was_active = True
            self.broadcast(participant, to_self=False)
            announce(self, "participant_joined", participant)

    # Going

    def remove(self, participant: Participant) -> None:
        """Called by `Participant.leave` only, after its state is DISCONNECTED."""
        if self._by_sid.pop(participant.sid, None) is None:
            return
        del self._by_identity[participant.identity]
        self.services.admission.left(participant)
        self._counted = None
        for room in list(participant.seen_in):
            room.guests.remove(participant, participant.disconnect_reason)
        for publication in participant.publishing.published():
            self.track_unpublished(publication)
        for track in participant.data_tracks.published():
            self.data_track_unpublished(track)
        self.observers.forget(participant.sid)
        self.rpc.left(participant)
        if not participant.hidden:
            self.departed.append((self.services.clock.monotonic(), participant.info()))
        self.broadcast(participant, to_self=False)
        left = "participant_left" if participant.was_active else "participant_connection_aborted"
        announce(self, left, participant, reason=participant.disconnect_reason)
        self.left_behind()

    def left_behind(self) -> None:
        """Somebody left; a room that nobody is in does not last."""
        self.counts_changed()
        if self.open and not self._counts()[0]:
            self._watch_empty(self.departure_timeout)

    def _watch_empty(self, seconds: float) -> None:
        if self._empty_timer is not None:
            self._empty_timer.cancel()
        self._empty_timer = self.services.clock.call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._empty_timer = None
        self.close(Reason.ROOM_CLOSED)

    def close(
        self,
        reason: models.DisconnectReason,
        action: rtc.LeaveRequest.Action = Action.DISCONNECT,
    ) -> None:
        """Everybody leaves and the room is gone. Idempotent."""
        if not self.open:
            return
        self.open = False
        for participant in self.participants():
            participant.leave(reason, action)
        for guest in self.guests.all():
            self.guests.remove(guest, reason)
        for timer in (self._empty_timer, self._update_timer):
            if timer is not None:
                timer.cancel()
        if self._call is not None:
            self.services.spawn(self._call.close())
        announce(self, "room_finished", reason=reason)
        self._on_closed(self)

    # Telling

    def broadcast(self, participant: Participant, *, to_self: bool = True) -> None:
        """`participant` changed. The hidden are announced to themselves alone."""
        update = rtc.ParticipantUpdate(participants=[participant.info()])
        message = Outgoing(rtc.SignalResponse(update=update))
        if to_self and participant.ready:
            participant.outbox.send(message)
        if participant.hidden:
            return
        for other in self._by_identity.values():
            if other is not participant and other.ready:
                other.outbox.send(message)
        for room in participant.seen_in:
            room.guests.changed(participant)

    def set_metadata(self, metadata: str) -> None:
        self.metadata = metadata
        self._send_update()

    def counts_changed(self) -> None:
        """Gathered: a storm of joins makes few room updates."""
        self._counted = None
        if self.open and self._update_timer is None:
            delay = self.services.settings.times.room_update_delay
            self._update_timer = self.services.clock.call_later(delay, self._counts_due)

    def _counts_due(self) -> None:
        self._update_timer = None
        if self._counts() != self._last_counts:
            self._send_update()

    def _send_update(self) -> None:
        self._version = self.services.versions.next()
        self._last_counts = self._counts()
        message = Outgoing(rtc.SignalResponse(room_update=rtc.RoomUpdate(room=self.info())))
        for participant in self._by_identity.values():
            if participant.ready:
                participant.outbox.send(message)

    def introduce(self, publisher: Participant, subscriber: Participant) -> None:
        self.observers.introduce(publisher, subscriber)

    # Tracks

    def track_published(self, publication: Publication) -> None:
        """By a participant, or by a guest: then its update was sent already."""
        self._publications[publication.sid] = publication
        publisher = publication.publisher
        self._tell_of(publisher)
        for participant in self.participants():
            if participant.ready:
                participant.subscribing.track_appeared(publication)
        announce(self, "track_published", publisher, publication.info)
        self.counts_changed()
        for room in self._elsewhere(publisher):
            room.guests.track_published(publication)

    def track_unpublished(self, publication: Publication) -> None:
        if self._publications.pop(publication.sid, None) is None:
            return
        for participant in self.participants():
            participant.subscribing.track_vanished(publication.sid)
        publisher = publication.publisher
        self._tell_of(publisher)
        announce(self, "track_unpublished", publisher, publication.info)
        self.counts_changed()
        for room in self._elsewhere(publisher):
            room.guests.track_unpublished(publication)

    def _tell_of(self, publisher: Participant) -> None:
        if publisher.room is self and not publisher.closed:
            self.broadcast(publisher, to_self=False)

    def _elsewhere(self, publisher: Participant) -> list[Room]:
        """The rooms that its own room passes a change on to."""
        return list(publisher.seen_in) if publisher.room is self else []

    def reconsider(self, publication: Publication) -> None:
        """The publisher changed who may subscribe to this track."""
        for room in (self, *publication.publisher.seen_in):
            for participant in room.participants():
                participant.subscribing.reconsider(publication.sid)

    def data_track_published(self, track: DataTrack) -> None:
        self._data_tracks[track.info.sid] = track
        self._tell_of(track.publisher)
        for participant in self.participants():
            if participant.ready:
                participant.data_tracks.track_appeared(track)
        self.counts_changed()
        for room in self._elsewhere(track.publisher):
            room.data_track_published(track)

    def data_track_unpublished(self, track: DataTrack) -> None:
        if self._data_tracks.pop(track.info.sid, None) is None:
            return
        for participant in self.participants():
            participant.data_tracks.track_vanished(track)
        self._tell_of(track.publisher)
        self.counts_changed()
        for room in self._elsewhere(track.publisher):
            room.data_track_unpublished(track)
