"""Our signaling with the real media server in this process, and PyPI `livekit` against it."""

from __future__ import annotations

import array
import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from livekit import api
from livekit import rtc as client

from mediaserver.api import MediaConfig
from mediaserver.node import MediaServer
from signaling.rtc import REQUEST_LINE_BYTES, Rooms, RtcSettings, add_routes
from signaling.rtc.participant import Participant
from tests.signaling.rtc.fakes import KEY, SECRET

RATE = 48_000
_PATIENCE = 60.0


class Real:
    """A server on loopback; `connect` brings a client that is disconnected at the end."""

    def __init__(self, media: MediaServer, settings: RtcSettings | None) -> None:
        self.media = media
        self.rooms = Rooms(media, {KEY: SECRET}, settings)
        self.app = web.Application()
        add_routes(self.app, self.rooms)
        self.url = ""
        self.clients: list[client.Room] = []

    def token(self, identity: str, room: str = "r", **grants: Any) -> str:
        grants.setdefault("can_update_own_metadata", True)
        video = api.VideoGrants(room_join=True, room=room, **grants)
        return api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(video).to_jwt()

    async def connect(self, identity: str, *, single: bool, **grants: Any) -> client.Room:
        room = client.Room()
        self.clients.append(room)
        options = client.RoomOptions(auto_subscribe=True, single_peer_connection=single)
        await room.connect(self.url, self.token(identity, **grants), options)
        return room

    def participant(self, identity: str, room: str = "r") -> Participant:
        found = self.rooms.get(room)
        assert found is not None
        participant = found.by_identity(identity)
        assert participant is not None
        return participant

    def server_api(self) -> api.LiveKitAPI:
        return api.LiveKitAPI(self.url.replace("ws", "http"), KEY, SECRET)


@contextlib.asynccontextmanager
async def real_server(settings: RtcSettings | None = None) -> AsyncIterator[Real]:
    config = MediaConfig(
        udp_port=0,
        tcp_port=None,
        bind=("127.0.0.1",),
        advertise=("127.0.0.1",),
        advertise_loopback=True,
        workers=1,
    )
    media = await MediaServer.start(config)
    real = Real(media, settings)
    runner = web.AppRunner(real.app, max_line_size=REQUEST_LINE_BYTES, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    real.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield real
    finally:
        for room in real.clients:
            await room.disconnect()
        await real.rooms.drain()
        await runner.cleanup()
        await media.stop()


class Tone:
    """A microphone that plays a sine until `stop`."""

    def __init__(self) -> None:
        self._source = client.AudioSource(RATE, 1)
        self.track = client.LocalAudioTrack.create_audio_track("tone", self._source)
        self._task = asyncio.ensure_future(self._play())

    async def _play(self) -> None:
        count = RATE // 50
        tone = array.array("h", [int(8000 * math.sin(i / 10)) for i in range(count)])
        while True:
            await self._source.capture_frame(client.AudioFrame(tone.tobytes(), RATE, 1, count))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._source.aclose()


async def publish_tone(room: client.Room) -> tuple[Tone, client.LocalTrackPublication]:
    tone = Tone()
    options = client.TrackPublishOptions(source=client.TrackSource.SOURCE_MICROPHONE)
    return tone, await room.local_participant.publish_track(tone.track, options)


class Heard:
    """Counts the audio frames that a client receives from anybody."""

    def __init__(self, room: client.Room) -> None:
        self.frames = 0
        self.tracks: list[str] = []
        self._tasks: list[asyncio.Future[None]] = []
        room.on("track_subscribed", self._subscribed)

    def _subscribed(self, track: Any, publication: Any, participant: Any) -> None:
        self.tracks.append(publication.sid)
        self._tasks.append(asyncio.ensure_future(self._count(track)))

    async def _count(self, track: client.Track) -> None:
        stream = client.AudioStream(track)
        try:
            async for _ in stream:
                self.frames += 1
        finally:
            await stream.aclose()

    async def silence(self) -> int:
        """As soon as nothing comes for half a second; how much came."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                before = self.frames
                await asyncio.sleep(0.5)
                if self.frames <= before + 2:
                    return self.frames

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = _PATIENCE) -> None:
    """Wait for something that a real client will do in its own time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


Scenario = Callable[[Real], Awaitable[None]]
