"""Data channels of one connection: aiortc's SCTP, bounded and checked.

Carries LiveKit's `_reliable`, `_lossy` and `_data_track` and knows nothing of what is in them. No
packet reaches aiortc before `check` found it well formed; what the peer may make us hold (window,
message, streams, labels) and what may wait for a peer that does not drain is bounded here.
Made and closed by `participant/connection.py`; the engine may take its place behind this interface.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from

from aiortc import RTCDataChannel
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import (
    DATA_CHANNEL_ACK,
    DATA_CHANNEL_OPEN,
    SCTP_DATA_LAST_FRAG,
    WEBRTC_BINARY,
    WEBRTC_BINARY_EMPTY,
    WEBRTC_DCEP,
    WEBRTC_STRING,
    WEBRTC_STRING_EMPTY,
    DataChunk,
    RTCSctpCapabilities,
    RTCSctpTransport,
)

from mediaserver.api import Channel
from mediaserver.dtls import DtlsTransport
from mediaserver.errors import ClientError, Code, Unavailable

# Clients use three channels; libwebrtc asks for 1,024 streams.
MAX_STREAMS = 1024
# LiveKit's labels have at most 12 bytes.
MAX_LABEL = 128


@dataclass(frozen=True, slots=True)
class DataLimits:
    message_bytes: int = 256 * 1024
    channels: int = 16
    send_buffer_bytes: int = 4 * 1024 * 1024
    lossy_buffer_bytes: int = 256 * 1024
    receive_window_bytes: int = 1024 * 1024


class SctpTransport(RTCSctpTransport):
    """aiortc's association with bounds. Everything refused is counted in `drops`."""

    def __init__(
        self,
        dtls: DtlsTransport,
        limits: DataLimits,
        check: Callable[[bytes], str | None],
        on_message: Callable[[RTCDataChannel, bytes], None],
        on_channel: Callable[[RTCDataChannel], None],
    ) -> None:
        super().__init__(dtls)
        self._limits = limits
        self._check = check
        self._on_message = on_message
        self._on_channel = on_channel
        self._advertised_rwnd = limits.receive_window_bytes
        self._inbound_streams_max = MAX_STREAMS
        self._outbound_streams_count = MAX_STREAMS
        self._flushing: asyncio.Task[None] | None = None
        self.drops: Counter[str] = Counter()

    async def _handle_data(self, data: bytes) -> None:
        reason = self._check(data)
        if reason is not None:
            self.drops[f"sctp_{reason}"] += 1
            return
        try:
            await super()._handle_data(data)
        except (AssertionError, ValueError, LookupError, TypeError, AttributeError):
            # Well formed but out of order for the association's state: the peer's fault.
            self.drops["sctp_state"] += 1

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        """RFC 9260 section 6.2: beyond our window only the chunk that we wait for is taken."""
        expected = (self._last_received_tsn or 0) + 1 & 0xFFFFFFFF
        if len(chunk.user_data) > self._advertised_rwnd and chunk.tsn != expected:
            self.drops["sctp_window"] += 1
            self._sack_needed = True
            return
        if self._advertised_rwnd < -self._limits.message_bytes:
            await self._give_up("sctp_window_overrun")
            return
        if chunk.stream_id >= self._inbound_streams_count:
            self.drops["sctp_stream"] += 1
            return
        await super()._receive_data_chunk(chunk)
        if not chunk.flags & SCTP_DATA_LAST_FRAG:
            stream = self._inbound_streams.get(chunk.stream_id)
            held = len(stream.reassembly) if stream is not None else 0
            if held * len(chunk.user_data) > 2 * self._limits.message_bytes:
                await self._give_up("sctp_message_size")

    async def _give_up(self, reason: str) -> None:
        """The peer can never complete this message: end the association."""
        self.drops[reason] += 1
        await self._abort()
        self._set_state(self.State.CLOSED)

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        channel = self._data_channels.get(stream_id)
        if pp_id == WEBRTC_DCEP:
            await self._control(stream_id, channel, data)
        elif channel is None:
            self.drops["channel_unknown"] += 1
        elif len(data) > self._limits.message_bytes:
            await self._give_up("sctp_message_size")
        elif pp_id in (WEBRTC_BINARY, WEBRTC_STRING):
            self._on_message(channel, data)
        elif pp_id in (WEBRTC_BINARY_EMPTY, WEBRTC_STRING_EMPTY):
            self._on_message(channel, b"")
        else:
            self.drops["sctp_ppid"] += 1

    async def _control(self, stream_id: int, channel: RTCDataChannel | None, data: bytes) -> None:
        """DCEP (RFC 8832 section 5), its lengths and its text checked before aiortc parses it."""
        if data[:1] == bytes([DATA_CHANNEL_ACK]) and channel is not None:
            await super()._data_channel_receive(stream_id, WEBRTC_DCEP, data)
            return
        if data[:1] != bytes([DATA_CHANNEL_OPEN]) or len(data) < 12 or channel is not None:
            self.drops["dcep_malformed"] += 1
            return
        label, protocol = unpack_from("!HH", data, 8)
        if label > MAX_LABEL or protocol > MAX_LABEL or 12 + label + protocol != len(data):
            self.drops["dcep_malformed"] += 1
            return
        if len(self._data_channels) >= self._limits.channels:
            self.drops["dcep_too_many"] += 1
            return
        try:
            data[12:].decode("utf-8")
            data[12 : 12 + label].decode("utf-8")
        except UnicodeDecodeError:
            self.drops["dcep_malformed"] += 1
            return
        await super()._data_channel_receive(stream_id, WEBRTC_DCEP, data)
        self._on_channel(self._data_channels[stream_id])

    def _data_channel_send(self, channel: RTCDataChannel, data: bytes | str) -> None:
        """Queue, and flush once a turn of the loop: a task for each message costs more than it."""
        payload = data.encode() if isinstance(data, str) else data
        kind = WEBRTC_BINARY if payload else WEBRTC_BINARY_EMPTY
        payload = payload or b"\x00"
        channel._addBufferedAmount(len(payload))
        self._data_channel_queue.append((channel, kind, payload))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.ensure_future(self._data_channel_flush())

    @property
    def remote_limit(self) -> int:
        """The peer's max-message-size; 0 is unlimited (RFC 8841 section 6)."""
        return int(self._remote_max_message_size)


