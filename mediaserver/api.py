"""The only face of the media server that others see: types and the interfaces they may call.

Signaling decides who may do what and calls these; `node.py`, `call.py` and `participant/` implement
them in this process. Ids are the caller's strings; nothing here knows accounts, tokens or chat.
Everything runs on one event loop; listeners are called on it and must not block or raise.
Errors are `ClientError` and `Unavailable` of `mediaserver.errors`, re-exported here.
Long because an interface is read as one page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

from mediaserver.errors import ClientError, Code, MediaError, Unavailable

__all__ = [
    "Answer",
    "CallListener",
    "CallMedia",
    "CallOptions",
    "Channel",
    "ClientError",
    "Code",
    "CodecSpec",
    "IceCandidate",
    "Kind",
    "LayerSpec",
    "MediaConfig",
    "MediaError",
    "MediaLimits",
    "MediaServer",
    "Mode",
    "NodeStats",
    "Offer",
    "ParticipantListener",
    "ParticipantMedia",
    "ParticipantOptions",
    "ParticipantStats",
    "Published",
    "PublishedCodec",
    "SharedLimits",
    "SubscribeSettings",
    "Target",
    "TrackSpec",
    "TrackStats",
    "TransportStats",
    "Unavailable",
]


class Mode(Enum):
    """How many peer connections a participant has."""

    SINGLE = "single"
    """One, always offered by the client (`/rtc/v1`, WHIP, WHEP)."""
    DUAL = "dual"
    """A publisher offered by the client and a subscriber offered by us (`/rtc`)."""


class Target(Enum):
    """Which peer connection. SINGLE has only PUBLISHER."""

    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


class Kind(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"


class Channel(Enum):
    """A data channel by LiveKit's label."""

    RELIABLE = "_reliable"
    LOSSY = "_lossy"
    DATA_TRACK = "_data_track"


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One simulcast layer as the client announced it; `quality` 0 low, 1 medium, 2 high."""

    quality: int
    rid: str = ""
    width: int = 0
    height: int = 0
    bitrate: int = 0
    ssrc: int = 0


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """One codec of a track and the client id of the section that carries it (backup codecs)."""

    mime: str
    cid: str


@dataclass(frozen=True, slots=True)
class TrackSpec:
    """A track that a participant has announced and will offer; matched by cid or by codec cids."""

    track_id: str
    cid: str
    kind: Kind
    screen: bool = False
    codecs: tuple[CodecSpec, ...] = ()
    layers: tuple[LayerSpec, ...] = ()
    red: bool = True
    stereo: bool = False
    dtx: bool = True
    priority: int = 0
    muted: bool = False
    stream: str = ""
    """Subscribers see tracks of one participant with the same stream name as one MediaStream."""


@dataclass(frozen=True, slots=True)
class SubscribeSettings:
    """What a subscriber wants of a track. width, height and fps of 0 mean no bound."""

    paused: bool = False
    max_quality: int = 2
    width: int = 0
    height: int = 0
    fps: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    sdp: str
    mid_to_track: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Offer:
    """Our subscriber offer. `offer_id` counts from 1; pass it back with the answer."""

    sdp: str
    mid_to_track: Mapping[str, str]
    offer_id: int = 0


@dataclass(frozen=True, slots=True)
class PublishedCodec:
    """One codec of a published track; `cid` is the client's id of the section it came from."""

    mime: str
    mid: str
    cid: str
    layers: tuple[LayerSpec, ...] = ()
    svc: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """Media of a declared track was negotiated. Sent again when a backup codec joins."""

    track_id: str
    mid: str
    codecs: tuple[PublishedCodec, ...]
    kind: Kind = Kind.VIDEO
    layers: tuple[LayerSpec, ...] = ()
    red: bool = False
    stereo: bool = False
    dtx: bool = False


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """An address that we advertise. `protocol` is "udp" or "tcp" (passive)."""

    protocol: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class TrackStats:
    """Counters of one publication or subscription since it began; `rtt_ms` 0 when unknown."""

    track_id: str
    kind: Kind
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    nacks: int = 0
    plis: int = 0
    bitrate: int = 0
    layer: int = -1
    paused: bool = False


@dataclass(frozen=True, slots=True)
class TransportStats:
    target: Target
    connected: bool
    protocol: str = ""
    rtt_ms: float = 0.0
    estimate_bps: int = 0
    srtp_profile: str = ""
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParticipantStats:
    participant_id: str
    transports: tuple[TransportStats, ...]
    published: tuple[TrackStats, ...]
    subscribed: tuple[TrackStats, ...]
    candidates_kept: int = 0
    candidates_ignored: int = 0


