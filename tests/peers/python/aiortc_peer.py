"""aiortc as an SDP peer: offers, takes an answer, moves media and data, knows no signalling."""

from __future__ import annotations

import asyncio
import base64
import fractions
import time
from typing import Any

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from tests.peers.python.lines import serve


class Pictures(MediaStreamTrack):
    kind = "video"
    step = 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / 15)
        self.step += 1
        grey = np.full((136, 240, 3), self.step % 200, np.uint8)
        frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
        frame.pts, frame.time_base = self.step * 6000, fractions.Fraction(1, 90000)
        return frame


class Tone(MediaStreamTrack):
    kind = "audio"
    step = 0
    start = 0.0

    async def recv(self) -> av.AudioFrame:
        self.start = self.start or time.monotonic()
        await asyncio.sleep(max(0.0, self.start + self.step * 0.02 - time.monotonic()))
        wave = np.sin(np.arange(960) * 2 * np.pi * 450 / 48000) * 8000
        frame = av.AudioFrame.from_ndarray(
            wave.astype(np.int16)[None, :], format="s16", layout="mono"
        )
        frame.sample_rate, frame.time_base = 48000, fractions.Fraction(1, 48000)
        frame.pts = self.step * 960
        self.step += 1
        return frame


class Peer:
    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channels: dict[str, RTCDataChannel] = {}
        self.messages: list[dict[str, str]] = []
        self.frames: dict[str, int] = {}
        self.readers: list[asyncio.Task[None]] = []

    async def offer(
        self, publish: list[str], subscribe: list[str], channels: list[str], **_: Any
    ) -> Any:
        self.pc.on("track", self.on_track)
        for label in channels:
            reliable = label == "_reliable"
            channel = self.pc.createDataChannel(
                label, ordered=reliable, maxRetransmits=None if reliable else 0
            )
            channel.on("message", lambda data, name=label: self.on_message(name, data))
            self.channels[label] = channel
        for kind in publish:
            self.pc.addTransceiver(Tone() if kind == "audio" else Pictures(), "sendonly")
        for kind in subscribe:
            self.pc.addTransceiver(kind, "recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return {"sdp": self.pc.localDescription.sdp}

    def on_message(self, label: str, data: bytes | str) -> None:
        raw = data.encode() if isinstance(data, str) else data
        self.messages.append({"channel": label, "data": base64.b64encode(raw).decode()})

    def on_track(self, track: MediaStreamTrack) -> None:
        self.readers.append(asyncio.create_task(self.read(track)))

    async def read(self, track: MediaStreamTrack) -> None:
        while True:
            await track.recv()
            self.frames[track.kind] = self.frames.get(track.kind, 0) + 1

    async def answer(self, sdp: str) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def send(self, channel: str, data: str) -> None:
        self.channels[channel].send(base64.b64decode(data))

    async def stats(self) -> Any:
        report = await self.pc.getStats()
        tracks = [
            {
                "sid": stat.id,
                "kind": stat.kind,
                "packets": stat.packetsReceived,
                "lost": stat.packetsLost,
                "frames": self.frames.get(stat.kind, 0),
            }
            for stat in report.values()
            if stat.type == "inbound-rtp"
        ]
        opened = [name for name, c in self.channels.items() if c.readyState == "open"]
        state = self.pc.connectionState
        return {"state": state, "tracks": tracks, "messages": self.messages, "open": opened}

    async def close(self) -> None:
        await self.pc.close()


async def main() -> None:
    peer = Peer()
    await serve({n: getattr(peer, n) for n in ("offer", "answer", "send", "stats", "close")})


if __name__ == "__main__":
    asyncio.run(main())
