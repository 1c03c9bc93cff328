"""All traffic to the outside refused: a call works, and nothing tries to leave (It must show 8)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_quick_start import ROOT, setup_code
from tests.interop import clients, scenario
from tests.interop.peer import running
from tests.interop.servers import Place, serving
from tests.network.netns import Namespace, namespace
from tests.signaling.files import samples

pytestmark = pytest.mark.namespaces
ADDRESS = "192.0.2.10"
# Whatever is not for this machine is counted and refused; there is no default route either.
FENCE = f"""table inet fence {{
 counter outside {{ }}
 chain output {{
  type filter hook output priority 0
  oifname "lo" accept
  ip daddr {{ 127.0.0.0/8, {ADDRESS} }} accept
  meta l4proto {{ icmp, icmpv6 }} accept
  ip daddr 224.0.0.0/4 accept
  ip6 daddr ff00::/8 accept
  counter name outside reject
 }}
}}"""


def outside(space: Namespace) -> int:
    listed: dict[str, Any] = json.loads(space.run("nft", "-j", "list", "counters"))
    return sum(item["counter"]["packets"] for item in listed["nftables"] if "counter" in item)


@contextlib.contextmanager
def alone() -> Iterator[Namespace]:
    """A machine whose every packet to others is counted and refused."""
    with namespace("alone") as space:
        space.ip("link", "add", "only", "type", "veth", "peer", "name", "end")
        for device in ("only", "end"):
            space.ip("link", "set", device, "up")
        space.ip("addr", "add", f"{ADDRESS}/24", "dev", "only")
        # A default route into nothing: an attempt is seen by the fence instead of failing early.
        space.ip("route", "add", "default", "via", "192.0.2.1", "dev", "only")
        space.hosts()
        space.nft(FENCE)
        yield space


async def test_call_without_an_outside(tmp_path: Path) -> None:
    with alone() as space:
        place = Place("127.0.0.1", space.name, turn=False)
        starting = [clients.start("libwebrtc", tmp_path, space.name, name=n) for n in "ab"]
        with serving(tmp_path / "server", place) as server:
            async with running(*starting) as (one, two):
                await scenario.join_all(server, "alone", [one, two])
                await one.do("publish", kind="audio")
                await one.do("publish", kind="video")
                await scenario.hears_and_sees(two)
                await scenario.data_both_kinds(one, two)
                await scenario.streams_and_rpc(one, two)
        assert outside(space) == 0, space.run("nft", "list", "ruleset")


def test_chat_search_and_files_without_an_outside(tmp_path: Path) -> None:
    """Two accounts, a room, sync, an address in a message, a picture, search, administration."""
    picture = samples.picture("jpg", tmp_path)
    with alone() as space:
        place = Place("127.0.0.1", space.name, turn=False)
        with serving(tmp_path / "server", place) as server:
            link = setup_code(server.folder / "server.log")
            words = [
                sys.executable,
                "-m",
                "tests.network.resident",
                server.http,
                link,
                str(picture),
            ]
            done = subprocess.run(
                ["ip", "netns", "exec", space.name, *words],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": "client"}, capture_output=True,
                text=True, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]
        assert outside(space) == 0, space.run("nft", "list", "ruleset")
