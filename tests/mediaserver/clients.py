"""A real full-ICE client, aiortc's RTCPeerConnection, at a real media server over loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from mediaserver.api import (
    CallMedia,
    Kind,
    MediaConfig,
    MediaLimits,
    Mode,
    ParticipantMedia,
    ParticipantOptions,
    Target,
    TrackSpec,
)
from mediaserver.node import MediaServer
from tests.mediaserver.fakes import LIMITS, OPTIONS, Heard


@asynccontextmanager
async def media_server(
    *, workers: int = 1, tcp: bool = False, limits: MediaLimits = LIMITS
) -> AsyncIterator[MediaServer]:
    """On loopback with ports of its own."""
    config = MediaConfig(
        udp_port=0,
        tcp_port=0 if tcp else None,
        bind=("127.0.0.1",),
        advertise=("127.0.0.1",),
        advertise_loopback=True,
        workers=workers,
        limits=limits,
    )
    server = await MediaServer.start(config)
    try:
        yield server
    finally:
        await server.stop()


class Client:
    """One aiortc peer connection that offers (SINGLE), and the participant behind it."""

    def __init__(
        self,
        call: CallMedia,
        participant_id: str,
        mode: Mode = Mode.SINGLE,
        options: ParticipantOptions = OPTIONS,
    ) -> None:
        self.heard = Heard()
        self.participant: ParticipantMedia = call.add_participant(
            participant_id, mode, self.heard, options
        )
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks: list[MediaStreamTrack] = []
        self.channels: dict[str, RTCDataChannel] = {}
        self.messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.pc.on("track", self.tracks.append)
        self.pc.on("datachannel", self._channel)

    def _channel(self, channel: RTCDataChannel) -> None:
        self.channels[channel.label] = channel
        channel.on("message", lambda m: self.messages.put_nowait((channel.label, m)))

    def create_channels(self) -> None:
        self._channel(self.pc.createDataChannel("_reliable"))
        self._channel(self.pc.createDataChannel("_lossy", ordered=False, maxRetransmits=0))

    def publish(self, track: MediaStreamTrack, track_id: str) -> None:
        self.pc.addTrack(track)
        self.participant.declare_track(TrackSpec(track_id, track.id, Kind(track.kind)))

    def receive(self, kind: Kind, count: int = 1) -> None:
        for _ in range(count):
            self.pc.addTransceiver(kind.value, direction="recvonly")

    async def negotiate(self) -> dict[str, str]:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer = await self.participant.offer(Target.PUBLISHER, self.pc.localDescription.sdp)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        return dict(answer.mid_to_track)

    async def connected(self) -> None:
        async with asyncio.timeout(60):
            await self.heard.event("connected")

    async def open(self, label: str) -> RTCDataChannel:
        channel = self.channels[label]
        opened = asyncio.Event()
        channel.on("open", opened.set)
        if channel.readyState != "open":
            await opened.wait()
        return channel

    async def close(self) -> None:
        await self.pc.close()
        await self.participant.close()


async def answer_offer(client: Client) -> None:
    """DUAL: answer the newest subscriber offer on the client's connection."""
    offer = client.heard.named("offer")[-1][1]
    await client.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
    await client.pc.setLocalDescription(await client.pc.createAnswer())
    await client.participant.answer(client.pc.localDescription.sdp, offer_id=offer.offer_id)
