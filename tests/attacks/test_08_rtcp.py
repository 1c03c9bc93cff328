"""Class 8: a watcher's RTCP: keyframe storms, endless NACKs, lies about bandwidth, foreign BYEs."""

from __future__ import annotations

import asyncio
import random
import struct
from pathlib import Path

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.interop import clients, scenario
from tests.interop.peer import Peer, running, track
from tests.interop.servers import Server


def feedback(kind: int, form: int, media: int, control: bytes = b"") -> bytes:
    """RFC 4585 section 6.1."""
    words = 2 + len(control) // 4
    return struct.pack("!BBHII", 0x80 | form, kind, words, 1, media) + control


def offered_ssrcs(answer: str) -> list[int]:
    """The SSRCs that the server sends with, from its answer."""
    lines = [line for line in answer.splitlines() if line.startswith("a=ssrc:")]
    return list(dict.fromkeys(int(line.split()[0].removeprefix("a=ssrc:")) for line in lines))


async def _storm(mallory: Attacker, ssrcs: list[int]) -> None:
    dice = random.Random(8)
    for round_number in range(300):
        for ssrc in ssrcs:
            await mallory.rtcp(feedback(206, 1, ssrc))  # PLI
            fir = struct.pack("!IBBBB", ssrc, round_number & 255, 0, 0, 0)
            await mallory.rtcp(feedback(206, 4, ssrc, fir))
            blocks = struct.pack("!HH", dice.randrange(65536), 0xFFFF) * 100
            await mallory.rtcp(feedback(205, 1, ssrc, blocks))  # NACK
        await mallory.rtcp(_remb(ssrcs, dice.choice([0, 10**12])))
        await mallory.rtcp(struct.pack("!BBHI", 0x81, 203, 1, 0x1234567))  # BYE of a stranger
        await mallory.rtcp(struct.pack("!BBHI", 0x80, 201, 0xFFFF, 1))  # a length beyond the packet
        await mallory.rtcp(struct.pack("!BBHI", 0x9F, 200, 1, 1))  # more reports than bytes
        await mallory.rtcp(feedback(205, 15, ssrcs[0], dice.randbytes(40)))  # transport-cc noise
        await asyncio.sleep(0.01)


def _remb(ssrcs: list[int], rate: int) -> bytes:
    exponent = max(0, rate.bit_length() - 18)
    value = (exponent << 18) | (rate >> exponent)
    body = b"REMB" + struct.pack("!I", (len(ssrcs) << 24) | value)
    return feedback(206, 15, 0, body + b"".join(struct.pack("!I", s) for s in ssrcs))


async def test_feedback_storm_is_bounded(
    server: Server, room: str, bystanders: Bystanders, tmp_path: Path
) -> None:
    starting = [clients.start("libwebrtc", tmp_path, name=n) for n in ("alice", "bob")]
    async with (
        bystanders.unharmed(),
        running(*starting) as (alice, bob),
        Attacker(server, room, "mallory", "whep") as mallory,
    ):
        await scenario.join_all(server, room, [alice, bob])
        await alice.do("publish", kind="audio")
        await alice.do("publish", kind="video")
        await scenario.hears_and_sees(bob)
        await mallory.connect(participants=["alice"])
        await _attacked(alice, bob, mallory)


async def _attacked(alice: Peer, bob: Peer, mallory: Attacker) -> None:
    ssrcs = offered_ssrcs(mallory.answer)
    assert ssrcs
    sent, seen = await alice.do("sent"), await bob.stats()
    started = asyncio.get_running_loop().time()
    await _storm(mallory, ssrcs)
    seconds = asyncio.get_running_loop().time() - started
    after, seen_after = await alice.do("sent"), await bob.stats()
    # One request per 500 ms and layer; one layer here, and bob may have asked once himself.
    assert after["plis"] - sent["plis"] <= 2 * seconds + 3
    assert after["retransmitted"] - sent["retransmitted"] <= 20, "NACKs of a watcher went upstream"
    grown = track(seen_after, "video")["frames"] - track(seen, "video")["frames"]
    assert grown >= 5 * seconds, "the other watcher suffered"
    assert seen_after["state"] == "connected"
