"""One device in a call: its connections, what it publishes and what it subscribes to.

The face that signaling holds (`api.ParticipantMedia`); the work is in the files beside it. SINGLE
has one connection for everything; DUAL a publisher connection and, when it may subscribe, a
subscriber connection that we offer. Owned by one call; everything runs on the loop.
"""

import asyncio
import math
from collections.abc import Callable, Mapping

from mediaserver import sdp as descriptions
from mediaserver.api import (
    Answer,
    Channel,
    Mode,
    ParticipantListener,
    ParticipantOptions,
    ParticipantStats,
    SubscribeSettings,
    Target,
    TrackSpec,
)
from mediaserver.codecs import compact
from mediaserver.context import Context
from mediaserver.describe import Receiving, Sending, write_answer
from mediaserver.engine_types import EngineError
from mediaserver.errors import ClientError, Code, Unavailable
from mediaserver.negotiation import remote_of
from mediaserver.participant.connection import ENDED, Connection
from mediaserver.participant.connection import State as ConnectionState
from mediaserver.participant.dual import DualSubscribing
from mediaserver.participant.publishing import Publishing
from mediaserver.participant.single import SingleSubscribing
from mediaserver.participant.subscribing import Subscribing
from mediaserver.stats import Snapshot, participant_stats
from mediaserver.tracks import Tracks


