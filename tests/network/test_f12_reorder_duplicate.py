"""F12: 10 % overtaken, 5 % doubled: nothing breaks, and NACKs stay near what was really lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.interop.peer import track
from tests.network.faults import RUNS, repeated
from tests.network.rig import calling, difference, flowing

pytestmark = pytest.mark.namespaces
LOSS = 3.0


async def one_mess(folder: Path, seed: int) -> float:
    """NACKed packets for each lost one on the publisher's way up."""
    async with calling(folder, direct=("bob",), impaired=("alice",), seed=seed) as call:
        alice, bob, bridge = call["alice"], call["bob"], call.site("alice").bridge
        assert bridge is not None
        await call.publish("alice", width=640, height=360, bitrate=1_500_000)
        await flowing(bob)
        sent_before, before = await alice.do("sent"), await bob.stats()
        lost_before = bridge.stats()["up"]["lost"]
        bridge.set("up", reorder=10, hold=10, duplicate=5, delay=10, loss=LOSS)
        await asyncio.sleep(12)
        bridge.clear()
        sent, after = await alice.do("sent"), await bob.stats()
        lost = bridge.stats()["up"]["lost"] - lost_before
        video = difference(before, after, "video")
        # A picture that cannot be decoded makes the receiver ask for a key frame.
        assert video["plis"] == 0, video
        # The rest of the 180 came too late to be shown.
        assert video["frames"] >= 12 * 14 and video["dropped"] <= 6, video
        assert after["state"] == "connected" and track(after, "audio")["packets"] > 0
        assert lost >= 10, "too little was lost to judge"
        # What was asked for again is what the publisher sent again.
        return float((sent["retransmitted"] - sent_before["retransmitted"]) / lost)


@RUNS
async def test_reordered_and_doubled_packets(tmp_path: Path, runs: int) -> None:
    await repeated("F12 NACKs for each loss", runs, tmp_path, 1.2, one_mess, together=2)
