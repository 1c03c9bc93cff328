"""A fake engine that records commands, and listeners that record what they are told."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mediaserver.api import (
    CallOptions,
    Channel,
    IceCandidate,
    MediaConfig,
    MediaLimits,
    Mode,
    Offer,
    ParticipantOptions,
    Published,
    Target,
)
from mediaserver.call import Call
from mediaserver.context import Context
from mediaserver.data_channels import DataLimits
from mediaserver.engine_types import (
    CallSettings,
    EngineError,
    Event,
    LocalIce,
    PublicationSpec,
    SrtpKeys,
    SubscriptionSettings,
    SubscriptionSpec,
)
from mediaserver.handshakes import HandshakeGate
from mediaserver.node import MediaServer
from mediaserver.participant.participant import Participant


@dataclass
class FakeEngine:
    """Hands out ids from 1, remembers everything, refuses when `refuse` names a command."""

    udp_port: int = 7882
    tcp_port: int | None = 7881
    workers: int = 1
    commands: list[tuple[Any, ...]] = field(default_factory=list)
    publications: dict[int, PublicationSpec] = field(default_factory=dict)
    subscriptions: dict[int, tuple[int, int, SubscriptionSpec, SubscriptionSettings]] = field(
        default_factory=dict
    )
    transports: dict[int, LocalIce] = field(default_factory=dict)
    keys: dict[int, SrtpKeys] = field(default_factory=dict)
    waiting: list[Event] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    refuse: str = ""
    _next: int = 0
    _fd: int = -1

    def _id(self) -> int:
        self._next += 1
        return self._next

    def _record(self, *command: Any) -> None:
        if command[0] == self.refuse:
            raise EngineError("limit", "refused by the test")
        self.commands.append(command)

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [c for c in self.commands if c[0] == name]

    def event_fd(self) -> int:
        if self._fd < 0:
            self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return self._fd

    def put(self, *events: Event) -> None:
        self.waiting += events
        os.eventfd_write(self.event_fd(), 1)

    def events(self, limit: int = 1024) -> Sequence[Event]:
        os.eventfd_read(self._fd)
        result, self.waiting = self.waiting[:limit], self.waiting[limit:]
        if self.waiting:
            os.eventfd_write(self._fd, 1)
        return result

    def create_transport(self, call: int, worker: int | None = None) -> LocalIce:
        self._record("create_transport", call)
        number = self._id()
        ice = LocalIce(number, f"00ufrag{number}", "p" * 24, 0)
        self.transports[number] = ice
        return ice

    def set_remote_ice(self, transport: int, ufrag: str, pwd: str) -> None:
        self._record("set_remote_ice", transport, ufrag, pwd)

    def cap_transport(self, transport: int, bitrate: int) -> None:
        self._record("cap_transport", transport, bitrate)

    def restart_ice(self, transport: int) -> LocalIce:
        self._record("restart_ice", transport)
        ice = LocalIce(transport, f"00again{self._id()}", "q" * 24, 0)
        self.transports[transport] = ice
        return ice

    def set_srtp(self, transport: int, keys: SrtpKeys) -> None:
        self.keys[transport] = keys

    def send_dtls(self, transport: int, datagram: bytes) -> None:
        self._record("send_dtls", transport, datagram)

    def close_transport(self, transport: int) -> None:
        self._record("close_transport", transport)
        self.transports.pop(transport, None)

    def publish(self, transport: int, spec: PublicationSpec) -> int:
        self._record("publish", transport, spec)
        number = self._id()
        self.publications[number] = spec
        return number

    def update_publication(self, publication: int, spec: PublicationSpec) -> None:
        self._record("update_publication", publication, spec)
        self.publications[publication] = spec

    def set_publication_muted(self, publication: int, muted: bool) -> None:
        self._record("set_publication_muted", publication, muted)

    def unpublish(self, publication: int) -> None:
        self._record("unpublish", publication)
        self.publications.pop(publication, None)

    def subscribe(
        self,
        transport: int,
        publication: int,
        spec: SubscriptionSpec,
        settings: SubscriptionSettings,
    ) -> int:
        self._record("subscribe", transport, publication, spec, settings)
        number = self._id()
        self.subscriptions[number] = (transport, publication, spec, settings)
        return number

    def update_subscription(self, subscription: int, settings: SubscriptionSettings) -> None:
        self._record("update_subscription", subscription, settings)

    def respec_subscription(self, subscription: int, spec: SubscriptionSpec) -> None:
        self._record("respec_subscription", subscription, spec)

    def unsubscribe(self, subscription: int) -> None:
        self._record("unsubscribe", subscription)
        self.subscriptions.pop(subscription, None)

    def set_call(self, call: int, settings: CallSettings) -> None:
        self._record("set_call", call, settings)

    def snapshot(self) -> bytes:
        return json.dumps(self.data).encode()

    def close(self) -> None:
        self._record("close")
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FakeAssociation:
    """Data channels that open when the test says so and loop nothing."""

    def __init__(self, dtls_server: bool, limits: DataLimits) -> None:
        self.dtls_server = dtls_server
        self.limits = limits
        self.held = 0
        self.happened: list[Happened] = []
        self.opened: list[tuple[str, bool, int | None]] = []
        self.sent: list[tuple[int, bytes]] = []
        self.received: list[bytes] = []
        self.wait: float | None = None
        self.expired = 0
        self.closed = False

    def receive(self, packet: bytes) -> bool:
        self.received.append(packet)
        return packet != b"malformed"

    def open(
        self, label: str, ordered: bool = True, max_retransmits: int | None = None
    ) -> int | None:
        self.opened.append((label, ordered, max_retransmits))
        return len(self.opened)

    def send(self, stream: int, data: bytes, binary: bool = True) -> bool:
        if self.held + len(data) > self.limits.send_buffer_bytes:
            return False
        self.held += len(data)
        self.sent.append((stream, data))
        return True

    def transmit(self) -> Sequence[bytes]:
        return [b"abort"] if self.closed else []

    def events(self) -> "Sequence[Happened]":
        result, self.happened = self.happened, []
        return result

    def next_timer(self) -> float | None:
        return self.wait

    def timer(self) -> None:
        self.expired += 1
        self.wait = None

    def buffered(self) -> int:
        return self.held

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Happened:
    """A data event."""

    kind: str
    stream: int = 0
    label: str = ""
    data: bytes | None = None
    reason: str = ""


class Heard:
    """A participant listener that remembers each call as a tuple."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    async def event(self, name: str, count: int = 1) -> tuple[Any, ...]:
        """Wait until `name` was told `count` times; the last of them."""
        while len(self.named(name)) < count:
            self._told = asyncio.Event()
            await self._told.wait()
        return self.named(name)[-1]

    _told: asyncio.Event | None = None

    def tell(self, *what: Any) -> None:
        self.told.append(what)
        if self._told is not None:
            self._told.set()

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [t for t in self.told if t[0] == name]

    def on_connected(self, target: Target) -> None:
        self.tell("connected", target)

    def on_failed(self, target: Target, reason: str) -> None:
        self.tell("failed", target, reason)

    def on_idle(self, seconds: float) -> None:
        self.tell("idle", seconds)

    def on_active(self) -> None:
        self.tell("active")

    def on_offer(self, offer: Offer) -> None:
        self.tell("offer", offer)

    def on_sections_needed(self, audio: int, video: int) -> None:
        self.tell("sections", audio, video)

    def on_published(self, published: Published) -> None:
        self.tell("published", published)

    def on_unpublished(self, track_id: str) -> None:
        self.tell("unpublished", track_id)

    def on_publish_refused(self, track_id: str, reason: str) -> None:
        self.tell("publish_refused", track_id, reason)

    def on_data(self, channel: Channel, payload: bytes) -> None:
        self.tell("data", channel, payload)

    def on_stream_state(self, states: Sequence[tuple[str, bool]]) -> None:
        self.tell("stream_state", list(states))

    def on_subscribed(self, track_id: str) -> None:
        self.tell("subscribed", track_id)

    def on_subscription_failed(self, track_id: str, reason: str) -> None:
        self.tell("subscription_failed", track_id, reason)

    def on_demand(
        self, track_id: str, qualities: Sequence[tuple[str, Sequence[tuple[int, bool]]]]
    ) -> None:
        self.tell("demand", track_id, qualities)


