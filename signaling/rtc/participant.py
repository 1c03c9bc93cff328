"""One device in a call: who it is, its state, its messages, and the parts that do its work.

    JOINING --joined--> JOINED --media connected--> ACTIVE
        \\________________\\______leave______________/--> DISCONNECTED

Publishing, subscribing, data and the rest live in their own modules and hold a reference to this
object, which only keeps what they share. Owned by its `Room`; every call comes on the one event
loop. Driven by `dispatch` (the client's requests), `media_events` (the media server) and
`moderation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from mediaserver.api import MediaError, Mode, ParticipantMedia, Target
from signaling.rtc.blobs import Blobs
from signaling.rtc.data import DataRelay
from signaling.rtc.data_tracks import DataTracks
from signaling.rtc.entry import Entry
from signaling.rtc.frames import Outgoing
from signaling.rtc.grants import VideoGrant
from signaling.rtc.liveness import Liveness
from signaling.rtc.negotiating import Negotiating
from signaling.rtc.outbox import Outbox, leave_message
from signaling.rtc.permissions import SubscriptionPermissions
from signaling.rtc.publishing import Publishing
from signaling.rtc.services import Services
from signaling.rtc.subscribing import Subscribing
from signaling.rtc.tokens import issue

if TYPE_CHECKING:
    from signaling.rtc.room import Room

State = models.ParticipantInfo.State
Action = rtc.LeaveRequest.Action

# Answers to a request that was not refused, whatever the message is called.
_NO_REFUSALS = frozenset({rtc.RequestResponse.Reason.OK, rtc.RequestResponse.Reason.QUEUED})
_KINDS = {
    "ingress": models.ParticipantInfo.Kind.INGRESS,
    "egress": models.ParticipantInfo.Kind.EGRESS,
    "sip": models.ParticipantInfo.Kind.SIP,
    "agent": models.ParticipantInfo.Kind.AGENT,
    "connector": models.ParticipantInfo.Kind.CONNECTOR,
    "bridge": models.ParticipantInfo.Kind.BRIDGE,
}
_KIND_DETAILS = frozenset(
    models.ParticipantInfo.DESCRIPTOR.enum_types_by_name["KindDetail"].values_by_name
)
_TRANSITIONS = {
    State.JOINING: {State.JOINED, State.DISCONNECTED},
    State.JOINED: {State.ACTIVE, State.DISCONNECTED},
    State.ACTIVE: {State.DISCONNECTED},
    State.DISCONNECTED: set(),
}
_LINGER = 0.3


class Participant:
    """See the module. `media` is set by the room before anything else is called."""

    media: ParticipantMedia

    def __init__(self, services: Services, room: Room, sid: str, entry: Entry) -> None:
        self.services = services
        self.room = room
        self.sid = sid
        # What came with the join is used once; 20 kB of it for each participant would stay.
        self.entry = replace(entry, offer=None, add_tracks=(), sync_state=None)
        self.claims = entry.claims
        self.grant: VideoGrant = replace(entry.claims.video, room=room.name)
        self.subscribes = entry.claims.video.can_subscribe
        """Joined with the means to subscribe; a grant that comes later needs another join."""
        self.name = entry.claims.name
        self.metadata = entry.claims.metadata
        self.attributes = dict(entry.claims.attributes)
        self.state = State.JOINING
        # Plain attributes beside `state`: each is asked for every data packet to everybody.
        self.ready = False
        """May be sent updates: its join response is out."""
        self.closed = False
        self.joined_at = services.clock.unix()
        self.disconnect_reason = models.DisconnectReason.UNKNOWN_REASON
        self.signal_rtt_ms = 0
        self.refused_with = ""
        self.was_active = False
        self.seen_in: list[Room] = []
        """Other rooms that it is a guest of (ForwardParticipant)."""
        self.on_left: Callable[[Participant], None] | None = None
        self._cut: tuple[float, bool] | None = None
        self._version = 0
        self._info: models.ParticipantInfo | None = None
        self.outbox = Outbox()
        self.negotiating: Negotiating = Negotiating(self)
        self.permissions: SubscriptionPermissions = SubscriptionPermissions(self)
        self.publishing: Publishing = Publishing(self)
        self.subscribing: Subscribing = Subscribing(self)
        self.data: DataRelay = DataRelay(self)
        self.data_tracks: DataTracks = DataTracks(self)
        self.blobs: Blobs = Blobs(self)
        self.liveness: Liveness = Liveness(self)

    # Who it is

    @property
    def identity(self) -> str:
        return self.claims.identity

    @property
    def mode(self) -> Mode:
        return self.entry.mode

    @property
    def protocol(self) -> int:
        return self.entry.client.protocol

    @property
    def kind(self) -> models.ParticipantInfo.Kind:
        return _KINDS.get(self.claims.kind.lower(), models.ParticipantInfo.Kind.STANDARD)

    @property
    def hidden(self) -> bool:
        return self.grant.hidden

    @property
    def recorder(self) -> bool:
        return self.grant.recorder or self.kind == models.ParticipantInfo.Kind.EGRESS

    @property
    def agent(self) -> bool:
        return self.grant.agent or self.kind == models.ParticipantInfo.Kind.AGENT

    @property
    def dependent(self) -> bool:
        """Does not count as somebody being in the room."""
        return self.recorder or self.agent

    @property
    def primary(self) -> Target:
        """The connection whose success makes the participant ACTIVE."""
        dual = self.mode is Mode.DUAL and self.subscribes
        return Target.SUBSCRIBER if dual else Target.PUBLISHER

    def touch(self) -> None:
        """Something in `info` changed: the next one has a higher version."""
        self._info = None

    def info(self) -> models.ParticipantInfo:
        if self._info is None:
            self._version += 1
            self._info = self._make_info()
        return self._info

    def _make_info(self) -> models.ParticipantInfo:
        return models.ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            name=self.name,
            state=self.state,
            tracks=self.publishing.infos(),
            metadata=self.metadata,
            joined_at=int(self.joined_at),
            joined_at_ms=int(self.joined_at * 1000),
            version=self._version,
            permission=self.grant.to_permission(),
            region=self.services.settings.region,
            is_publisher=self.publishing.is_publisher,
            kind=self.kind,
            kind_details=[
                d.upper() for d in self.claims.kind_details if d.upper() in _KIND_DETAILS
            ],
            attributes=self.attributes,
            disconnect_reason=self.disconnect_reason,
            data_tracks=self.data_tracks.infos(),
            client_protocol=self.entry.client.client_protocol,
            capabilities=self.entry.client.capabilities,
        )

    # Messages

    def send(self, response: rtc.SignalResponse) -> None:
        self.outbox.send(Outgoing(response))

    def drop_socket(self, reason: str) -> None:
        """Close the socket so that the client resumes; the participant stays."""
        if self.outbox.drop(reason, resume=True):
            self.liveness.socket_closed()

    def tell_media(self, action: Callable[[], None]) -> None:
        """Where the media server may have ended a thing a moment before we did."""
        try:
            action()
        except MediaError:
            self.services.counters.add("media_refused")

    def refuse(
        self, reason: rtc.RequestResponse.Reason, text: str, response_to: rtc.RequestResponse
    ) -> None:
        """Answer a request that has no response of its own. `response_to` names it."""
        if reason not in _NO_REFUSALS:
            self.refused_with = rtc.RequestResponse.Reason.Name(reason).lower()
        response_to.reason = reason
        response_to.message = text
        self.send(rtc.SignalResponse(request_response=response_to))

    def refresh_token(self) -> None:
        """Push a token with the participant's present grants."""
        if self.outbox.attached:
            self.send(rtc.SignalResponse(refresh_token=self.fresh_token()))

    def fresh_token(self) -> str:
        claims = replace(
            self.claims,
            name=self.name,
            metadata=self.metadata,
            attributes=dict(self.attributes),
            video=self.grant,
        )
        services = self.services
        now = services.clock.unix()
        # Never shorter than what the client holds: it may sleep and come back with this one.
        life = max(services.settings.times.token_life, claims.expires_at - now)
        return issue(services.keys, claims, now, life)

    def cut_on_resume(self, *, with_messages: bool) -> None:
        """Simulated: the next resume loses its socket, after or before the first messages."""
        times = self.services.settings.times
        until = self.services.clock.monotonic() + times.simulated_disconnect
        self._cut = (until, with_messages)

    def take_cut(self) -> bool | None:
        """None: no simulation. Otherwise whether messages are sent before the socket goes."""
        cut, self._cut = self._cut, None
        if cut is None or self.services.clock.monotonic() > cut[0]:
            return None
        return cut[1]

    # State

    def advance(self, state: models.ParticipantInfo.State) -> bool:
        """Move to `state` when that is a step forward; True when it was."""
        if state not in _TRANSITIONS[self.state]:
            return False
        self.state = state
        self.closed = state == State.DISCONNECTED
        self.ready = not self.closed and state != State.JOINING
        self.touch()
        return True

    async def negotiate(self, description: rtc.SessionDescription) -> rtc.SessionDescription | None:
        """A plain session's offer. None: refused; the participant has left, see `refusal`."""
        return await self.negotiating.answer_to(description)

    @property
    def refusal(self) -> MediaError | None:
        return self.negotiating.refusal

    def leave(
        self,
        reason: models.DisconnectReason,
        action: rtc.LeaveRequest.Action = Action.DISCONNECT,
        *,
        tell: bool = True,
    ) -> None:
        """End the participant: tell the client, free the media, tell the others. Idempotent."""
        if not self.advance(State.DISCONNECTED):
            return
        self.disconnect_reason = reason
        self.touch()
        last = leave_message(self.protocol, reason, action) if tell else None
        told = self.outbox.close(last)
        self.liveness.stop()
        self.subscribing.stop()
        self.data_tracks.stop()
        self.room.remove(self)
        self._close_media(linger=told and self.room.open)
        if self.on_left is not None:
            self.on_left(self)

    def _close_media(self, *, linger: bool) -> None:
        """What was sent just before must arrive: a client drops it with its connection."""
        if linger:
            self.services.clock.call_later(_LINGER, lambda: self.services.spawn(self.media.close()))
        else:
            self.services.spawn(self.media.close())
