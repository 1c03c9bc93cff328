"""Stacks without LiveKit signalling: publish and data through a small driver of ours."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from livekit.protocol import models

from tests.interop import clients, media, scenario
from tests.interop.peer import Peer, Stats, running
from tests.interop.servers import Server
from tests.interop.signal_driver import SignalDriver

STACKS = ("pion", "aiortc", "gstreamer", "libdatachannel", "werift")


@pytest.mark.parametrize("stack", STACKS)
async def test_publishes_and_exchanges_data(
    server: Server, room: str, folder: Path, files: media.Files, stack: str
) -> None:
    starting = clients.start(stack, folder), clients.start("libwebrtc", folder, name="bob")
    async with (
        running(*starting) as (one, two),
        SignalDriver(server, room, stack) as driver,
    ):
        await scenario.join(server, room, two)
        await driver.connect()
        await driver.negotiate(
            one, publish=["audio", "video"], audio=files.audio, video=files.small
        )
        await scenario.hears_and_sees(two)
        await _data(one, two, stack)


async def _data(one: Peer, two: Peer, stack: str) -> None:
    await one.until(lambda s: {"_reliable", "_lossy"} <= set(s["open"]), 10, "channels")
    for number in range(10):
        for channel, kind in (("_reliable", 0), ("_lossy", 1)):
            user = models.UserPacket(payload=f"{channel}{number}".encode(), topic="t")
            packet = models.DataPacket(user=user, kind=models.DataPacket.Kind.Name(kind))
            packet.sequence = number + 1 if kind == 0 else 0
            raw = base64.b64encode(packet.SerializeToString()).decode()
            await one.do("send", channel=channel, data=raw)
            await asyncio.sleep(0.02)
    wanted = [f"_reliable{n}" for n in range(10)]

    def got(stats: Stats) -> bool:
        data = [i["data"] for i in stats["inbox"] if i["from"] == stack]
        return [d for d in data if d.startswith("_r")] == wanted and any("_l" in d for d in data)

    await two.until(got, 10, "data of both kinds")
    await two.do("send", data="back", reliable=True, topic="t")
    await two.do("send", data="fresh", reliable=False, topic="t")
    await one.until(lambda s: {b"back", b"fresh"} <= _texts(s), 10, "data back")


def _texts(stats: Stats) -> set[bytes]:
    found = set()
    for message in stats["messages"] or []:
        packet = models.DataPacket()
        packet.ParseFromString(base64.b64decode(message["data"]))
        found.add(packet.user.payload)
    return found
