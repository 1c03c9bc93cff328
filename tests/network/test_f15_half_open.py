"""F15: a client falls silent and closes nothing: offline within 30 s, everything freed in 45 s."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.network.faults import RUNS, repeated
from tests.network.rig import Call, calling, flowing, happened

pytestmark = pytest.mark.namespaces


def participants(call: Call) -> int:
    """As the operator sees it."""
    text = call.lab.server.run("curl", "-s", "http://127.0.0.1:7889/calls")
    return sum(int(c["participant_count"]) for c in json.loads(text)["calls"])


async def one_silence(folder: Path, seed: int) -> float:
    """Seconds until the others see the silent client gone."""
    async with calling(folder, direct=("alice", "bob"), seed=seed) as call:
        await call.publish("alice")
        await flowing(call["bob"])
        assert participants(call) == 2
        call.site("alice").cut("meta l4proto { tcp, udp, icmp }")
        silent = time.monotonic()
        await call["bob"].until(happened("left:alice"), 45, "alice offline")
        gone = time.monotonic() - silent
        assert participants(call) == 1
        return gone


@RUNS
async def test_silent_client_is_shown_offline(tmp_path: Path, runs: int) -> None:
    await repeated("F15 offline after, s", runs, tmp_path, 30.0, one_silence, together=4)
