"""End to end over loopback with aiortc as the client: media, data, both modes, a real engine."""

import asyncio
import re
from typing import Any, cast

from aiortc import RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame

from mediaserver.api import Channel, Kind, MediaLimits, Mode, SubscribeSettings, Target
from mediaserver.engine_types import LocalIce
from mediaserver.ports import Engine
from tests.mediaserver.clients import Client, answer_offer, media_server
from tests.mediaserver.fakes import HeardCall


async def test_audio_and_video_are_published_and_received() -> None:
    async with media_server() as server, asyncio.timeout(120):
        call = server.call("RM_e", HeardCall())
        sender = Client(call, "PA_sender")
        sender.publish(AudioStreamTrack(), "TR_a")
        sender.publish(VideoStreamTrack(), "TR_v")
        await sender.negotiate()
        await sender.connected()
        receiver = Client(call, "PA_receiver")
        receiver.receive(Kind.AUDIO)
        receiver.receive(Kind.VIDEO)
        receiver.participant.subscribe("TR_a", SubscribeSettings())
        receiver.participant.subscribe("TR_v", SubscribeSettings())
        assert set((await receiver.negotiate()).values()) == {"TR_a", "TR_v"}
        await receiver.connected()
        frames = [await track.recv() for track in receiver.tracks for _ in range(5)]
        assert any(isinstance(f, VideoFrame) and f.width == 640 for f in frames)
        assert any(isinstance(f, AudioFrame) for f in frames)
        await sender.close()
        await receiver.close()


async def test_data_goes_both_ways_on_channels_of_the_client() -> None:
    async with media_server() as server, asyncio.timeout(120):
        client = Client(server.call("RM_e", HeardCall()), "PA_data")
        client.create_channels()
        await client.negotiate()
        client.participant.send(Channel.RELIABLE, b"before it is open")
        await client.connected()
        assert await client.messages.get() == ("_reliable", b"before it is open")
        (await client.open("_reliable")).send(b"up")
        (await client.open("_lossy")).send(b"lossy up")
        await client.heard.event("data", 2)
        assert {t[1:] for t in client.heard.named("data")} == {
            (Channel.RELIABLE, b"up"),
            (Channel.LOSSY, b"lossy up"),
        }
        assert client.participant.send(Channel.LOSSY, b"lossy down")
        assert await client.messages.get() == ("_lossy", b"lossy down")
        big = bytes(200_000)
        client.participant.send(Channel.RELIABLE, big)
        assert await client.messages.get() == ("_reliable", big)
        await client.close()


async def test_dual_subscriber_is_offered_data_and_media() -> None:
    async with media_server() as server, asyncio.timeout(120):
        call = server.call("RM_e", HeardCall())
        sender = Client(call, "PA_sender")
        sender.publish(VideoStreamTrack(), "TR_v")
        await sender.negotiate()
        receiver = Client(call, "PA_receiver", Mode.DUAL)
        receiver.participant.subscribe("TR_v", SubscribeSettings())
        await receiver.heard.event("offer")
        await answer_offer(receiver)
        await receiver.connected()
        frame = await receiver.tracks[0].recv()
        assert isinstance(frame, VideoFrame)
        receiver.participant.send(Channel.RELIABLE, b"hello")
        assert await receiver.messages.get() == ("_reliable", b"hello")
        await sender.close()
        await receiver.close()


class Spread:
    """The engine, with one worker after the other for new transports instead of one for a call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.workers_used: list[int] = []

    def create_transport(self, call: int, worker: int | None = None) -> LocalIce:
        ice = self._engine.create_transport(call, len(self.workers_used) % 2)
        self.workers_used.append(ice.worker)
        return ice

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


async def test_workers_hand_media_to_each_other() -> None:
    async with media_server(workers=2) as server, asyncio.timeout(120):
        spread = Spread(server._context.engine)
        server._context.engine = cast(Engine, spread)
        call = server.call("RM_e", HeardCall())
        sender = Client(call, "PA_sender")
        sender.publish(VideoStreamTrack(), "TR_v")
        await sender.negotiate()
        receivers = [Client(call, f"PA_{n}") for n in range(2)]
        for receiver in receivers:
            receiver.receive(Kind.VIDEO)
            receiver.participant.subscribe("TR_v", SubscribeSettings())
            await receiver.negotiate()
        frames = [await receiver.tracks[0].recv() for receiver in receivers]
        assert all(isinstance(frame, VideoFrame) for frame in frames)
        assert spread.workers_used == [0, 1, 0]
        for client in (sender, *receivers):
            await client.close()


async def test_client_that_closes_is_gone_at_once() -> None:
    async with media_server() as server, asyncio.timeout(120):
        client = Client(server.call("RM_e", HeardCall()), "PA_x")
        client.create_channels()
        await client.negotiate()
        await client.connected()
        await client.open("_reliable")
        await client.pc.close()
        assert await client.heard.event("failed") == ("failed", Target.PUBLISHER, "peer_closed")
        await client.close()


async def test_wrong_fingerprint_never_connects() -> None:
    async with media_server() as server, asyncio.timeout(120):
        client = Client(server.call("RM_e", HeardCall()), "PA_x")
        client.create_channels()
        await client.pc.setLocalDescription(await client.pc.createOffer())
        sdp = re.sub(r"sha-256 ..", "sha-256 00", client.pc.localDescription.sdp)
        answer = await client.participant.offer(Target.PUBLISHER, sdp)
        await client.pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        failed = await client.heard.event("failed")
        assert failed == ("failed", Target.PUBLISHER, "dtls_fingerprint")
        assert client.heard.named("connected") == []
        await client.close()


async def test_handshake_that_never_comes_is_given_up() -> None:
    limits = MediaLimits(handshake_seconds=0.1)
    async with media_server(limits=limits) as server, asyncio.timeout(120):
        client = Client(server.call("RM_e", HeardCall()), "PA_x")
        client.create_channels()
        await client.pc.setLocalDescription(await client.pc.createOffer())
        await client.participant.offer(Target.PUBLISHER, client.pc.localDescription.sdp)
        assert (await client.heard.event("failed"))[2] == "ice_timeout"
        await client.close()


async def test_statistics_of_a_running_call() -> None:
    async with media_server() as server, asyncio.timeout(120):
        sender = Client(server.call("RM_e", HeardCall()), "PA_sender")
        sender.publish(VideoStreamTrack(), "TR_v")
        await sender.negotiate()
        await sender.connected()
        stats = sender.participant.stats()
        while not stats.published[0].packets:
            await asyncio.sleep(0.1)
            stats = sender.participant.stats()
        assert stats.transports[0].connected
        assert stats.transports[0].protocol == "udp"
        assert stats.transports[0].srtp_profile == "AEAD_AES_128_GCM"
        assert sender.participant.last_packet_age() < 30
        assert server.stats().packets_in > 0
        await sender.close()
