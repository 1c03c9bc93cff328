"""Data channels of one connection: the engine's SCTP association inside aiortc's DTLS.

Carries LiveKit's `_reliable`, `_lossy` and `_data_track` and knows nothing of what is in them. The
association (`_engine.DataTransport`) checks every packet and bounds window, message, streams and
labels; it stands here in aiortc's place because a message costs a fifth of the CPU. What waits for
a peer that does not drain is bounded here. Made and closed by `participant/connection.py`.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mediaserver.api import Channel
from mediaserver.errors import ClientError, Code, Unavailable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DataLimits:
    message_bytes: int = 256 * 1024
    channels: int = 16
    send_buffer_bytes: int = 4 * 1024 * 1024
    lossy_buffer_bytes: int = 256 * 1024
    receive_window_bytes: int = 1024 * 1024


class DataEvent(Protocol):
    """See `_engine.pyi`."""

    @property
    def kind(self) -> str: ...
    @property
    def stream(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def data(self) -> bytes | None: ...
    @property
    def reason(self) -> str: ...


class Association(Protocol):
    """The engine's SCTP association, or a test's."""

    def receive(self, packet: bytes) -> bool: ...
    def open(
        self, label: str, ordered: bool = True, max_retransmits: int | None = None
    ) -> int | None: ...
    def send(self, stream: int, data: bytes, binary: bool = True) -> bool: ...
    def transmit(self) -> Sequence[bytes]: ...
    def events(self) -> Sequence[DataEvent]: ...
    def next_timer(self) -> float | None: ...
    def timer(self) -> None: ...
    def buffered(self) -> int: ...
    def close(self) -> None: ...


class Records(Protocol):
    """What DTLS offers to SCTP."""

    def send_records(self, packets: Sequence[bytes]) -> None: ...


# (dtls_server, limits) to a new association.
MakeAssociation = Callable[[bool, DataLimits], Association]


class Freshness:
    """How much may wait before a lossy message would be stale: what drains in `STALE_AFTER_S`.

    The rate is what left the buffer in the last stretch of at least `MEASURE_S`; a channel that is
    seldom used has measured little, so there is a floor that holds a burst of small messages.
    """

    STALE_AFTER_S = 0.2
    MEASURE_S = 0.25
    FLOOR = 32 * 1024

    def __init__(self, ceiling: int) -> None:
        self._ceiling = max(ceiling, 1)
        self._sent = 0
        self._since: tuple[float, int] | None = None
        self._rate = 0.0

    def sent(self, size: int) -> None:
        self._sent += size

    def limit(self, now: float, buffered: int) -> float:
        left = self._sent - buffered
        if self._since is None:
            self._since = (now, left)
        elif now - self._since[0] >= self.MEASURE_S:
            self._rate = max(0.0, (left - self._since[1]) / (now - self._since[0]))
            self._since = (now, left)
        return min(self._ceiling, max(self.FLOOR, self._rate * self.STALE_AFTER_S))


class DataChannels:
    """The channels of one connection by LiveKit's labels.

    `start` makes the association; with `create` we make the channels (subscriber connection of
    DUAL), otherwise the client does. A label opened twice: the newest is sent on. Everything
    received and everything sent in one turn of the loop leaves in one flush.
    """

    def __init__(
        self,
        limits: DataLimits,
        make: MakeAssociation,
        on_message: Callable[[Channel, bytes], None],
        *,
        create: bool,
    ) -> None:
        self._limits = limits
        self._make = make
        self._on_message = on_message
        self._create = create
        self._association: Association | None = None
        self._dtls: Records | None = None
        self._streams: dict[Channel, int] = {}
        self._labels: dict[int, Channel] = {}
        self._early: deque[bytes] = deque()
        self._early_bytes = 0
        self._remote_limit = 65536
        self._fresh = Freshness(limits.lossy_buffer_bytes)
        self._lost = False
        self._loop = asyncio.get_running_loop()
        self._flushing: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.drops: Counter[str] = Counter()

    def start(self, dtls: Records, *, dtls_server: bool, remote_limit: int) -> None:
        """`remote_limit`: the peer's max-message-size, 0 is unlimited (RFC 8841 section 6)."""
        if self._association is not None:
            return
        self._remote_limit = remote_limit
        self._dtls = dtls
        association = self._association = self._make(dtls_server, self._limits)
        if self._create:
            for label in Channel:
                reliable = label is Channel.RELIABLE
                association.open(label.value, reliable, None if reliable else 0)
        self._schedule()

    def receive(self, packet: bytes) -> None:
        """One SCTP packet, decrypted."""
        if self._association is None or self._lost:
            self.drops["sctp_early"] += 1
        elif not self._association.receive(packet):
            self.drops["sctp_malformed"] += 1
        else:
            self._schedule()

    def _schedule(self) -> None:
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = None
        association = self._association
        if association is None or self._dtls is None:
            return
        for event in association.events():
            try:
                self._event(event)
            except Exception:
                # A listener's bug costs its message, not those behind it.
                logger.exception("a data channel event could not be handled")
        packets = association.transmit()
        if packets:
            self._dtls.send_records(packets)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait = None if self._lost else association.next_timer()
        if wait is not None:
            self._timer = self._loop.call_later(wait, self._expired)

    def _expired(self) -> None:
        self._timer = None
        if self._association is not None:
            self._association.timer()
            self._flush()

    def _event(self, event: DataEvent) -> None:
        if event.kind == "received":
            label = self._labels.get(event.stream)
            if label is None:
                self.drops["channel_unknown"] += 1
            else:
                self._on_message(label, event.data or b"")
        elif event.kind == "opened":
            self._opened(event.stream, event.label)
        elif event.kind == "closed":
            closed = self._labels.pop(event.stream, None)
            if closed is not None and self._streams.get(closed) == event.stream:
                del self._streams[closed]
        elif event.kind == "lost":
            self._lost = True
            self.drops["sctp_lost"] += 1

    def _opened(self, stream: int, name: str) -> None:
        try:
            label = Channel(name)
        except ValueError:
            return  # a channel of the application's own: nobody to relay it to
        self._streams[label] = stream
        self._labels[stream] = label
        if label is Channel.RELIABLE:
            early, self._early = self._early, deque()
            self._early_bytes = 0
            for payload in early:
                self.send(Channel.RELIABLE, payload)

    def is_open(self, label: Channel) -> bool:
        return label in self._streams and not self._lost

    @property
    def buffered(self) -> int:
        held = self._association.buffered() if self._association is not None else 0
        return self._early_bytes + held

    def send(self, label: Channel, payload: bytes) -> bool:
        """False: lossy and dropped. Reliable waits for its channel to open, within the bound."""
        if len(payload) > self._limits.message_bytes:
            raise ClientError(Code.MESSAGE_TOO_LARGE, 413, "the message is too large")
        reliable = label is Channel.RELIABLE
        stream = self._streams.get(label)
        association = self._association
        if association is None or stream is None or self._lost:
            return self._wait(payload) if reliable else self._drop("channel_not_open")
        if self._remote_limit and len(payload) > self._remote_limit:
            return self._drop("peer_message_size")
        held = association.buffered()
        if not reliable and held > self._fresh.limit(self._loop.time(), held):
            return self._drop("lossy_stale")
        try:
            sent = association.send(stream, payload)
        except ValueError:
            return self._drop("channel_not_open")
        if not sent and reliable:
            raise Unavailable(Code.CHANNEL_FULL, "the peer does not drain", retry=True)
        if not sent:
            return self._drop("lossy_stale")
        self._fresh.sent(len(payload))
        self._schedule()
        return True

    def _wait(self, payload: bytes) -> bool:
        if self._lost:
            raise Unavailable(Code.CHANNEL_CLOSED, "the data channel is closed", retry=False)
        if self._early_bytes + len(payload) > self._limits.send_buffer_bytes:
            raise Unavailable(Code.CHANNEL_FULL, "the data channel is not open", retry=True)
        self._early.append(payload)
        self._early_bytes += len(payload)
        return True

    def _drop(self, reason: str) -> bool:
        self.drops[reason] += 1
        return False

    def close(self) -> None:
        """Say ABORT, so that the peer need not wait for its timers."""
        self._early.clear()
        if self._association is not None and self._dtls is not None and not self._lost:
            self._association.close()
            self._dtls.send_records(self._association.transmit())
        self._lost = True
        self._streams.clear()
        for handle in (self._flushing, self._timer):
            if handle is not None:
                handle.cancel()
        self._flushing = self._timer = None
