"""The values that cross between Python and the engine, as frozen dataclasses.

Pure data: nothing here acts. Commands carry the first half (configuration, specs,
settings) into Rust, which reads them by attribute; the second half (events, `LocalIce`)
is made by Rust. The engine itself is `mediaserver._engine`, which imports this module and
is described by `_engine.pyi`.

Errors: EngineError -- the engine refused; `code` says why
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from mediaserver.api import SharedLimits

CodecName: TypeAlias = Literal["opus", "red", "pcmu", "pcma", "vp8", "h264", "vp9", "av1", "h265"]
ExtensionName: TypeAlias = Literal[
    "mid",
    "rid",
    "rrid",
    "audio_level",
    "abs_send_time",
    "transport_cc",
    "abs_capture_time",
    "orientation",
    "playout_delay",
    "dependency_descriptor",
]
SrtpProfile: TypeAlias = Literal["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES128_CM_SHA1_80"]
Protocol: TypeAlias = Literal["udp", "tcp"]


class EngineErrorCode(StrEnum):
    """Why the engine refused a command."""

    BIND = "bind"  # a socket could not be opened; the message has the address and the reason
    CONFIG = "config"  # a configuration value makes no sense
    ARGUMENT = "argument"  # a spec, key or credential is malformed or out of bounds
    UNKNOWN = "unknown"  # no transport, publication or subscription has this id
    LIMIT = "limit"  # a bound of `EngineConfig` or `EngineLimits` is reached
    BUSY = "busy"  # a worker's command queue is full; try again
    CLOSED = "closed"  # the engine was closed


class EngineError(Exception):
    """The engine refused; raised by Rust only."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = EngineErrorCode(code)


@dataclass(frozen=True, slots=True)
class EngineLimits(SharedLimits):
    """Bounds of the engine. Every queue and table that a stranger can fill has one."""

    publications_per_transport: int = 64
    subscriptions_per_transport: int = 2048
    """Media of one connection: a gallery of some hundred tiles, each in audio and video. A node
    sets both from its `MediaLimits`."""
    events: int = 65_536
    """Events waiting for Python. Beyond it DTLS datagrams and notices are dropped, oldest first,
    and EventsLost says how many; failures and connects are kept."""
    dtls_events_per_transport: int = 64
    """DTLS datagrams of one transport waiting for Python (a whole flight is about ten)."""
    commands: int = 65_536
    """Commands waiting for one worker; full means EngineError(BUSY)."""
    tcp_first_frame_ms: int = 5_000
    """The first frame must be a STUN request within this time (RFC 6544 section 7)."""
    tcp_idle_ms: int = 30_000
    """A connection that neither receives nor drains is cut after this time."""
    tcp_send_buffer: int = 512 * 1024
    """Unsent bytes of one connection; more means a slow reader, whose packets are dropped."""
    tcp_stall_ms: int = 5_000
    """A reader that has not taken a byte for this long is cut."""
    udp_receive_buffer: int = 8 * 1024 * 1024
    """Socket buffers asked of the kernel (SO_RCVBUF, SO_SNDBUF; forced when privileged)."""
    udp_send_buffer: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How to build an engine. Addresses are bound as given; each must be a literal IP."""

    udp_addresses: tuple[str, ...] = ("0.0.0.0", "::")  # noqa: S104 - the default is everywhere
    udp_port: int = 0  # 0: any free port, the same on every address
    tcp_addresses: tuple[str, ...] = ()
    tcp_port: int | None = None  # None: no ICE-TCP; 0: any free port
    workers: int = 0  # 0: one for each core this process may use
    seed: int | None = None  # None: from the system; a number makes tests repeatable
    gso: bool = True
    max_transports: int = 20_000
    max_bitrate_start: int = 1_000_000  # bit/s, the first estimate towards a subscriber
    limits: EngineLimits = field(default_factory=EngineLimits)


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Keys of one transport, from the DTLS exporter (RFC 5764 section 4.2)."""

    profile: SrtpProfile
    local_key: bytes = field(repr=False)
    local_salt: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    remote_salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type as negotiated on one connection."""

    payload_type: int
    name: CodecName
    clock_rate: int
    rtx_payload_type: int | None = None
    nack: bool = False
    pli: bool = False
    fir: bool = False
    remb: bool = False
    transport_cc: bool = False
    fmtp: str = ""


@dataclass(frozen=True, slots=True)
class Encoding:
    """One layer that a publisher sends: by rid, or by SSRC when there is no rid."""

    rid: str | None = None
    ssrc: int | None = None
    rtx_ssrc: int | None = None
    quality: int = 2  # 0 low, 1 medium, 2 high
    width: int = 0
    height: int = 0
    max_bitrate: int = 0  # bit/s, 0: unknown


@dataclass(frozen=True, slots=True)
class PublicationSpec:
    """What arrives on one m-section of a publisher."""

    kind: Literal["audio", "video"]
    mid: str
    codecs: tuple[Codec, ...]
    extensions: dict[str, int]  # ExtensionName to id, as negotiated with the publisher
    encodings: tuple[Encoding, ...]
    svc: bool = False
    screen: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionSpec:
    """How one publication leaves on one m-section of a subscriber."""

    mid: str
    ssrc: int
    rtx_ssrc: int | None
    codecs: tuple[Codec, ...]
    extensions: dict[str, int]


@dataclass(frozen=True, slots=True)
class SubscriptionSettings:
    """What the subscriber wishes for; the allocator may give less."""

    paused: bool = False
    max_spatial: int = 2
    max_temporal: int = 3
    priority: int = 0  # higher is served first


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What all transports of one call share."""

    top_audio: int = 0  # forward only the N loudest; 0: forward all


