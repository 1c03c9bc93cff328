"""F12: 10 % overtaken, 5 % doubled: nothing breaks, the second of two goes nowhere, and NACKs stay
near what was really lost.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.interop.peer import track
from tests.network.faults import RUNS, repeated
from tests.network.rig import Call, calling, difference, flowing
from tests.network.test_f15_half_open import asked

pytestmark = pytest.mark.namespaces
LOSS = 3.0
# What SRTP's window has seen (RFC 3711 section 3.3.2), and what came again beside it.
REFUSED = re.compile(
    r'^sotto_media_drops_total{reason="(?:replay|duplicate)"} (\d+)$', re.MULTILINE
)


def refused(call: Call) -> int:
    return sum(map(int, REFUSED.findall(asked(call, "/metrics"))))


async def one_mess(folder: Path, seed: int) -> float:
    """NACKed packets for each lost one on the publisher's way up."""
    async with calling(folder, direct=("bob",), impaired=("alice",), seed=seed) as call:
        alice, bob, bridge = call["alice"], call["bob"], call.site("alice").bridge
        assert bridge is not None
        await call.publish("alice", width=640, height=360, bitrate=1_500_000)
        await flowing(bob)
        sent_before, before = await alice.do("sent"), await bob.stats()
        shown, way = refused(call), bridge.stats()["up"]
        bridge.set("up", reorder=10, hold=10, duplicate=5, delay=10, loss=LOSS)
        await asyncio.sleep(12)
        bridge.clear()
        await asyncio.sleep(2)  # the engine's figures are at most a second old
        sent, after = await alice.do("sent"), await bob.stats()
        now = bridge.stats()["up"]
        lost, doubled = now["lost"] - way["lost"], now["doubled"] - way["doubled"]
        twice = refused(call) - shown
        again = sent["retransmitted"] - sent_before["retransmitted"]
        print(f"F12: {twice} refused of {doubled} doubled and {again} sent again", flush=True)
        # Of what was sent again, that is refused which was only overtaken.
        assert doubled > 30 and 0.9 * doubled - 5 <= twice <= doubled + again, (
            twice,
            doubled,
            again,
        )
        video = difference(before, after, "video")
        # A picture that cannot be decoded makes the receiver ask for a key frame.
        assert video["plis"] == 0, video
        # The rest of the 180 came too late to be shown.
        assert video["frames"] >= 12 * 14 and video["dropped"] <= 6, video
        assert after["state"] == "connected" and track(after, "audio")["packets"] > 0
        assert lost >= 10, "too little was lost to judge"
        # What was asked for again is what the publisher sent again.
        return float(again / lost)


@RUNS
async def test_reordered_and_doubled_packets(tmp_path: Path, runs: int) -> None:
    await repeated("F12 NACKs for each loss", runs, tmp_path, 1.2, one_mess, together=2)