@dataclass(frozen=True, slots=True)
class NodeStats:
    """Totals of this node; `drops` by reason, engine and Python together."""

    calls: int
    participants: int
    publications: int
    subscriptions: int
    transports: int
    handshakes_waiting: int
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int
    events_lost: int
    drops: Mapping[str, int]
    workers: tuple[Mapping[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """Bounds that a node is given by its configuration and gives to its engine as they are."""

    packets_per_second: int = 8_000
    """RTP and RTCP of one connection, sustained; beyond it counted drops."""
    dtls_per_second: int = 4_000
    """DTLS datagrams of one connection: handshakes, and data channels (about 35 Mbit/s)."""
    keyframe_interval_ms: int = 500
    """The shortest time between two keyframe requests to one layer of a publisher."""
    keyframes_per_second: int = 2
    """Keyframe requests that one subscriber may cause."""
    repair_percent: int = 25
    """Answers to NACK, of a stream's bytes; a path that loses many packets gets up to 60."""
    repair_bitrate: int = 3_000_000
    """Answers to NACK on one connection, bit/s, whatever its client says of its losses."""
    tcp_connections: int = 4096
    """ICE-TCP, of the whole node ..."""
    tcp_connections_per_address: int = 256
    """... and of one address: a company behind one may bring a few hundred people."""


@dataclass(frozen=True, slots=True)
class MediaLimits(SharedLimits):
    """Bounds on what one client may make us hold. All are per participant unless said."""

    sdp_bytes: int = 1_000_000
    """One session description."""
    sdp_sections: int = 500
    """Media sections of one session description."""
    candidates: int = 30
    """Remote candidates that are kept of one transport; others are counted."""
    tracks: int = 200
    """Tracks that one participant publishes, their layers not counted."""
    subscriptions: int = 2000
    """Tracks that one participant receives."""
    participants_per_call: int = 5000
    """Of one call; beyond it joining is refused."""
    participants: int = 20_000
    """Of the whole node."""
    message_bytes: int = 256 * 1024
    """One message of a data channel (SCTP); a longer one closes the channel."""
    channels: int = 16
    """Data channels of one connection."""
    send_buffer_bytes: int = 4 * 1024 * 1024
    """Reliable data waiting for a peer that does not drain; beyond it `Unavailable`."""
    lossy_buffer_bytes: int = 256 * 1024
    """Lossy data beyond it is dropped: stale by the time it would arrive."""
    receive_window_bytes: int = 1024 * 1024
    """What SCTP lets one peer send before we have read it."""
    handshake_steps: int = 2
    """Of the whole node, DTLS handshake steps in one turn of the loop (each up to 1 ms)."""
    handshake_seconds: float = 30.0
    """A connection whose DTLS handshake is not done by then is closed."""


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Where media is received and what is advertised. Port 0 takes any free port."""

    udp_port: int = 7882
    tcp_port: int | None = 7881
    bind: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104 - media listens everywhere by design
    advertise: tuple[str, ...] = ()
    """Addresses that clients are told. Empty: detected from the interfaces."""
    advertise_loopback: bool = False
    """Also offer loopback (development)."""
    workers: int = 0
    """Engine threads; 0 is one per core."""
    gso: bool = True
    limits: MediaLimits = MediaLimits()


@dataclass(frozen=True, slots=True)
class CallOptions:
    """`top_audio` 0 forwards every speaker, N only the N loudest."""

    top_audio: int = 0


@dataclass(frozen=True, slots=True)
class ParticipantOptions:
    """What signaling grants one participant."""

    can_subscribe: bool = True
    """DUAL without it: no subscriber connection; data goes down the publisher connection."""
    data_channels: bool = True
    auto_declare: bool = False
    """WHIP: every offered sending section becomes a track without `declare_track`; the first
    takes the first of `auto_track_ids`, and so on; sections beyond them are refused."""
    auto_track_ids: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    """Mime types that may be published, lower case; empty allows all that we know."""


class ParticipantListener(Protocol):
    """Implemented by signaling, one for each participant."""

    def on_connected(self, target: Target) -> None: ...
    def on_failed(self, target: Target, reason: str) -> None: ...
    def on_idle(self, seconds: float) -> None: ...
    def on_active(self) -> None: ...
    def on_offer(self, offer: Offer) -> None: ...
    def on_sections_needed(self, audio: int, video: int) -> None: ...
    def on_published(self, published: Published) -> None: ...
    def on_unpublished(self, track_id: str) -> None:
        """The client stopped offering the track (its only way to unpublish)."""
        ...

    def on_publish_refused(self, track_id: str, reason: str) -> None:
        """A declared track was offered and the engine did not take it; it is gone."""
        ...

    def on_data(self, channel: Channel, payload: bytes) -> None: ...
    def on_stream_state(self, states: Sequence[tuple[str, bool]]) -> None: ...
    def on_subscribed(self, track_id: str) -> None: ...
    def on_subscription_failed(self, track_id: str, reason: str) -> None: ...
    def on_demand(
        self, track_id: str, qualities: Sequence[tuple[str, Sequence[tuple[int, bool]]]]
    ) -> None: ...


class CallListener(Protocol):
    """Implemented by signaling, one for each call."""

    def on_speakers(self, levels: Sequence[tuple[str, str, float, bool]]) -> None:
        """(participant id, track id, level 0 to 1, active)."""

    def on_quality(self, quality: Sequence[tuple[str, int, float]]) -> None:
        """(participant id, 0 poor 1 good 2 excellent 3 lost, score 0 to 5)."""


class ParticipantMedia(Protocol):
    """One device in a call. Ends by `close`, which is idempotent."""

    @property
    def participant_id(self) -> str: ...
    async def offer(
        self, target: Target, sdp: str, *, mid_to_track: Mapping[str, str] | None = None
    ) -> Answer:
        """The client's offer. Raises ClientError; the state before it then stands."""
        ...

    async def answer(self, sdp: str, *, offer_id: int = 0) -> None:
        """DUAL: the client's answer. One to an older offer is ignored; 0 means the newest."""
        ...

    def candidate(self, target: Target, candidate: str) -> None: ...
    def declare_track(self, spec: TrackSpec) -> None: ...
    def remove_track(self, track_id: str) -> None: ...
    def set_muted(self, track_id: str, muted: bool) -> None: ...
    def subscribe(self, track_id: str, settings: SubscribeSettings) -> None: ...
    def update_subscription(self, track_id: str, settings: SubscribeSettings) -> None: ...
    def unsubscribe(self, track_id: str) -> None: ...
    def cap(self, bitrate: int) -> None:
        """Send at most so many bit/s of what it subscribed to; 0: as the path takes."""
        ...

    def restart_ice(self, target: Target) -> None: ...
    def negotiate(self) -> None:
        """DUAL: make the first subscriber offer (data channels) without waiting for a track."""
        ...

    def send(self, channel: Channel, payload: bytes) -> bool:
        """False: a lossy message was dropped. A reliable one raises Unavailable instead."""
        ...

    def stats(self) -> ParticipantStats: ...
    def last_packet_age(self) -> float:
        """Seconds since something authentic came from its ICE pair; infinite before the first."""
        ...

    async def close(self) -> None: ...


class CallMedia(Protocol):
    """One call on this node."""

    @property
    def call_id(self) -> str: ...
    def add_participant(
        self,
        participant_id: str,
        mode: Mode,
        listener: ParticipantListener,
        options: ParticipantOptions = ...,
    ) -> ParticipantMedia: ...
    def set_options(self, options: CallOptions) -> None: ...
    def forward(self, track_id: str, to: "CallMedia") -> None:
        """Who is in the call `to` may subscribe to this published track too, by the same id.

        Ends with the track or by `stop_forwarding`. Raises ClientError.
        """
        ...

    def stop_forwarding(self, track_id: str, to: "CallMedia") -> None: ...
    async def close(self) -> None: ...


class MediaServer(Protocol):
    """A media node; `mediaserver.node.MediaServer.start(config)` makes the one in this process."""

    @property
    def udp_port(self) -> int: ...
    @property
    def tcp_port(self) -> int | None: ...
    def call(
        self, call_id: str, listener: CallListener, options: CallOptions = ...
    ) -> CallMedia: ...
    def ice_candidates(self) -> Sequence[IceCandidate]: ...
    async def warm(self) -> None:
        """Does what a start leaves out, once everybody gets in."""

    def stats(self) -> NodeStats: ...
    async def stop(self, drain_s: float = 0.0) -> None: ...
