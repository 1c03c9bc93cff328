"""Captures aiortc's offers for the golden transcripts: python aiortc_offers.py OUT_DIR."""

import asyncio
import json
import sys
from pathlib import Path

import aiortc
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack


async def offer(name: str) -> str:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    if name in ("publish", "data"):
        pc.createDataChannel("_reliable")
        pc.createDataChannel("_lossy", ordered=False, maxRetransmits=0)
    if name == "publish":
        pc.addTrack(AudioStreamTrack())
        pc.addTrack(VideoStreamTrack())
    if name == "subscribe":
        pc.addTransceiver("audio", direction="recvonly")
        pc.addTransceiver("video", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    text = pc.localDescription.sdp
    await pc.close()
    return text


async def main(out: Path) -> None:
    offers = {name: await offer(name) for name in ("publish", "subscribe", "data")}
    result = {"client": "aiortc", "version": aiortc.__version__, "offers": offers}
    (out / "aiortc.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
