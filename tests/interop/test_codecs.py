"""Codecs beside VP8 between clients that encode and decode them: SVC of VP9 and AV1, and H.265."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.interop import clients, scenario
from tests.interop.peer import Peer, running, track
from tests.interop.servers import Server
from tests.interop.whip_client import WhipSession


@pytest.mark.browser
@pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])
async def test_chromium_encodes_svc_and_chromium_decodes_each_layer(
    server: Server, room: str, folder: Path, single: bool
) -> None:
    """VP9 one way and AV1 the other: three spatial layers in one stream, which the server cuts."""
    alice = clients.start("chromium", folder, name="alice")
    bob = clients.start("chromium", folder, name="bob")
    async with running(alice, bob) as (one, two):
        await scenario.join_all(server, room, [one, two], single=single)
        await asyncio.gather(_svc(one, two, "vp9"), _svc(two, one, "av1"))


async def _svc(sender: Peer, receiver: Peer, codec: str) -> None:
    size = {"width": 960, "height": 540}
    published = await sender.do("publish", kind="video", codec=codec, mode="L3T3_KEY", **size)
    await scenario.layers_in_turn(receiver, (240, 480, 960))
    encoder = await sender.do("encoder", sid=published["sid"])
    assert (encoder["mime"], encoder["mode"]) == (f"video/{codec.upper()}", "L3T3_KEY")
    seen = track(await receiver.stats(), "video")
    assert seen["mime"] == encoder["mime"]
    await receiver.until(lambda s: track(s, "video")["frames"] > seen["frames"] + 15, 5, "more")


async def test_gstreamer_encodes_h265_and_gstreamer_decodes_it(
    server: Server, room: str, folder: Path
) -> None:
    """By WHIP and WHEP: Chromium here and the libwebrtc in a wheel have no H.265 encoder.

    The only key frames after the first are those that the server asks for.
    """
    alice = clients.start("gstreamer", folder, name="alice")
    bob = clients.start("gstreamer", folder, name="bob")
    async with (
        running(alice, bob) as (one, two),
        WhipSession(server, "whip", room, "alice") as whip,
        WhipSession(server, "whep", room, "bob") as whep,
    ):
        await whip.negotiate(one, ["video"], codec="H265")
        await asyncio.sleep(1)
        await whep.negotiate(two, ["video"], codec="H265", participants=["alice"])
        seen = await two.until(lambda s: track(s, "video").get("decoded", 0) > 30, 20, "pictures")
        assert (track(seen, "video")["mime"], track(seen, "video")["width"]) == ("video/H265", 240)