class HeardCall:
    """A call listener that remembers."""

    def __init__(self) -> None:
        self.speakers: list[Sequence[tuple[str, str, float, bool]]] = []
        self.quality: list[Sequence[tuple[str, int, float]]] = []

    def on_speakers(self, levels: Sequence[tuple[str, str, float, bool]]) -> None:
        self.speakers.append(levels)

    def on_quality(self, quality: Sequence[tuple[str, int, float]]) -> None:
        self.quality.append(quality)


LIMITS = MediaLimits()
OPTIONS = ParticipantOptions()
CANDIDATES = (IceCandidate("udp", "192.0.2.7", 7882), IceCandidate("tcp", "192.0.2.7", 7881))


class House:
    """A media server on a fake engine with one call, and short ways to fill it."""

    def __init__(self, limits: MediaLimits = LIMITS) -> None:
        self.engine = FakeEngine()
        self.context = Context(
            engine=self.engine,
            candidates=CANDIDATES,
            limits=limits,
            gate=HandshakeGate(limits.handshake_steps),
            make_association=FakeAssociation,
        )
        self.server = MediaServer(MediaConfig(), self.context)
        self.listener = HeardCall()
        call = self.server.call("RM_a", self.listener, CallOptions())
        assert isinstance(call, Call)
        self.call = call

    def join(
        self,
        participant_id: str = "PA_a",
        mode: Mode = Mode.SINGLE,
        options: ParticipantOptions = OPTIONS,
    ) -> tuple[Participant, Heard]:
        heard = Heard()
        participant = self.call.add_participant(participant_id, mode, heard, options)
        assert isinstance(participant, Participant)
        return participant, heard
