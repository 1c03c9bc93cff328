"""F15: a client falls silent and closes nothing: offline within 30 s, everything freed in 45 s."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.network.faults import RUNS, repeated
from tests.network.rig import Call, calling, flowing, happened

pytestmark = pytest.mark.namespaces
FREED = 45.0
# What a client holds: on the call's side, in each engine thread, of the process.
HELD = re.compile(
    r"^(sotto_(?:participants|publications|subscriptions|transports|connections|tasks"
    r"|handshakes_waiting|engine_(?:transports|publications|subscriptions))"
    r"|process_open_fds)(?:{.*})? (\d+)$",
    re.MULTILINE,
)


def asked(call: Call, path: str) -> str:
    """What the operator sees."""
    return call.lab.server.run("curl", "-s", f"http://127.0.0.1:7889{path}")


def participants(call: Call) -> int:
    return sum(int(c["participant_count"]) for c in json.loads(asked(call, "/calls"))["calls"])


def held(call: Call) -> Counter[str]:
    """The gauges, with those of the engine's threads added up."""
    sums = Counter[str]()
    for name, value in HELD.findall(asked(call, "/metrics")):
        sums[name] += int(value)
    return sums


async def counted(call: Call, before: Counter[str]) -> None:
    """Until who came is seen by what tells that they are gone; the engine tells each second."""
    end = time.monotonic() + 10
    while not {"sotto_engine_transports", "sotto_connections", "sotto_tasks"} <= set(
        more := held(call) - before
    ):
        assert time.monotonic() < end, more
        await asyncio.sleep(0.2)


async def one_silence(folder: Path, seed: int) -> float:
    """Seconds until the others see the silent client gone; then all that it held is freed."""
    async with calling(folder, direct=("alice", "bob"), seed=seed, join=False) as call:
        await call.join("bob")
        await asyncio.sleep(2)  # the engine's figures are at most a second old
        before = held(call)
        await call.join("alice")
        await call.publish("alice")
        await flowing(call["bob"])
        assert participants(call) == 2
        await counted(call, before)
        call.site("alice").cut("meta l4proto { tcp, udp, icmp }")
        silent = time.monotonic()
        await call["bob"].until(happened("left:alice"), FREED, "alice offline")
        gone = time.monotonic() - silent
        assert participants(call) == 1
        while left := held(call) - before:
            assert time.monotonic() - silent < FREED, left
            await asyncio.sleep(0.5)
        print(f"everything freed after {time.monotonic() - silent:.1f} s", flush=True)
        return gone


@RUNS
async def test_silent_client_is_shown_offline(tmp_path: Path, runs: int) -> None:
    await repeated("F15 offline after, s", runs, tmp_path, 30.0, one_silence, together=4)
