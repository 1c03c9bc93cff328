"""The rig itself: what the bridge is told is what a packet meets, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.network.netns import SERVER_ADDRESS, Bridge, Lab, Site, lab, run

pytestmark = pytest.mark.namespaces
PROBE = str(Path(__file__).with_name("probe.py"))
PORT = 9999


def _ask(site: Site, count: int = 50, gap_ms: float = 10, size: int = 100) -> dict[str, Any]:
    words = (PROBE, "ask", SERVER_ADDRESS, str(PORT), str(count), str(gap_ms), str(size))
    parsed: dict[str, Any] = json.loads(site.space.run("nice", "-n", "-10", sys.executable, *words))
    return parsed


@contextlib.contextmanager
def _echoing(impaired: bool = True) -> Iterator[tuple[Lab, Site, Bridge | None]]:
    labels: dict[str, tuple[str, ...]] = {"impaired" if impaired else "direct": ("a",)}
    with lab(**labels) as rig:  # type: ignore[arg-type]
        words = [
            "ip",
            "netns",
            "exec",
            rig.server.name,
            "nice",
            "-n",
            "-10",
            sys.executable,
            PROBE,
            "echo",
            str(PORT),
        ]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield rig, rig["a"], rig["a"].bridge
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_bridge_delays_loses_and_heals() -> None:
    with _echoing() as (_, site, bridge):
        assert bridge is not None
        quiet = _ask(site)
        assert quiet["unique"] == 50 and quiet["median_ms"] < 10
        bridge.set("both", delay=50)
        assert 99 < _ask(site)["median_ms"] < 120
        bridge.set("both", delay=0, loss=30)
        assert 35 < 100 - _ask(site, 400, 2)["unique"] / 4 < 67
        bridge.clear()
        assert _ask(site)["unique"] == 50


def test_bridge_duplicates_and_reorders() -> None:
    with _echoing() as (_, site, bridge):
        assert bridge is not None
        bridge.set("down", duplicate=50)
        doubled = _ask(site, 200, 2)
        assert doubled["unique"] == 200 and 250 < doubled["all"] < 350
        bridge.set("down", duplicate=0, reorder=10)
        assert _ask(site, 200, 5)["late"] > 5


def test_bridge_limits_the_rate() -> None:
    """2 Mbit/s offered through 1 Mbit/s: half is lost, the rest waits as long as the queue."""
    with _echoing() as (_, site, bridge):
        assert bridge is not None
        bridge.set("up", rate=1000, queue=100)
        limited = _ask(site, 400, 4.9, 1200)
        assert 0.35 < limited["unique"] / 400 < 0.65
        assert 70 < limited["median_ms"] < 160
        assert bridge.stats()["up"]["overflowed"] > 100


def test_a_cable_and_nothing_left_behind() -> None:
    with _echoing(impaired=False) as (rig, site, _):
        assert _ask(site, 20)["unique"] == 20
    left = run("ip", "netns", "list")
    assert rig.server.name not in left and site.name not in left