class DataChannels:
    """The channels of one connection by LiveKit's labels.

    `open()` starts the association; with `create` we make the channels (subscriber connection of
    DUAL), otherwise the client does. A label opened twice: the newest is sent on.
    """

    def __init__(
        self,
        limits: DataLimits,
        check: Callable[[bytes], str | None],
        on_message: Callable[[Channel, bytes], None],
        *,
        create: bool,
    ) -> None:
        self._limits = limits
        self._check = check
        self._on_message = on_message
        self._create = create
        self._channels: dict[Channel, RTCDataChannel] = {}
        self._early: deque[bytes] = deque()
        self._early_bytes = 0
        self._sctp: SctpTransport | None = None
        self.drops: Counter[str] = Counter()

    async def open(self, dtls: DtlsTransport, port: int, max_message_size: int) -> None:
        if self._sctp is not None:
            return
        sctp = SctpTransport(dtls, self._limits, self._check, self._received, self._opened)
        sctp.drops = self.drops
        self._sctp = sctp
        await sctp.start(RTCSctpCapabilities(max_message_size), port or 5000)
        if self._create:
            for label in Channel:
                self._make(sctp, label)

    def _make(self, sctp: SctpTransport, label: Channel) -> None:
        reliable = label is Channel.RELIABLE
        channel = RTCDataChannel(
            sctp,
            RTCDataChannelParameters(
                label=label.value,
                ordered=reliable,
                maxRetransmits=None if reliable else 0,
            ),
        )
        self._channels[label] = channel
        channel.on("open", lambda: self._drain(label))

    def _opened(self, channel: RTCDataChannel) -> None:
        try:
            label = Channel(channel.label)
        except ValueError:
            return
        self._channels[label] = channel
        self._drain(label)

    def _received(self, channel: RTCDataChannel, payload: bytes) -> None:
        try:
            label = Channel(channel.label)
        except ValueError:
            self.drops["channel_unknown"] += 1
            return
        self._on_message(label, payload)

    def _drain(self, label: Channel) -> None:
        if label is Channel.RELIABLE:
            self._early_bytes = 0
            while self._early:
                self.send(Channel.RELIABLE, self._early.popleft())

    def is_open(self, label: Channel) -> bool:
        channel = self._channels.get(label)
        return channel is not None and channel.readyState == "open"

    @property
    def buffered(self) -> int:
        return self._early_bytes + sum(c.bufferedAmount for c in self._channels.values())

    def send(self, label: Channel, payload: bytes) -> bool:
        """False: lossy and dropped. Reliable waits for its channel to open, within the bound."""
        if len(payload) > self._limits.message_bytes:
            raise ClientError(Code.MESSAGE_TOO_LARGE, 413, "the message is too large")
        reliable = label is Channel.RELIABLE
        channel = self._channels.get(label)
        ready = channel is not None and channel.readyState == "open"
        if channel is None or not ready:
            return self._wait(payload) if reliable else self._drop("channel_not_open")
        limit = self._limits.send_buffer_bytes if reliable else self._limits.lossy_buffer_bytes
        if channel.bufferedAmount + len(payload) > limit:
            if reliable:
                raise Unavailable(Code.CHANNEL_FULL, "the peer does not drain", retry=True)
            return self._drop("lossy_stale")
        remote = self._sctp.remote_limit if self._sctp is not None else 0
        if remote and len(payload) > remote:
            return self._drop("peer_message_size")
        channel.send(payload)
        return True

    def _wait(self, payload: bytes) -> bool:
        if self._sctp is not None and self._sctp.state == "closed":
            raise Unavailable(Code.CHANNEL_CLOSED, "the data channel is closed", retry=False)
        if self._early_bytes + len(payload) > self._limits.send_buffer_bytes:
            raise Unavailable(Code.CHANNEL_FULL, "the data channel is not open", retry=True)
        self._early.append(payload)
        self._early_bytes += len(payload)
        return True

    def _drop(self, reason: str) -> bool:
        self.drops[reason] += 1
        return False

    async def close(self) -> None:
        self._early.clear()
        if self._sctp is not None:
            await self._sctp.stop()
        self._channels.clear()