@dataclass(frozen=True, slots=True)
class LocalIce:
    """Our ICE credentials of one transport. `ufrag` begins with the worker's number."""

    transport: int
    ufrag: str
    pwd: str = field(repr=False)
    worker: int


@dataclass(frozen=True, slots=True)
class DtlsReceived:
    """A DTLS datagram from the validated pair; the only event whose loss DTLS repairs itself."""

    transport: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IceConnected:
    """The first pair was validated and nominated."""

    transport: int
    protocol: Protocol
    remote: str = field(repr=False)  # address:port; never log it


@dataclass(frozen=True, slots=True)
class IcePathChanged:
    """Another pair took over: a new network, a NAT rebinding, an ICE restart."""

    transport: int
    protocol: Protocol
    remote: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransportIdle:
    """Nothing authenticated came from its pair for 4 s; said again at 10 and 30 s."""

    transport: int
    idle_ms: int


@dataclass(frozen=True, slots=True)
class TransportActive:
    """Packets came again after TransportIdle."""

    transport: int


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The transport ended by itself; its publications and subscriptions are gone."""

    transport: int
    reason: str


@dataclass(frozen=True, slots=True)
class EncodingStarted:
    """The first packet of one layer arrived."""

    publication: int
    quality: int
    ssrc: int
    codec: str


@dataclass(frozen=True, slots=True)
class StreamStateChanged:
    """The allocator paused or resumed a subscription."""

    subscription: int
    paused: bool


@dataclass(frozen=True, slots=True)
class LayerChanged:
    """A subscription now forwards this layer."""

    subscription: int
    spatial: int
    temporal: int


@dataclass(frozen=True, slots=True)
class DemandChanged:
    """The highest layer that anybody watches; -1 when nobody does."""

    publication: int
    max_spatial: int


@dataclass(frozen=True, slots=True)
class ActiveSpeakers:
    """(publication, level 0 to 1, active) of a call, at most every 300 ms and on change."""

    call: int
    levels: tuple[tuple[int, float, bool], ...]


@dataclass(frozen=True, slots=True)
class EventsLost:
    """The queue was full; this many events were dropped since the last such event."""

    count: int


Event: TypeAlias = (
    DtlsReceived
    | IceConnected
    | IcePathChanged
    | TransportIdle
    | TransportActive
    | TransportFailed
    | EncodingStarted
    | StreamStateChanged
    | LayerChanged
    | DemandChanged
    | ActiveSpeakers
    | EventsLost
)