class Participant:
    """Implements `api.ParticipantMedia`. Ends by `close`, once."""

    def __init__(
        self,
        context: Context,
        call: int,
        tracks: Tracks,
        participant_id: str,
        mode: Mode,
        listener: ParticipantListener,
        options: ParticipantOptions,
        snapshot: Callable[[], Snapshot],
        on_closed: Callable[["Participant"], None],
    ) -> None:
        self._context = context
        self._participant_id = participant_id
        self._mode = mode
        self.listener = listener
        self._options = options
        self._snapshot = snapshot
        self._on_closed = on_closed
        self._closed = False
        self.connections: dict[Target, Connection] = {}
        publisher = self._connect(call, Target.PUBLISHER, creates_channels=False)
        self.publishing = Publishing(
            context,
            participant_id,
            publisher.transport,
            tracks,
            options,
            listener.on_published,
            listener.on_unpublished,
            listener.on_publish_refused,
        )
        self._single: SingleSubscribing | None = None
        self._dual: DualSubscribing | None = None
        self._make_subscribing(call, publisher, tracks)

    def _connect(self, call: int, target: Target, *, creates_channels: bool) -> Connection:
        connection = Connection(
            self._context,
            call,
            target,
            creates_channels=creates_channels,
            on_connected=self.listener.on_connected,
            on_failed=self._failed,
            on_message=self.listener.on_data,
        )
        self.connections[target] = connection
        self._context.transports[connection.transport] = connection
        return connection

    def _make_subscribing(self, call: int, publisher: Connection, tracks: Tracks) -> None:
        listener = self.listener
        if self._mode is Mode.SINGLE:
            self._single = SingleSubscribing(
                self._context,
                publisher.transport,
                tracks,
                listener.on_subscribed,
                listener.on_subscription_failed,
                listener.on_sections_needed,
            )
        elif self._options.can_subscribe:
            connection = self._connect(call, Target.SUBSCRIBER, creates_channels=True)
            self._dual = DualSubscribing(
                self._context,
                connection.transport,
                tracks,
                listener.on_subscribed,
                listener.on_subscription_failed,
                local=connection.local,
                check=connection.check_remote,
                apply=connection.apply_remote,
                on_offer=listener.on_offer,
                on_timeout=lambda: connection.fail("negotiation_timeout"),
            )

    @property
    def participant_id(self) -> str:
        return self._participant_id

    @property
    def subscribing(self) -> Subscribing | None:
        return self._single or self._dual

    def _failed(self, target: Target, reason: str) -> None:
        if not self._closed:
            self.listener.on_failed(target, reason)

    def _connection(self, target: Target) -> Connection:
        if self._closed:
            raise ClientError(Code.PARTICIPANT_CLOSED, 410, "the participant has left")
        connection = self.connections.get(target)
        if connection is None:
            raise ClientError(Code.TARGET_UNKNOWN, 400, "there is no such peer connection")
        return connection

    def _parse(self, sdp: str) -> descriptions.Description:
        limits = self._context.limits
        return descriptions.parse(sdp, max_bytes=limits.sdp_bytes, max_sections=limits.sdp_sections)

    async def offer(
        self, target: Target, sdp: str, *, mid_to_track: Mapping[str, str] | None = None
    ) -> Answer:
        """All of an offer is looked at before anything is changed."""
        try:
            return self._offer(target, sdp)
        except EngineError as error:
            raise _unavailable(error) from error

    def _offer(self, target: Target, sdp: str) -> Answer:
        connection = self._connection(target)
        if target is Target.SUBSCRIBER:
            raise ClientError(
                Code.TARGET_UNKNOWN, 400, "the subscriber connection is ours to offer"
            )
        offer = self._parse(sdp)
        remote = remote_of(offer, answering=False)
        connection.check_remote(remote)
        receiving: dict[str, Receiving] = self.publishing.plan(offer)
        sending: dict[str, Sending] = {}
        if self._single is not None and self._options.can_subscribe:
            sending = self._single.plan(offer, receiving)
        if connection.restarts(remote):
            connection.restart_ice()
        plan: dict[str, Receiving | Sending] = {**receiving, **sending}
        answer = write_answer(offer, connection.local(), plan, client=remote.client)
        connection.candidates.extend(offer.candidates)
        data = next((s for s in offer.sections if s.is_data), None)
        connection.apply_remote(remote, data if self._options.data_channels else None)
        self.publishing.commit(receiving, offer)
        if self._single is not None and self._options.can_subscribe:
            self._single.commit(offer, sending)
        for section in offer.sections:
            compact(section)
        return Answer(answer, {mid: s.track_id for mid, s in sending.items()})

    async def answer(self, sdp: str, *, offer_id: int = 0) -> None:
        connection = self._connection(Target.SUBSCRIBER)
        if self._dual is None:
            raise ClientError(Code.TARGET_UNKNOWN, 400, "there is no subscriber connection")
        answer = self._parse(sdp)
        try:
            self._dual.answer(answer, offer_id)
        except EngineError as error:
            raise _unavailable(error) from error
        connection.candidates.extend(answer.candidates)

    def candidate(self, target: Target, candidate: str) -> None:
        """Never an error: an ICE-lite agent needs none, so it is validated and counted."""
        connection = self.connections.get(target)
        if connection is None or not connection.candidates.add(candidate):
            self._context.drops["candidate_ignored"] += 1

    def declare_track(self, spec: TrackSpec) -> None:
        self._connection(Target.PUBLISHER)
        self.publishing.declare(spec)

    def remove_track(self, track_id: str) -> None:
        self.publishing.remove(track_id)

    def set_muted(self, track_id: str, muted: bool) -> None:
        self.publishing.set_muted(track_id, muted)

    def _subscriptions(self) -> Subscribing:
        self._connection(Target.PUBLISHER)
        subscribing = self.subscribing
        if subscribing is None or not self._options.can_subscribe:
            raise ClientError(Code.TARGET_UNKNOWN, 403, "the participant may not subscribe")
        return subscribing

    def subscribe(self, track_id: str, settings: SubscribeSettings) -> None:
        self._subscriptions().subscribe(track_id, settings)

    def update_subscription(self, track_id: str, settings: SubscribeSettings) -> None:
        self._subscriptions().update(track_id, settings)

    def unsubscribe(self, track_id: str) -> None:
        if self.subscribing is not None:
            self.subscribing.unsubscribe(track_id)

    def cap(self, bitrate: int) -> None:
        sends = self.connections.get(Target.SUBSCRIBER) or self._connection(Target.PUBLISHER)
        try:
            self._context.engine.cap_transport(sends.transport, bitrate)
        except EngineError as error:
            raise _unavailable(error) from error

    def restart_ice(self, target: Target) -> None:
        """DUAL subscriber: offer new credentials. Elsewhere the client restarts."""
        connection = self._connection(target)
        if target is Target.SUBSCRIBER and self._dual is not None:
            try:
                connection.restart_ice()
            except EngineError as error:
                raise _unavailable(error) from error
            self._dual.restart()
        elif self._single is not None:
            self._single.ask_again()

    def negotiate(self) -> None:
        if self._dual is not None:
            self._dual.negotiate()

    def send(self, channel: Channel, payload: bytes) -> bool:
        """On the subscriber connection of DUAL when there is one, else where the client offered."""
        connection = self.connections.get(Target.SUBSCRIBER) or self.connections[Target.PUBLISHER]
        if self._closed or connection.state in ENDED:
            if channel is Channel.RELIABLE:
                raise Unavailable(Code.CHANNEL_CLOSED, "the participant has left", retry=False)
            return False
        return connection.data.send(channel, payload)

    def idle(self, seconds: float) -> None:
        self.listener.on_idle(seconds)

    def stats(self) -> ParticipantStats:
        return participant_stats(
            self._participant_id,
            self.connections,
            self.publishing.tracks(),
            self.subscribing.subscriptions() if self.subscribing is not None else (),
            self._snapshot(),
        )

    def last_packet_age(self) -> float:
        snapshot = self._snapshot()
        ages = [snapshot.last_receive_age(c.transport) for c in self.connections.values()]
        return min(ages, default=math.inf)

    @property
    def connected(self) -> bool:
        return any(c.state is ConnectionState.CONNECTED for c in self.connections.values())

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.publishing.close()
        if self.subscribing is not None:
            self.subscribing.close()
        for connection in self.connections.values():
            self._context.transports.pop(connection.transport, None)
        self._on_closed(self)
        await asyncio.gather(*(c.close() for c in self.connections.values()))


def _unavailable(error: EngineError) -> Unavailable:
    """The engine is full or closing; what was committed until then stands."""
    return Unavailable(Code.ENGINE_FAILED, str(error), retry=True)
