"""F11: half a second of jitter; nobody drops, and 30 s after it the added delay is under 300 ms."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.interop.peer import Peer
from tests.network.faults import RUNS, repeated
from tests.network.rig import calling, difference, flowing

pytestmark = pytest.mark.namespaces


async def buffered_ms(peer: Peer) -> float:
    """Mean time that audio waits in the receiver's jitter buffer now."""
    before = await peer.stats()
    await asyncio.sleep(1.5)
    grown = difference(before, await peer.stats(), "audio")
    return 1000 * grown["buffer_s"] / max(1.0, grown["buffer_n"])


async def one_storm(folder: Path, seed: int) -> float:
    """Seconds after the end until the buffer holds under 300 ms more than before it."""
    async with calling(folder, direct=("alice",), impaired=("bob",), seed=seed) as call:
        bob, bridge = call["bob"], call.site("bob").bridge
        assert bridge is not None
        await call.publish("alice")
        await flowing(bob)
        calm = await buffered_ms(bob)
        bridge.set("both", delay=250, jitter=250)
        await asyncio.sleep(10)
        during = await bob.stats()
        assert during["state"] == "connected", during["events"]
        bridge.clear()
        ended = time.monotonic()
        while await buffered_ms(bob) > calm + 300:
            assert time.monotonic() - ended < 45
        await flowing(bob)
        assert (await bob.stats())["state"] == "connected"
        return time.monotonic() - ended


@RUNS
async def test_jitter_of_half_a_second(tmp_path: Path, runs: int) -> None:
    await repeated("F11 back to calm, s", runs, tmp_path, 30.0, one_storm, together=4)
