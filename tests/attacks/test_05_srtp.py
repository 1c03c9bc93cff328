"""Classes 5 to 7, ASVS 17.2.3 to 17.2.5: replayed, forged, malformed SRTP; others' SSRCs."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from pathlib import Path

import pytest

from tests.attacks.attacker import Attacker, rtp_packet
from tests.attacks.bystanders import Bystanders
from tests.interop import clients, scenario
from tests.interop.peer import Peer, running, track
from tests.interop.servers import Server

# Packets a second of the fuzzer.
PACE = 4_000
REPLAYED = 5_000  # far more than the window of 1024 holds
OPUS = b"\x78" + b"\x01" * 60


async def _speak(attacker: Attacker, count: int, keep: list[bytes] | None = None) -> None:
    """That many packets of audio with the real keys, far faster than real time."""
    began = time.monotonic()
    ssrc, payload_type = attacker.ssrc("audio"), attacker.payload_type("audio")
    for number in range(count):
        clear = rtp_packet(payload_type, 1000 + number, number * 960, ssrc, OPUS)
        cipher = attacker.dtls._tx_srtp.protect(clear)
        if keep is not None:
            keep.append(cipher)
        await attacker.raw(cipher)
        await _paced(began, number)


async def _paced(began: float, number: int) -> None:
    """Below the server's limit for one source, so that all of it is read."""
    if number % 20 == 0:
        await asyncio.sleep(max(0.0, began + number / PACE - time.monotonic()))


async def _settled(peer: Peer) -> int:
    await asyncio.sleep(0.7)
    return int(track(await peer.stats(), "audio")["packets"])


