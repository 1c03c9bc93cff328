"""The native media engine: sockets, worker threads and the sans-IO core (Rust).

Every call returns without waiting for the network and releases the GIL. Ids are made by
the engine and never used twice. Commands to one worker run in the order they were given.
Anything refused raises `mediaserver.engine_types.EngineError`. Ending what has already
ended (`close_transport`, `unpublish`, `unsubscribe`, `close`) is not an error.
"""

from typing import final

from mediaserver.engine_types import (
    CallSettings,
    EngineConfig,
    Event,
    LocalIce,
    PublicationSpec,
    SrtpKeys,
    SubscriptionSettings,
    SubscriptionSpec,
)

__all__ = [
    "DataEvent",
    "DataTransport",
    "Engine",
    "SrtpOracle",
    "check_sctp",
    "source_digest",
]

@final
class Engine:
    """Owns the sockets and threads from construction to `close`; safe from any thread."""

    def __new__(cls, config: EngineConfig) -> Engine: ...
    @property
    def udp_port(self) -> int: ...
    @property
    def tcp_port(self) -> int | None: ...
    @property
    def udp_addresses(self) -> list[str]:
        """What was bound: a wildcard of a family that this host lacks is left out."""

    @property
    def tcp_addresses(self) -> list[str]: ...
    @property
    def workers(self) -> int: ...
    def event_fd(self) -> int:
        """An eventfd, readable while events wait; owned by the engine, never close it."""

    def events(self, limit: int = 1024) -> list[Event]:
        """Take at most `limit` waiting events, oldest first; never blocks."""

    def create_transport(self, call: int, worker: int | None = None) -> LocalIce: ...
    def set_remote_ice(self, transport: int, ufrag: str, pwd: str) -> None: ...
    def restart_ice(self, transport: int) -> LocalIce:
        """New credentials; the old pair and the SRTP context work until a new pair is validated."""

    def set_srtp(self, transport: int, keys: SrtpKeys) -> None: ...
    def send_dtls(self, transport: int, datagram: bytes) -> None:
        """Send on the selected pair; dropped when there is none yet."""

    def cap_transport(self, transport: int, bitrate: int) -> None:
        """Plan at most so many bit/s for its subscriptions; 0: what the path takes."""

    def close_transport(self, transport: int) -> None:
        """Also ends its publications and subscriptions."""

    def publish(self, transport: int, spec: PublicationSpec) -> int: ...
    def update_publication(self, publication: int, spec: PublicationSpec) -> None: ...
    def set_publication_muted(self, publication: int, muted: bool) -> None: ...
    def unpublish(self, publication: int) -> None: ...
    def subscribe(
        self,
        transport: int,
        publication: int,
        spec: SubscriptionSpec,
        settings: SubscriptionSettings,
    ) -> int: ...
    def update_subscription(self, subscription: int, settings: SubscriptionSettings) -> None: ...
    def respec_subscription(self, subscription: int, spec: SubscriptionSpec) -> None: ...
    def unsubscribe(self, subscription: int) -> None: ...
    def set_call(self, call: int, settings: CallSettings) -> None: ...
    def snapshot(self) -> bytes:
        """JSON of counters, transports, publications and subscriptions, at most 1 s old."""

    def close(self) -> None:
        """Stop the threads and close the sockets; idempotent. Later calls raise CLOSED."""

@final
class SrtpOracle:
    """One direction of the engine's SRTP, for the differential test against libsrtp only."""

    def __new__(cls, profile: str, key: bytes, salt: bytes) -> SrtpOracle: ...
    def protect(self, packet: bytes) -> bytes: ...
    def unprotect(self, packet: bytes) -> bytes | None: ...
    def protect_rtcp(self, packet: bytes) -> bytes: ...
    def unprotect_rtcp(self, packet: bytes) -> bytes | None: ...

def check_sctp(packet: bytes) -> str | None:
    """The reason why this SCTP packet must not reach aiortc; None when it is well formed."""

def source_digest() -> str:
    """SHA-256 of the Rust sources and lock file that this module was built from."""

@final
class DataEvent:
    """What happened on an association; `kind` says which of the other fields are set."""

    @property
    def kind(self) -> str:
        """One of "connected", "opened", "received", "closed", "lost"."""

    @property
    def stream(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def ordered(self) -> bool: ...
    @property
    def ours(self) -> bool: ...
    @property
    def binary(self) -> bool: ...
    @property
    def data(self) -> bytes | None: ...
    @property
    def reason(self) -> str: ...

@final
class DataTransport:
    """One SCTP association with its data channels (RFC 8831), which the peer initiates."""

    def __new__(
        cls,
        dtls_server: bool,
        max_message: int = 262_144,
        receive_buffer: int = 1_048_576,
        send_buffer: int = 4_194_304,
        channels: int = 16,
    ) -> DataTransport: ...
    def receive(self, packet: bytes) -> bool:
        """Take one packet from DTLS; False when it was malformed and dropped."""

    def open(
        self, label: str, ordered: bool = True, max_retransmits: int | None = None
    ) -> int | None:
        """Announce a channel; the stream, or None when there are too many."""

    def send(self, stream: int, data: bytes, binary: bool = True) -> bool:
        """Queue one message; False when the peer does not drain.

        Raises ValueError when it is too large or the stream is not open.
        """

    def transmit(self) -> list[bytes]:
        """The packets that wait for DTLS."""

    def events(self) -> list[DataEvent]: ...
    def next_timer(self) -> float | None:
        """Seconds until `timer` wants to be called."""

    def timer(self) -> None: ...
    def buffered(self) -> int:
        """Bytes queued and not yet acknowledged."""

    @property
    def refused(self) -> int: ...
    def close(self) -> None:
        """End the association; an ABORT waits in `transmit`."""
