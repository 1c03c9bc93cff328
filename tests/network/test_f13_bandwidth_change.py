"""F13: 2 Mbit/s, then 300 kbit/s, then 2 Mbit/s: audio first, the layer follows down and up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.interop.peer import Peer, track
from tests.network.faults import RUNS, repeated
from tests.network.rig import calling, difference

pytestmark = pytest.mark.namespaces


async def until_width(peer: Peer, wanted: int, within: float) -> float:
    started = time.monotonic()
    await peer.until(
        lambda s: (
            0 < track(s, "video")["width"] <= wanted
            if wanted < 960
            else track(s, "video")["width"] == wanted
        ),
        within,
        f"width {wanted}",
    )
    return time.monotonic() - started


async def one_dip(folder: Path, seed: int) -> float:
    """Seconds until the high layer is back; the rest is judged on the way."""
    async with calling(folder, direct=("alice",), impaired=("bob",), seed=seed) as call:
        bob, bridge = call["bob"], call.site("bob").bridge
        assert bridge is not None
        bridge.set("down", rate=2000, queue=1000, delay=15)
        await call.publish("alice", simulcast=True, width=960, height=540)
        await until_width(bob, 960, 30)
        bridge.set("down", rate=300)
        down = await until_width(bob, 320, 8)
        await asyncio.sleep(max(0.0, 5 - down))
        before = await bob.stats()
        await asyncio.sleep(5)
        after = await bob.stats()
        audio = difference(before, after, "audio")
        assert audio["lost"] <= 0.01 * audio["packets"], audio
        trips = [pair["rtt"] for pair in (await bob.do("transport"))["pairs"]]
        assert max(trips) < 0.5, f"queue delay: {trips}"
        bridge.set("down", rate=2000)
        up = await until_width(bob, 960, 30)
        assert down <= 5, f"{down:.1f} s until the low layer"
        return up


@RUNS
async def test_bandwidth_dip(tmp_path: Path, runs: int) -> None:
    await repeated("F13 back to the high layer, s", runs, tmp_path, 15.0, one_dip, together=2)