async def test_replayed_forged_and_plain_packets_are_not_forwarded(
    server: Server, room: str, bystanders: Bystanders, tmp_path: Path
) -> None:
    starting = clients.start("libwebrtc", tmp_path, name="watcher")
    async with (
        bystanders.unharmed(),
        running(starting) as (watcher,),
        Attacker(server, room, "mallory") as mallory,
    ):
        await scenario.join(server, room, watcher)
        await mallory.connect(live=False)
        sent: list[bytes] = []
        await _speak(mallory, REPLAYED, sent)
        heard = await _settled(watcher)
        assert heard > 0.9 * REPLAYED

        async def again() -> None:
            began = time.monotonic()
            for number, packet in enumerate(sent):
                await mallory.raw(packet)
                await _paced(began, number)

        refused = {"replay", "too_old", "duplicate"}
        await bystanders.counted(refused, again, at_least=0.99 * REPLAYED)
        assert await _settled(watcher) == heard, "a replayed packet was forwarded"

        async def forge() -> None:
            for packet in sent[:200]:
                for at in (13, len(packet) // 2, len(packet) - 1):
                    turned = bytearray(packet)
                    turned[at] ^= 0x40
                    turned[2:4] = struct.pack("!H", 5000)
                    await mallory.raw(bytes(turned))
                await mallory.raw(rtp_packet(111, 6000, 1, mallory.ssrc("audio"), OPUS))

        await bystanders.counted({"auth_fail"}, forge)
        assert await _settled(watcher) == heard, "a forged packet was forwarded"


async def test_somebody_elses_ssrc(
    server: Server, room: str, bystanders: Bystanders, tmp_path: Path
) -> None:
    starting = clients.start("libwebrtc", tmp_path, name="watcher")
    async with (
        bystanders.unharmed(),
        running(starting) as (watcher,),
        Attacker(server, room, "victim") as victim,
        Attacker(server, room, "thief") as thief,
    ):
        await scenario.join(server, room, watcher)
        await victim.connect()
        await watcher.until(lambda s: track(s, "audio")["packets"] > 20, 20, "the victim heard")
        before = track(await watcher.stats(), "audio")
        await thief.connect(live=False)
        stolen = victim.ssrc("audio")
        for number in range(500):
            packet = rtp_packet(thief.payload_type("audio"), number, number * 960, stolen, OPUS)
            await thief.rtp(packet)
            await asyncio.sleep(0.002)
        await asyncio.sleep(1)
        after = next(t for t in (await watcher.stats())["tracks"] if t["sid"] == before["sid"])
        grown, lost = after["packets"] - before["packets"], after["lost"] - before["lost"]
        assert 50 < grown < 400 and lost == 0, (before, after)


def _oddities(dice: random.Random, payload_type: int, ssrc: int, sequence: int) -> bytes:
    """One malformed packet: extensions, padding, CSRCs, RED nesting or noise."""
    kind = dice.randrange(8)
    extension = struct.pack("!HH", 0xBEDE, 1)
    if kind == 0:  # one-byte id 15 (RFC 8285 section 4.2)
        return rtp_packet(payload_type, sequence, 1, ssrc, extension + b"\xf0\1\1\1" + OPUS, 0x90)
    if kind == 1:  # a length beyond the extension
        return rtp_packet(payload_type, sequence, 1, ssrc, extension + b"\x1f\1\1\1" + OPUS, 0x90)
    if kind == 2:  # two-byte profile, 255 bytes promised
        head = struct.pack("!HH", 0x1000, 1) + b"\x01\xff\0\0"
        return rtp_packet(payload_type, sequence, 1, ssrc, head + OPUS, 0x90)
    if kind == 3:  # more extension words than packet
        head = struct.pack("!HH", 0xBEDE, 0xFFFF)
        return rtp_packet(payload_type, sequence, 1, ssrc, head + OPUS, 0x90)
    if kind == 4:  # padding of 0, and of more than there is (RFC 3550 section 5.1)
        last = dice.choice([b"\0", b"\xff"])
        return rtp_packet(payload_type, sequence, 1, ssrc, b"\1\2\3" + last, 0xA0)
    if kind == 5:  # fifteen CSRCs promised
        return rtp_packet(payload_type, sequence, 1, ssrc, b"\1" * 8, 0x8F)
    if kind == 6:  # RTX or RED with an empty or a short payload, nested lengths
        other = dice.randrange(35, 128)
        return rtp_packet(other, sequence, 1, ssrc, dice.choice([b"", b"\1", b"\xff" * 5]), 0x80)
    noise = dice.randbytes(dice.randrange(0, 300))
    return rtp_packet(dice.randrange(128), sequence, 1, ssrc, noise, 0x80 | dice.randrange(64))


async def fuzz(attacker: Attacker, packets: int, seed: int) -> None:
    dice = random.Random(seed)
    began = time.monotonic()
    for number in range(packets):
        kind = "audio" if number & 1 else "video"
        packet = _oddities(dice, attacker.payload_type(kind), attacker.ssrc(kind), number)
        await attacker.rtp(packet)
        await _paced(began, number)


@pytest.mark.parametrize(
    "packets",
    [20_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.part("attacks")])],
)
async def test_malformed_packets_of_an_authenticated_sender(
    server: Server, room: str, bystanders: Bystanders, tmp_path: Path, packets: int
) -> None:
    """17.2.4."""
    starting = clients.start("libwebrtc", tmp_path, name="watcher")
    async with (
        bystanders.unharmed(),
        running(starting) as (watcher,),
        Attacker(server, room, "mallory") as mallory,
    ):
        await scenario.join(server, room, watcher)
        await mallory.connect(live=False)
        refused = bystanders.drops().get("over_rate", 0)
        await fuzz(mallory, packets, 7)
        refused = bystanders.drops().get("over_rate", 0) - refused
        assert refused < packets / 10, "most of it was refused unread"
        assert (await watcher.stats())["state"] == "connected"


async def test_flood_of_one_authenticated_sender(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """17.2.5: more packets than any sender may send are capped at the source."""
    async with bystanders.unharmed(5), Attacker(server, room, "mallory") as mallory:
        await mallory.connect(live=False)

        ssrc, payload_type = mallory.ssrc("audio"), mallory.payload_type("audio")
        clear = (rtp_packet(payload_type, n, n * 960, ssrc, OPUS) for n in range(30_000))
        packets = [mallory.dtls._tx_srtp.protect(packet) for packet in clear]

        async def flood() -> None:
            for at in range(0, len(packets), 10_000):
                mallory.blast(packets[at : at + 10_000])
                await asyncio.sleep(0.1)

        await bystanders.counted({"over_rate"}, flood)
