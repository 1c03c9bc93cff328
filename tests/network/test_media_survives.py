"""Media survives: cut signalling, narrow and lossy paths, killed clients, blocked UDP."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.interop.peer import Stats, track
from tests.network.faults import RUNS, repeated
from tests.network.rig import Call, calling, difference, flowing, happened, worst_gap

pytestmark = pytest.mark.namespaces
LONG = [pytest.mark.long]
# libwebrtc's native SDKs rejoin after one failed attempt at resuming, so a cut of 10 s is for the
# browsers to show; the resume of the native ones is in F9 and in their own test below.
CLIENTS = pytest.mark.parametrize(
    ("client", "single"),
    [
        ("chromium", True),
        pytest.param("chromium", False, marks=LONG),
        pytest.param("firefox", True, marks=LONG),
        pytest.param("firefox", False, marks=LONG),
    ],
)
RESET = """table inet cut {
 chain output {
  type filter hook output priority 0
  tcp dport 7880 reject with tcp reset
 }
}"""


@CLIENTS
async def test_signalling_cut_for_ten_seconds_is_resumed(
    tmp_path: Path, client: str, single: bool
) -> None:
    software = {"alice": client}
    async with calling(tmp_path, direct=("alice", "bob"), software=software, single=single) as call:
        await _cut_and_resumed(call, 10)


@pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])
async def test_native_client_resumes_a_lost_socket(tmp_path: Path, single: bool) -> None:
    async with calling(tmp_path, direct=("alice", "bob"), single=single) as call:
        await _cut_and_resumed(call, 0)


async def _cut_and_resumed(call: Call, seconds: float) -> None:
    """Same sid, same tracks, media never paused, data in order afterwards."""
    alice, bob = call["alice"], call["bob"]
    await call.publish("alice")
    await call.publish("bob")
    await flowing(alice)
    before = await flowing(bob)
    old = await alice.stats()
    await bob.do("reset_gap")
    if seconds:
        call.site("alice").space.nft(RESET)
        await asyncio.sleep(seconds)
        call.site("alice").heal()
    else:
        await alice.do("simulate", scenario="SIMULATE_SIGNAL_RECONNECT")
    after = await alice.until(happened("reconnected"), 30, "reconnected")
    assert (after["sid"], after["published"]) == (old["sid"], old["published"])
    await alice.do("send", data="still here", topic="t")
    seen = await bob.until(
        lambda s: any(i["data"] == "still here" for i in s["inbox"]), 10, "data after resume"
    )
    assert not happened("left:alice")(seen)
    assert seen["remote"] == before["remote"], "a track was published again"
    assert worst_gap(seen) < 1000, seen["tracks"]
    await flowing(alice)


async def slow_beside_fast(folder: Path, seed: int) -> float:
    """Percent of the slow one's audio that was lost; the rest is judged on the way."""
    async with calling(folder, ("alice",), ("slow", "fast"), seed=seed) as call:
        slow, fast = call["slow"], call["fast"]
        for label, rate in (("slow", 300), ("fast", 5000)):
            bridge = call.site(label).bridge
            assert bridge is not None
            bridge.set("both", rate=rate, queue=300, delay=10)
        await call.publish("alice", simulcast=True, width=960, height=540)
        await fast.until(lambda s: track(s, "video")["width"] == 960, 30, "the high layer")
        await slow.until(lambda s: track(s, "video")["width"] == 320, 30, "the low layer")
        queue = call.site("slow").bridge
        assert queue is not None
        dropped = queue.stats()["down"]["overflowed"]
        await asyncio.sleep(1)  # what was dropped before is missed by now
        before, fast_before = await slow.stats(), await fast.stats()
        await asyncio.sleep(8)
        after, fast_after = await slow.stats(), await fast.stats()
        audio = difference(before, after, "audio")
        # What was lost was lost in the queue of the narrow path, nowhere else.
        assert audio["lost"] <= queue.stats()["down"]["overflowed"] - dropped
        assert difference(before, after, "video")["frames"] >= 8 * 5, after
        assert track(after, "video")["width"] == 320
        quick = difference(fast_before, fast_after, "video")
        assert quick["frames"] >= 8 * 10 and track(fast_after, "video")["width"] == 960, fast_after
        assert difference(fast_before, fast_after, "audio")["lost"] == 0
        return 100 * audio["lost"] / audio["packets"]


