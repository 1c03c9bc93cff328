"""End to end over loopback with aiortc as the client: media, data, both modes, a real engine."""

import asyncio

from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame

from mediaserver.api import Channel, Kind, Mode, SubscribeSettings
from tests.mediaserver.clients import Client, answer_offer, media_server
from tests.mediaserver.fakes import HeardCall


async def test_audio_and_video_are_published_and_received() -> None:
    async with media_server() as server, asyncio.timeout(30):
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
    async with media_server() as server, asyncio.timeout(30):
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
    async with media_server() as server, asyncio.timeout(30):
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
