"""F9: a client moves from one network to another; media pauses at most 2 s (p95)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.network.faults import RUNS, repeated
from tests.network.netns import Lab, veth
from tests.network.rig import calling, flowing, worst_gap

pytestmark = [pytest.mark.namespaces, pytest.mark.browser]
SECOND = ("198.51.100.202", "198.51.100.201", "198.51.100.200/30")


def second_network(lab: Lab, label: str) -> None:
    """Another cable to the server, used by what is bound to its address, or when the first goes."""
    address, gateway, network = SECOND
    space = lab[label].space
    veth(space, "other", lab.server, "b99")
    space.ip("addr", "add", f"{address}/30", "dev", "other")
    lab.server.ip("addr", "add", f"{gateway}/30", "dev", "b99")
    lab.server.ip("route", "replace", network, "dev", "b99", "src", "203.0.113.10")
    space.ip("route", "add", "default", "via", gateway, "metric", "200")
    space.ip("rule", "add", "from", address, "table", "99")
    space.ip("route", "add", "default", "via", gateway, "table", "99")


async def one_change(folder: Path, seed: int) -> float:
    """Seconds without media, in the worse direction, when the first cable is pulled."""
    software = {"mover": "chromium"}
    async with calling(
        folder, direct=("mover", "bob"), seed=seed, software=software, join=False
    ) as call:
        second_network(call.lab, "mover")
        await call.join("mover")
        await call.join("bob")
        await call.publish("mover")
        await call.publish("bob")
        await flowing(call["mover"])
        await flowing(call["bob"])
        for label in ("mover", "bob"):
            await call[label].do("reset_gap")
        call.site("mover").space.ip("link", "set", "wan", "down")
        await flowing(call["bob"], 30)
        await flowing(call["mover"], 30)
        gaps = [worst_gap(await call[label].stats()) for label in ("mover", "bob")]
        return max(gaps) / 1000


@RUNS
async def test_media_follows_to_the_other_network(tmp_path: Path, runs: int) -> None:
    await repeated("F9 gap, s", runs, tmp_path, 2.0, one_change, together=2)


async def ice_restart(folder: Path, seed: int, single: bool) -> float:
    """The address changes under the only interface: the client must restart ICE."""
    async with calling(folder, direct=("mover", "bob"), seed=seed, single=single) as call:
        await call.publish("mover")
        await call.publish("bob")
        await flowing(call["mover"])
        await flowing(call["bob"])
        before, names = await call["bob"].stats(), await call["mover"].do("credentials")
        space, (address, gateway, network) = call.site("mover").space, SECOND
        call.lab.server.ip("addr", "add", f"{gateway}/30", "dev", "b0")
        call.lab.server.ip("route", "replace", network, "dev", "b0", "src", "203.0.113.10")
        await call["bob"].do("reset_gap")
        space.ip("addr", "flush", "dev", "wan", "scope", "global")
        space.ip("addr", "add", f"{address}/30", "dev", "wan")
        space.ip("route", "replace", "default", "via", gateway)
        await call["mover"].do("simulate", scenario="SIMULATE_SIGNAL_RECONNECT")
        await flowing(call["bob"], 40)
        await flowing(call["mover"], 40)
        after = await call["bob"].stats()
        assert after["remote"] == before["remote"], "a track was published again"
        renamed = await call["mover"].do("credentials")
        for side in ("local", "remote"):
            assert len(names[side]) == len(renamed[side]) == (1 if single else 2), (names, renamed)
            assert not set(names[side]) & set(renamed[side]), "ICE did not restart"
        return worst_gap(after) / 1000


@pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])
async def test_ice_restart_after_a_change_of_address(tmp_path: Path, single: bool) -> None:
    """No figure is promised for a client that has to notice by itself; it resumes, same tracks."""
    change = partial(ice_restart, single=single)
    await repeated("ICE restart gap, s", 1, tmp_path, 30.0, change)