@RUNS
async def test_slow_and_fast_subscriber_side_by_side(tmp_path: Path, runs: int) -> None:
    await repeated("audio lost at 300 kbit/s, %", runs, tmp_path, 1.0, slow_beside_fast)


async def test_five_percent_loss(tmp_path: Path) -> None:
    async with calling(tmp_path, direct=("alice",), impaired=("bob",)) as call:
        bob, bridge = call["bob"], call.site("bob").bridge
        assert bridge is not None
        await call.publish("alice")
        await flowing(bob)
        bridge.set("both", loss=5, delay=20)
        await asyncio.sleep(2)
        before = await bob.stats()
        await asyncio.sleep(8)
        after = await bob.stats()
        assert after["state"] == "connected"
        video, audio = difference(before, after, "video"), difference(before, after, "audio")
        assert video["frames"] >= 8 * 10, video
        assert audio["concealed"] <= 0.05 * audio["samples"], audio
        assert worst_gap(after) < 1000


@pytest.mark.browser
async def test_killed_clients_are_gone(tmp_path: Path) -> None:
    """Within 5 s when their sockets close, 30 s when nothing closes; two browsers, one native."""
    software = {"tab": "chromium", "mute": "chromium"}
    labels = ("native", "tab", "mute", "bob")
    async with calling(tmp_path, direct=labels, software=software) as call:
        for label in ("native", "tab", "mute"):
            await call.publish(label)
        bob = call["bob"]
        await bob.until(lambda s: arriving(s) == 6, 30, "audio and video of all three")
        call.site("mute").cut("meta l4proto { tcp, udp, icmp }")
        killed = time.monotonic()
        for label in ("native", "tab", "mute"):
            call[label].kill()
        for label in ("native", "tab"):
            await bob.until(happened(f"left:{label}"), 7, f"{label} gone")
        assert time.monotonic() - killed <= 5
        assert not happened("left:mute")(await bob.stats())
        await bob.until(happened("left:mute"), 30, "the browser gone that closed nothing")
        assert time.monotonic() - killed <= 30


def arriving(stats: Stats) -> int:
    return sum(t["packets"] > 20 for t in stats["tracks"])


async def test_udp_blocked_falls_back_to_tcp(tmp_path: Path) -> None:
    async with calling(tmp_path, direct=("alice", "bob"), join=False) as call:
        call.site("bob").cut("meta l4proto udp")
        await call.join("alice")
        await call.join("bob")
        await call.publish("alice")
        await call.publish("bob")
        await flowing(call["bob"], 40)
        await flowing(call["alice"])
        pairs = (await call["bob"].do("transport"))["pairs"]
        assert pairs and {pair["protocol"] for pair in pairs} == {"tcp"}, pairs


@pytest.mark.browser
async def test_only_turn_over_tls_is_open(tmp_path: Path) -> None:
    """UDP, media over TCP and plain TURN blocked: the browser relays over TLS."""
    software = {"bob": "chromium"}
    async with calling(
        tmp_path, direct=("alice", "bob"), turn=True, software=software, join=False
    ) as call:
        call.site("bob").cut("meta l4proto udp", "tcp dport { 7881, 3478 }")
        await call.join("alice")
        await call.join("bob")
        await call.publish("alice")
        await call.publish("bob")
        await flowing(call["bob"], 40)
        await flowing(call["alice"])
        pairs = (await call["bob"].do("transport"))["pairs"]
        assert pairs and {(p["type"], p["relay"]) for p in pairs} == {("relay", "tls")}, pairs
