"""F14: the client's NAT gives it another address and port; media pauses at most 3 s."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.network.faults import RUNS, repeated
from tests.network.netns import Lab, Namespace, namespace, veth
from tests.network.rig import calling, flowing, worst_gap

pytestmark = pytest.mark.namespaces
FIRST, OTHER, GATEWAY = "198.51.100.226", "198.51.100.227", "198.51.100.225"
MASQUERADE = """table ip nat {{
 chain post {{
  type nat hook postrouting priority 100
  oifname "wan" meta l4proto {{ tcp, udp }} masquerade to :{low}-{high}
 }}
}}"""


def behind_nat(lab: Lab, label: str, nat: Namespace) -> None:
    """The client's cable now ends at a router that hides it behind one address."""
    space = lab[label].space
    space.ip("link", "set", "wan", "down")
    veth(space, "home", nat, "home")
    veth(nat, "wan", lab.server, "b98")
    space.ip("addr", "add", "192.0.2.2/30", "dev", "home")
    nat.ip("addr", "add", "192.0.2.1/30", "dev", "home")
    space.ip("route", "replace", "default", "via", "192.0.2.1")
    nat.ip("addr", "add", f"{FIRST}/29", "dev", "wan")
    lab.server.ip("addr", "add", f"{GATEWAY}/29", "dev", "b98")
    network = "198.51.100.224/29"
    lab.server.ip("route", "replace", network, "dev", "b98", "src", "203.0.113.10")
    nat.ip("route", "add", "default", "via", GATEWAY)
    nat.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.promote_secondaries=1")
    nat.nft(MASQUERADE.format(low=20000, high=20999))


async def one_rebinding(folder: Path, seed: int) -> float:
    """Seconds without media in the worse direction after the router's address changed."""
    with namespace("nat") as nat:
        async with calling(folder, direct=("alice", "bob"), seed=seed, join=False) as call:
            behind_nat(call.lab, "alice", nat)
            await call.join("alice")
            await call.join("bob")
            await call.publish("alice")
            await call.publish("bob")
            await flowing(call["alice"])
            await flowing(call["bob"])
            for label in ("alice", "bob"):
                await call[label].do("reset_gap")
            nat.run("nft", "delete", "table", "ip", "nat")
            nat.nft(MASQUERADE.format(low=30000, high=30999))
            nat.ip("addr", "add", f"{OTHER}/29", "dev", "wan")
            # Losing the address makes the kernel forget every mapping to it.
            nat.ip("addr", "del", f"{FIRST}/29", "dev", "wan")
            nat.ip("route", "replace", "default", "via", GATEWAY)
            await flowing(call["bob"], 30)
            await flowing(call["alice"], 30)
            gaps = [worst_gap(await call[label].stats()) for label in ("alice", "bob")]
            return max(gaps) / 1000


@RUNS
async def test_another_mapping(tmp_path: Path, runs: int) -> None:
    await repeated("F14 gap, s", runs, tmp_path, 3.0, one_rebinding, together=4)
