"""One participant of the PyPI `livekit` package (libwebrtc in a wheel), driven by JSON lines.

Also the measuring client: it samples every subscribed track each 100 ms and keeps the longest
time without growth of packetsReceived. It imports nothing of the server.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import numpy as np
from livekit import rtc

from tests.peers.python.lines import serve

FPS = 15
SAMPLE_S = 0.1


class Watched:
    """What one subscribed track has received; the sampler below feeds it."""

    def __init__(self, sid: str, kind: str, track: rtc.RemoteTrack) -> None:
        self.sid, self.kind, self.track = sid, kind, track
        self.numbers: dict[str, Any] = {}
        self.last_growth = time.monotonic()
        self.gap = 0.0
        self.freezes: list[float] = []

    async def sample(self) -> None:
        report = await self.track.get_stats()
        codecs = [stat.codec.codec for stat in report if stat.WhichOneof("stats") == "codec"]
        for stat in report:
            if stat.WhichOneof("stats") != "inbound_rtp":
                continue
            inbound = stat.inbound_rtp.inbound
            received = stat.inbound_rtp.received
            now = time.monotonic()
            if received.packets_received > self.numbers.get("packets", -1):
                self.gap = max(self.gap, now - self.last_growth)
                self.last_growth = now
            self.numbers = {
                "mime": codecs[0].mime_type if codecs else "",
                "packets": received.packets_received,
                "lost": received.packets_lost,
                "jitter": received.jitter,
                "bytes": inbound.bytes_received,
                "frames": inbound.frames_decoded,
                "width": inbound.frame_width,
                "height": inbound.frame_height,
                "samples": inbound.total_samples_received,
                "concealed": inbound.concealed_samples,
                "energy": inbound.total_audio_energy,
                "nacks": inbound.nack_count,
                "plis": inbound.pli_count,
                "duplicates": 0,
                "discarded": inbound.packets_discarded,
                "dropped": inbound.frames_dropped,
                "freezes": inbound.freeze_count,
                "freeze_s": inbound.total_freeze_duration,
                "buffer_s": inbound.jitter_buffer_delay,
                "buffer_n": inbound.jitter_buffer_emitted_count,
            }

    def report(self) -> dict[str, Any]:
        gap = max(self.gap, time.monotonic() - self.last_growth)
        empty = {"packets": 0, "bytes": 0, "frames": 0, "lost": 0, "width": 0, "height": 0}
        return {
            "sid": self.sid,
            "kind": self.kind,
            "gap_ms": int(gap * 1000),
            **empty,
            **self.numbers,
        }


class Peer:
    def __init__(self) -> None:
        self.room = rtc.Room()
        self.watched: dict[str, Watched] = {}
        self.streams: dict[str, rtc.VideoStream | rtc.AudioStream] = {}
        self.publications: dict[str, rtc.RemoteTrackPublication] = {}
        self.inbox: list[dict[str, Any]] = []
        self.events: list[str] = []
        self.tasks: set[asyncio.Task[Any]] = set()

    def start(self, job: Any) -> None:
        task = asyncio.ensure_future(job)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def join(self, url: str, token: str, single: bool = True, dynacast: bool = False) -> Any:
        self.listen()
        options = rtc.RoomOptions(
            auto_subscribe=True,
            single_peer_connection=single,
            dynacast=dynacast,
            connect_timeout=15.0,
        )
        await self.room.connect(url, token, options)
        self.start(self.sampler())
        return {"sid": self.room.local_participant.sid, "room": await self.room.sid}

    def listen(self) -> None:
        room = self.room
        room.on("track_subscribed", self.on_track)
        room.on("track_unsubscribed", self.on_track_gone)
        room.on("data_received", self.on_data)
        room.on("participant_connected", lambda p: self.note("joined:" + p.identity))
        room.on("participant_disconnected", lambda p: self.note("left:" + p.identity))
        room.on("reconnecting", lambda: self.note("reconnecting"))
        room.on("reconnected", lambda: self.note("reconnected"))
        room.on("disconnected", lambda reason: self.note(f"disconnected:{reason}"))
        room.on("local_track_published", lambda p, _t: self.note("published:" + p.sid))
        room.on("connection_quality_changed", lambda p, q: self.note(f"quality:{p.identity}:{q}"))
        room.on("active_speakers_changed", lambda s: self.note(f"speakers:{len(s)}"))
        room.register_text_stream_handler("text", lambda r, who: self.start(self.on_text(r, who)))
        room.register_byte_stream_handler("bytes", lambda r, who: self.start(self.on_bytes(r, who)))

    def note(self, event: str) -> None:
        self.events.append(event)

    def on_track(self, track: Any, publication: Any, _participant: Any) -> None:
        kind = "video" if track.kind == rtc.TrackKind.KIND_VIDEO else "audio"
        self.watched[publication.sid] = Watched(publication.sid, kind, track)
        self.publications[publication.sid] = publication
        stream = rtc.VideoStream(track) if kind == "video" else rtc.AudioStream(track)
        self.streams[publication.sid] = stream
        self.start(self.consume(stream))

    @staticmethod
    async def consume(stream: Any) -> None:
        """A track that nobody reads is not decoded."""
        async for _ in stream:
            pass

    def on_track_gone(self, _track: Any, publication: Any, _participant: Any) -> None:
        self.watched.pop(publication.sid, None)
        if (stream := self.streams.pop(publication.sid, None)) is not None:
            # Of a track that is gone it would make a hundred frames of silence a second for ever.
            self.start(stream.aclose())
        self.note("unsubscribed:" + publication.sid)

    def on_data(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant.identity if packet.participant else ""
        reliable = packet.kind == rtc.DataPacketKind.KIND_RELIABLE
        text = packet.data.decode(errors="replace")
        item = {"kind": "data", "topic": packet.topic, "data": text, "from": sender}
        self.inbox.append({**item, "reliable": reliable})

    async def on_text(self, reader: Any, who: str) -> None:
        text = await reader.read_all()
        self.inbox.append({"kind": "text", "topic": "text", "data": text, "from": who})

    async def on_bytes(self, reader: Any, who: str) -> None:
        data = b"".join([chunk async for chunk in reader]).decode()
        self.inbox.append({"kind": "bytes", "topic": "bytes", "data": data, "from": who})

    async def sampler(self) -> None:
        while True:
            for watched in list(self.watched.values()):
                await watched.sample()
            await asyncio.sleep(SAMPLE_S)

    async def publish(
        self,
        kind: str,
        simulcast: bool = False,
        width: int = 320,
        height: int = 180,
        bitrate: int = 0,
        codec: str = "VP8",
        red: bool = True,
    ) -> Any:
        options = rtc.TrackPublishOptions()
        if kind == "audio":
            source = rtc.AudioSource(48000, 1)
            track: Any = rtc.LocalAudioTrack.create_audio_track("microphone", source)
            options.source = rtc.TrackSource.SOURCE_MICROPHONE
            options.red = red
            options.dtx = False
            self.start(self.tone(source))
        else:
            video = rtc.VideoSource(width, height)
            track = rtc.LocalVideoTrack.create_video_track("camera", video)
            options.source = rtc.TrackSource.SOURCE_CAMERA
            options.simulcast = simulcast
            options.video_codec = rtc.VideoCodec.Value(codec)
            if bitrate:
                options.video_encoding.max_bitrate = bitrate
                options.video_encoding.max_framerate = FPS
            self.start(self.pictures(video, width, height))
        publication = await self.room.local_participant.publish_track(track, options)
        return {"sid": publication.sid}

    async def tone(self, source: rtc.AudioSource) -> None:
        at = np.arange(480)
        start = 0
        while True:
            wave = np.sin((at + start) * 2 * np.pi * 440 / 48000) * 8000
            frame = rtc.AudioFrame(wave.astype(np.int16).tobytes(), 48000, 1, 480)
            await source.capture_frame(frame)
            start += 480

    async def pictures(self, source: rtc.VideoSource, width: int, height: int) -> None:
        random = np.random.default_rng(1)
        chroma = np.full(width * height // 2, 128, np.uint8)
        still = random.integers(60, 200, (height // 8, width // 8), np.uint8).repeat(8, 0)
        still = still.repeat(8, 1)
        luma = np.zeros((height, width), np.uint8)
        luma[: still.shape[0], : still.shape[1]] = still
        due = time.monotonic()
        step = 0
        while True:
            step += 1
            moving = np.roll(luma, step * 4, axis=1)
            data = moving.tobytes() + chroma.tobytes()
            source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, data))
            due += 1 / FPS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def unpublish(self, sid: str) -> None:
        await self.room.local_participant.unpublish_track(sid)

    async def quality(self, sid: str, quality: int) -> None:
        self.publications[sid].set_video_quality(quality)  # type: ignore[arg-type]

    async def subscribe(self, sid: str, on: bool) -> None:
        self.publications[sid].set_subscribed(on)

    async def send(
        self, data: str, reliable: bool = True, topic: str = "", to: list[str] | None = None
    ) -> None:
        await self.room.local_participant.publish_data(
            data, reliable=reliable, topic=topic, destination_identities=to or []
        )

    async def rpc(self, to: str, payload: str) -> Any:
        answer = await self.room.local_participant.perform_rpc(
            destination_identity=to, method="echo", payload=payload
        )
        return {"payload": answer}

    async def echo(self) -> None:
        async def answer(call: rtc.RpcInvocationData) -> str:
            return "echo:" + call.payload

        self.room.local_participant.register_rpc_method("echo", answer)

    async def text(self, data: str) -> None:
        await self.room.local_participant.send_text(data, topic="text")

    async def bytes(self, data: str) -> None:
        raw = data.encode()
        writer = await self.room.local_participant.stream_bytes(
            "blob", total_size=len(raw), topic="bytes"
        )
        await writer.write(raw)
        await writer.aclose()

    async def simulate(self, scenario: str) -> None:
        kind = rtc.SimulateScenarioKind.Value(scenario)
        await self.room.simulate_scenario(kind)

    async def stats(self) -> Any:
        room = self.room
        states = {0: "disconnected", 1: "connected", 2: "reconnecting"}
        return {
            "state": states[room.connection_state],
            "sid": room.local_participant.sid,
            "participants": sorted(room.remote_participants),
            "published": sorted(room.local_participant.track_publications),
            "remote": sorted(
                sid for p in room.remote_participants.values() for sid in p.track_publications
            ),
            "tracks": [w.report() for w in self.watched.values()],
            "inbox": self.inbox,
            "events": self.events,
        }

    async def sent(self) -> Any:
        """What our own tracks have sent, and sent again."""
        total = {"packets": 0, "retransmitted": 0, "nacks": 0, "plis": 0}
        for publication in self.room.local_participant.track_publications.values():
            if publication.track is None:
                continue
            for stat in await publication.track.get_stats():
                if stat.WhichOneof("stats") == "outbound_rtp":
                    total["packets"] += stat.outbound_rtp.sent.packets_sent
                    total["retransmitted"] += stat.outbound_rtp.outbound.retransmitted_packets_sent
                    total["nacks"] += stat.outbound_rtp.outbound.nack_count
                    total["plis"] += stat.outbound_rtp.outbound.pli_count
        return total

    async def transport(self) -> Any:
        """The selected candidate pairs: which protocol and address the media takes."""
        stats = await self.room.get_rtc_stats()
        every = list(stats.publisher_stats) + list(stats.subscriber_stats)
        local = {
            s.local_candidate.rtc.id: s.local_candidate.candidate
            for s in every
            if s.WhichOneof("stats") == "local_candidate"
        }
        pairs = []
        for stat in every:
            if stat.WhichOneof("stats") != "candidate_pair":
                continue
            pair = stat.candidate_pair.candidate_pair
            if not pair.nominated or pair.local_candidate_id not in local:
                continue
            found = local[pair.local_candidate_id]
            pairs.append(
                {
                    "protocol": found.protocol,
                    "type": found.candidate_type,
                    "relay": found.relay_protocol,
                    "address": found.address,
                    "available": pair.available_outgoing_bitrate,
                    "rtt": pair.current_round_trip_time,
                }
            )
        return {"pairs": pairs}

    async def credentials(self) -> Any:
        """The ICE user names of both sides of each connection's selected pair."""
        stats = await self.room.get_rtc_stats()
        found: dict[str, list[str]] = {"local": [], "remote": []}
        for every in (list(stats.publisher_stats), list(stats.subscriber_stats)):
            parts = [getattr(stat, str(stat.WhichOneof("stats"))) for stat in every]
            by_id = {part.rtc.id: part for part in parts}
            for transport in (s.transport.transport for s in every if s.HasField("transport")):
                pair = by_id[transport.selected_candidate_pair_id].candidate_pair
                for side, names in found.items():
                    candidate = by_id[getattr(pair, f"{side}_candidate_id")].candidate
                    names.append(candidate.username_fragment)
        return found

    async def reset_gap(self) -> None:
        for watched in self.watched.values():
            watched.gap, watched.last_growth = 0.0, time.monotonic()

    async def leave(self) -> None:
        await self.room.disconnect()


async def main() -> None:
    peer = Peer()
    names = (
        "join publish unpublish quality subscribe send rpc echo text bytes simulate sent stats "
        "transport credentials reset_gap leave"
    )
    await serve({name: getattr(peer, name) for name in names.split()})
    os._exit(0)  # the native runtime would wait for its threads


if __name__ == "__main__":
    asyncio.run(main())
