"""Captures offers of PyPI `livekit` (libwebrtc): python livekit_offers.py OUT_DIR.

Plays just enough of LiveKit's signalling to be sent offers, and answers them with our negotiation
over a real engine, since the client publishes only once it is connected.
"""

import asyncio
import base64
import gzip
import json
import sys
from importlib.metadata import version
from pathlib import Path

from aiohttp import web
from livekit import api, rtc
from livekit.protocol import models
from livekit.protocol import rtc as proto

from mediaserver.api import CodecSpec, Kind, MediaConfig, Mode, Target, TrackSpec
from mediaserver.node import MediaServer
from tests.mediaserver.fakes import Heard, HeardCall

KEY, SECRET = "devkey", "secret-that-is-long-enough-for-hs256"


class Stub:
    """One participant's signalling; keeps every offer by a name."""

    def __init__(self, server: MediaServer, mode: Mode) -> None:
        self.offers: dict[str, str] = {}
        self.mode = mode
        self.heard = Heard()
        call = server.call("RM_x", HeardCall())
        self.participant = call.add_participant(f"PA_{mode.value}", mode, self.heard)
        self.count = 0
        self.enough = asyncio.Event()

    async def answer(self, ws: web.WebSocketResponse, sdp: str, number: int) -> None:
        self.count += 1
        self.offers[f"{self.mode.value}_{self.count}"] = sdp
        answer = await self.participant.offer(Target.PUBLISHER, sdp)
        message = proto.SignalResponse()
        message.answer.type = "answer"
        message.answer.sdp = answer.sdp
        message.answer.id = number
        await ws.send_bytes(message.SerializeToString())
        if "m=video" in sdp and "a=simulcast" in sdp:
            self.enough.set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        join = proto.SignalResponse()
        join.join.room.sid, join.join.room.name = "RM_x", "room"
        join.join.participant.sid, join.join.participant.identity = "PA_x", "me"
        join.join.participant.permission.can_publish = True
        join.join.server_info.version = "1.9.0"
        join.join.server_version = "1.9.0"
        join.join.subscriber_primary = self.mode is Mode.DUAL
        join.join.ping_interval, join.join.ping_timeout = 5, 15
        await ws.send_bytes(join.SerializeToString())
        wrapped = request.query.get("join_request")
        if wrapped:
            envelope = proto.WrappedJoinRequest.FromString(base64.urlsafe_b64decode(wrapped))
            raw = envelope.join_request
            if envelope.compression == proto.WrappedJoinRequest.GZIP:
                raw = gzip.decompress(raw)
            first = proto.JoinRequest.FromString(raw).publisher_offer
            if first.sdp:
                await self.answer(ws, first.sdp, first.id)
        if self.mode is Mode.DUAL:
            self.participant.negotiate()
            await asyncio.sleep(0.05)
            offer = self.heard.named("offer")[0][1]
            message = proto.SignalResponse()
            message.offer.type, message.offer.sdp, message.offer.id = "offer", offer.sdp, 1
            await ws.send_bytes(message.SerializeToString())
        async for frame in ws:
            request_ = proto.SignalRequest.FromString(frame.data)
            kind = request_.WhichOneof("message")
            if kind == "offer":
                await self.answer(ws, request_.offer.sdp, request_.offer.id)
            elif kind == "answer":
                self.offers[f"{self.mode.value}_answer"] = request_.answer.sdp
                await self.participant.answer(request_.answer.sdp)
            elif kind == "add_track":
                await self.add_track(ws, request_.add_track)
        return ws

    async def add_track(self, ws: web.WebSocketResponse, add: proto.AddTrackRequest) -> None:
        kind = Kind.AUDIO if add.type == models.TrackType.AUDIO else Kind.VIDEO
        track_id = f"TR_{self.mode.value}_{kind}"
        codecs = tuple(CodecSpec(f"video/{c.codec}", c.cid) for c in add.simulcast_codecs)
        self.participant.declare_track(TrackSpec(track_id, add.cid, kind, codecs=codecs))
        message = proto.SignalResponse()
        message.track_published.cid = add.cid
        message.track_published.track.sid = track_id
        message.track_published.track.type = add.type
        await ws.send_bytes(message.SerializeToString())


async def capture(server: MediaServer, mode: Mode) -> dict[str, str]:
    stub = Stub(server, mode)
    app = web.Application()
    path = "/rtc/v1" if mode is Mode.SINGLE else "/rtc"
    app.add_routes([web.get(path, stub.handle)])
    runner = web.AppRunner(app, max_line_size=65536, max_field_size=65536)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity("me")
        .with_grants(api.VideoGrants(room_join=True, room="room"))
        .to_jwt()
    )
    room = rtc.Room()
    options = rtc.RoomOptions(single_peer_connection=mode is Mode.SINGLE, connect_timeout=10)
    task = asyncio.create_task(room.connect(f"ws://127.0.0.1:{port}", token, options))
    done, _ = await asyncio.wait([task], timeout=12)
    if not done or task.exception():
        print("connect:", task.exception() if done else "timed out")
    source = rtc.VideoSource(1280, 720)
    publish: list[rtc.LocalAudioTrack | rtc.LocalVideoTrack] = [
        rtc.LocalAudioTrack.create_audio_track("mic", rtc.AudioSource(48000, 1)),
        rtc.LocalVideoTrack.create_video_track("cam", source),
    ]
    for track in publish:
        try:
            await asyncio.wait_for(room.local_participant.publish_track(track), 10)
        except Exception as error:
            print("publish:", repr(error)[:200])
    try:
        await asyncio.wait_for(stub.enough.wait(), 10)
    except TimeoutError:
        print("no simulcast offer seen")
    await runner.cleanup()
    return stub.offers


async def main(out: Path) -> None:
    config = MediaConfig(udp_port=0, tcp_port=None, bind=("0.0.0.0",), workers=1)
    server = await MediaServer.start(config)
    offers: dict[str, str] = {}
    for mode in (Mode.SINGLE, Mode.DUAL):
        offers |= await capture(server, mode)
    await server.stop()
    result = {"client": "libwebrtc", "version": f"livekit {version('livekit')}", "offers": offers}
    (out / "libwebrtc.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
