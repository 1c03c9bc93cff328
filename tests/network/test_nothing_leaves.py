"""All traffic to the outside refused: everything works, nothing tries to leave (It must show 8).

Names that are asked for count too. What the kernel does by itself when a device comes up (neighbour
discovery, multicast listeners) is let through; multicast is counted apart: mDNS and SSDP are how
browsers look for screens to cast to, theirs and not the page's, and none of ours may send any.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
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
from tests.interop.whip_client import ffmpeg_publisher
from tests.network.netns import Namespace, namespace
from tests.signaling.files import samples
from tests.web.test_page import WEB, server_command

pytestmark = pytest.mark.namespaces
ADDRESS = "192.0.2.10"
# Whatever is not for this machine is counted and refused.
FENCE = f"""table inet fence {{
 counter outside {{ }}
 counter names {{ }}
 counter multicast {{ }}
 counter kernel {{ }}
 chain output {{
  type filter hook output priority 0
  meta l4proto {{ tcp, udp }} th dport 53 counter name names
  oifname "lo" accept
  ip daddr {{ 127.0.0.0/8, {ADDRESS} }} accept
  icmpv6 type {{ 130, 131, 132, 133, 134, 135, 136, 143 }} counter name kernel accept
  ip protocol igmp counter name kernel accept
  ip daddr 224.0.0.0/4 counter name multicast accept
  ip6 daddr ff00::/8 counter name multicast accept
  counter name outside reject
 }}
}}"""


def counted(space: Namespace) -> dict[str, int]:
    listed: dict[str, Any] = json.loads(space.run("nft", "-j", "list", "counters"))
    found = (item["counter"] for item in listed["nftables"] if "counter" in item)
    return {counter["name"]: counter["packets"] for counter in found}


def nothing_left(space: Namespace, browser: bool = False) -> None:
    """A browser may ask for names and multicast on its own account; its page is judged apart."""
    seen = counted(space)
    print(seen)
    ours = {"outside"} if browser else {"outside", "names", "multicast"}
    assert all(seen[name] == 0 for name in ours), seen


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
        nothing_left(space)


def test_an_attempt_is_counted() -> None:
    """The fence sees what it is for."""
    script = (
        "import contextlib, socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for to in (('198.51.100.1', 9), ('127.0.0.1', 53), ('224.0.0.251', 5353)):\n"
        "    with contextlib.suppress(OSError):\n"
        "        s.sendto(b'x', to)\n"
    )
    with alone() as space:
        before = counted(space)
        space.run(sys.executable, "-c", script)
        after = counted(space)
        for name in ("outside", "names", "multicast"):
            assert after[name] == before[name] + 1, name


@pytest.mark.browser
def test_page_without_an_outside(tmp_path: Path) -> None:
    """Two tabs of the page in a call; the scenario itself asserts that it asks its server alone."""
    node = shutil.which("node")
    assert node is not None, "node is missing"
    with alone() as space:
        words = [node, "e2e/run.mjs", "--only", "two Chromium tabs see and hear"]
        ports = [7880, 7443, 7889, 7882, 7881]
        words += ["--serve", server_command(ports, tmp_path, [])]
        words += ["--origin", "http://127.0.0.1:7880", "--log", str(tmp_path / "log")]
        done = subprocess.run(
            ["ip", "netns", "exec", space.name, *words],
            cwd=WEB, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert "1 of 1 scenarios passed" in done.stdout
        nothing_left(space, browser=True)


async def test_whip_without_an_outside(tmp_path: Path) -> None:
    with alone() as space:
        place = Place("127.0.0.1", space.name, turn=False)
        with serving(tmp_path / "server", place) as server:
            async with running(clients.start("libwebrtc", tmp_path, space.name)) as (watcher,):
                await scenario.join(server, "alone", watcher)
                words = ["ip", "netns", "exec", space.name, *ffmpeg_publisher(server, "alone")]
                encoder = await asyncio.create_subprocess_exec(*words)
                try:
                    await scenario.hears_and_sees(watcher, within=30)
                finally:
                    encoder.terminate()
                    await encoder.wait()
        nothing_left(space)


@pytest.mark.browser
async def test_relay_without_an_outside(tmp_path: Path) -> None:
    """One side has nothing but TURN."""
    with alone() as space:
        space.hosts(server_test="127.0.0.1")
        place = Place("127.0.0.1", space.name, turn=True)
        starting = (
            clients.start("chromium", tmp_path, space.name),
            clients.start("libwebrtc", tmp_path, space.name),
        )
        with serving(tmp_path / "server", place) as server:
            async with running(*starting) as (tab, other):
                await scenario.join(server, "alone", tab, relay=True)
                await scenario.join(server, "alone", other)
                for peer in (tab, other):
                    await peer.do("publish", kind="audio")
                    await peer.do("publish", kind="video")
                await asyncio.gather(*(scenario.hears_and_sees(p, within=40) for p in (tab, other)))
                pairs = (await tab.do("transport"))["pairs"]
                assert pairs and {pair["type"] for pair in pairs} == {"relay"}, pairs
        nothing_left(space, browser=True)


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
        nothing_left(space)
