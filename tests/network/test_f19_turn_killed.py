"""F19: the TURN server is killed under a relayed call; media is back within 8 s."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.network.faults import RUNS, repeated
from tests.network.netns import Namespace, run
from tests.network.rig import calling, flowing, worst_gap

pytestmark = [pytest.mark.namespaces, pytest.mark.browser]


def kill_turnserver(space: Namespace) -> None:
    """The coturn of this namespace, which this test's server started."""
    for pid in run("ip", "netns", "pids", space.name).split():
        if Path(f"/proc/{pid}/comm").read_text().strip() == "turnserver":
            os.kill(int(pid), signal.SIGKILL)
            return
    raise AssertionError("no turnserver runs")


async def one_death(folder: Path, seed: int) -> float:
    """Seconds without media, in the worse direction, after the relay died."""
    software = {"bob": "chromium"}
    async with calling(
        folder, direct=("alice", "bob"), turn=True, software=software, join=False, seed=seed
    ) as call:
        call.site("bob").cut("udp dport 7882", "tcp dport 7881")
        await call.join("alice")
        await call.join("bob")
        await call.publish("alice")
        await call.publish("bob")
        await flowing(call["bob"], 40)
        await flowing(call["alice"])
        pairs = (await call["bob"].do("transport"))["pairs"]
        assert {pair["type"] for pair in pairs} == {"relay"}, pairs
        for label in ("alice", "bob"):
            await call[label].do("reset_gap")
        kill_turnserver(call.lab.server)
        await asyncio.sleep(1)
        # Another way opens meanwhile: a second relay, which is the restarted one, or direct.
        call.site("bob").heal()
        await flowing(call["bob"], 40)
        await flowing(call["alice"], 40)
        gaps = [worst_gap(await call[label].stats()) for label in ("alice", "bob")]
        return max(gaps) / 1000


@RUNS
async def test_relayed_call_comes_back(tmp_path: Path, runs: int) -> None:
    await repeated("F19 gap, s", runs, tmp_path, 8.0, one_death, together=2)
