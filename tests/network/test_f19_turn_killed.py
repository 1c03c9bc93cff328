"""F19: the TURN server is killed under a relayed call; media is back within 8 s by another way.

Where there is no other way, media is back through the relay that was started again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.interop.peer import Peer
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


async def one_death(folder: Path, seed: int, direct: bool) -> float:
    """Seconds without media, in the worse direction, after the relay died; without a direct way,
    seconds until it flows: a client that joins anew has new tracks, whose gaps begin with them.
    """
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
        assert await ways(call["bob"]) == {"relay"}
        for label in ("alice", "bob"):
            await call[label].do("reset_gap")
        kill_turnserver(call.lab.server)
        killed = time.monotonic()
        if direct:
            await asyncio.sleep(1)
            call.site("bob").heal()
        await flowing(call["bob"], 40)
        await flowing(call["alice"], 40)
        if not direct:
            back = time.monotonic() - killed
            assert await ways(call["bob"]) == {"relay"}
            return back
        gaps = [worst_gap(await call[label].stats()) for label in ("alice", "bob")]
        return max(gaps) / 1000


async def ways(peer: Peer) -> set[str]:
    """The kinds of candidate that carry media."""
    return {str(pair["type"]) for pair in (await peer.do("transport"))["pairs"]}


@RUNS
async def test_relayed_call_comes_back_directly(tmp_path: Path, runs: int) -> None:
    """The direct way opens a second after the relay died."""
    death = partial(one_death, direct=True)
    await repeated("F19 gap, s", runs, tmp_path, 8.0, death, together=2)


@RUNS
async def test_relayed_call_comes_back_by_the_restarted_relay(tmp_path: Path, runs: int) -> None:
    death = partial(one_death, direct=False)
    await repeated("F19 gap, relay alone, s", runs, tmp_path, 30.0, death, together=2)
