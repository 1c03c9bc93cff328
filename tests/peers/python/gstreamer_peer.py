"""GStreamer's webrtcbin (libnice, OpenSSL DTLS with an RSA key) as an SDP peer.

Runs under Debian's Python, which alone has PyGObject; needs nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

from tests.peers.python.lines import serve  # noqa: E402

PICTURES = "videotestsrc is-live=true ! video/x-raw,width=240,height=136,framerate=15/1 ! "
# A key frame each second for VP8; for H.265 only those that the other side asks for.
ENCODERS = {
    "VP8": "vp8enc deadline=1 keyframe-max-dist=15 ! rtpvp8pay picture-id-mode=2 mtu=1200",
    "H265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=9000"
    " option-string=repeat-headers=1:open-gop=0:info=0 ! rtph265pay mtu=1200",
}
DECODERS = {"H265": "rtph265depay ! h265parse ! avdec_h265 ! fakesink name=end sync=false"}
AUDIO = (
    "audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! rtpopuspay !"
    " application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000 ! bin. "
)
OPUS = "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,"


def caps(kind: str, codec: str) -> str:
    if kind == "audio":
        return OPUS + "encoding-params=(string)2"
    return f"application/x-rtp,media=video,encoding-name={codec},payload=96,clock-rate=90000"


def source(kind: str, codec: str) -> str:
    return (
        AUDIO if kind == "audio" else f"{PICTURES}{ENCODERS[codec]} ! {caps(kind, codec)} ! bin. "
    )


class Peer:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.channels: dict[str, Any] = {}
        self.messages: list[dict[str, str]] = []
        self.tracks: dict[str, dict[str, Any]] = {}
        self.offered: asyncio.Future[None] = self.loop.create_future()

    async def offer(
        self,
        publish: list[str],
        subscribe: list[str],
        channels: list[str],
        codec: str = "VP8",
        **_: Any,
    ) -> Any:
        text = "webrtcbin name=bin bundle-policy=max-bundle " + "".join(
            source(kind, codec) for kind in publish
        )
        # One element alone would come back as itself, not in a pipeline.
        self.pipe = Gst.Pipeline.new("peer")
        self.pipe.add(Gst.parse_bin_from_description(text, False))
        self.bin = self.pipe.get_by_name("bin")
        self.bin.connect("pad-added", self.on_pad)
        self.bin.connect("notify::ice-gathering-state", self.on_gathering)
        self.pipe.set_state(Gst.State.READY)
        for kind in subscribe:
            direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.bin.emit("add-transceiver", direction, Gst.Caps.from_string(caps(kind, codec)))
        for label in channels:
            self.open(label)
        for at in range(len(publish)):
            transceiver = self.bin.emit("get-transceiver", at)
            transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
        self.pipe.set_state(Gst.State.PLAYING)
        while not all(pad.get_current_caps() for pad in self.bin.sinkpads):
            await asyncio.sleep(0.05)  # an offer before the payloaders' caps has no ssrc and fails
        promise = Gst.Promise.new_with_change_func(self.on_offer, None)
        self.bin.emit("create-offer", None, promise)
        await asyncio.wait_for(self.offered, 15)
        return {"sdp": self.bin.get_property("local-description").sdp.as_text()}

    def open(self, label: str) -> None:
        options = Gst.Structure.new_empty("options")
        if label != "_reliable":
            options.set_value("ordered", False)
            options.set_value("max-retransmits", 0)
        channel = self.bin.emit("create-data-channel", label, options)
        channel.connect("on-message-data", self.on_message, label)
        self.channels[label] = channel

    def on_message(self, _channel: Any, data: Any, label: str) -> None:
        text = base64.b64encode(data.get_data()).decode()
        self.messages.append({"channel": label, "data": text})

    def on_offer(self, promise: Any, _data: Any) -> None:
        promise.wait()
        reply = promise.get_reply()  # owns the description below
        offer = reply.get_value("offer")
        self.bin.emit("set-local-description", offer, Gst.Promise.new())

    def on_gathering(self, _bin: Any, _spec: Any) -> None:
        state = self.bin.get_property("ice-gathering-state")
        if state == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            self.loop.call_soon_threadsafe(self.done)

    def done(self) -> None:
        if not self.offered.done():
            self.offered.set_result(None)

    def on_pad(self, _bin: Any, pad: Any) -> None:
        if pad.direction != Gst.PadDirection.SRC:
            return
        form = pad.get_current_caps().get_structure(0)
        kind, codec = form.get_string("media"), form.get_string("encoding-name")
        numbers = {"sid": pad.get_name(), "kind": kind, "mime": f"{kind}/{codec}", "lost": 0}
        numbers |= {"packets": 0, "frames": 0, "decoded": 0, "width": 0}
        self.tracks[kind] = numbers
        pad.add_probe(Gst.PadProbeType.BUFFER, self.on_buffer, numbers)
        if codec in DECODERS:
            sink = Gst.parse_bin_from_description(DECODERS[codec], True)
            end = sink.get_by_name("end")
            end.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self.on_picture, numbers)
        else:
            sink = end = Gst.ElementFactory.make("fakesink")
            end.set_property("sync", False)
        end.set_property("async", False)  # else the first packet waits for the video to preroll
        self.bin.get_parent().add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    @staticmethod
    def on_buffer(_pad: Any, info: Any, numbers: dict[str, Any]) -> Any:
        numbers["packets"] += 1
        marker = info.get_buffer().extract_dup(1, 1)[0] & 0x80  # RFC 3550 section 5.1
        numbers["frames"] += 1 if marker or numbers["kind"] == "audio" else 0
        return Gst.PadProbeReturn.OK

    @staticmethod
    def on_picture(pad: Any, _info: Any, numbers: dict[str, Any]) -> Any:
        numbers["decoded"] += 1
        numbers["width"] = pad.get_current_caps().get_structure(0).get_int("width").value
        return Gst.PadProbeReturn.OK

    async def answer(self, sdp: str) -> None:
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        description = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        promise = Gst.Promise.new()
        self.bin.emit("set-remote-description", description, promise)
        await asyncio.to_thread(promise.wait)

    async def send(self, channel: str, data: str) -> None:
        raw = GLib.Bytes.new(base64.b64decode(data))
        self.channels[channel].emit("send-data", raw)

    async def stats(self) -> Any:
        state = self.bin.get_property("connection-state").value_nick
        opened = [
            name
            for name, c in self.channels.items()
            if c.get_property("ready-state").value_nick == "open"
        ]
        tracks = list(self.tracks.values())
        return {"state": state, "tracks": tracks, "messages": self.messages, "open": opened}

    async def close(self) -> None:
        self.pipe.set_state(Gst.State.NULL)


async def main() -> None:
    Gst.init(None)
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
    peer = Peer()
    await serve({n: getattr(peer, n) for n in ("offer", "answer", "send", "stats", "close")})


if __name__ == "__main__":
    asyncio.run(main())
