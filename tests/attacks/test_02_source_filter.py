"""Class 2, ASVS 17.2.6: what is not STUN from a foreign source reaches neither DTLS nor SRTP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.attacks.attacker import Attacker, rtp_packet
from tests.attacks.bystanders import Bystanders
from tests.interop import clients, scenario
from tests.interop.peer import Peer, running, track
from tests.interop.servers import Server

# A DTLS 1.2 record header (RFC 6347 section 4.1) of a handshake or an alert, then what follows.
HELLO = bytes.fromhex("16fefd0000000000000000") + (60).to_bytes(2, "big") + b"\x01" + b"\x00" * 59
FATAL_ALERT = bytes.fromhex("15fefd0000000000000000") + (2).to_bytes(2, "big") + b"\x02\x28"
SPOKEN = 100
OPUS = b"\x78" + b"\x01" * 60


async def test_foreign_hello_and_alert_do_not_race_a_slow_handshake(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    async with bystanders.unharmed(), Attacker(server, room, "victim") as victim:
        victim.handshake.clear()
        await victim.connect(wait=False)
        await victim.checked()

        async def junk() -> None:
            for _ in range(300):
                victim.foreign(HELLO)
                victim.foreign(FATAL_ALERT)
                await asyncio.sleep(0.01)

        await bystanders.counted({"unvalidated_source"}, junk)
        victim.handshake.set()
        await victim.connected()


async def test_junk_of_the_right_source_before_the_handshake(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """A handshake that fails from junk is begun afresh."""
    async with bystanders.unharmed(), Attacker(server, room, "victim") as victim:
        victim.handshake.clear()
        await victim.connect(wait=False)
        await victim.checked()
        await victim.raw(HELLO)
        await victim.raw(FATAL_ALERT)
        victim.handshake.set()
        await victim.connected()


async def speak(mallory: Attacker, first: int, send: Callable[[bytes], Awaitable[None]]) -> None:
    """A hundred packets of audio with the real keys."""
    ssrc, payload_type = mallory.ssrc("audio"), mallory.payload_type("audio")
    for number in range(first, first + SPOKEN):
        clear = rtp_packet(payload_type, number, number * 960, ssrc, OPUS)
        await send(mallory.dtls._tx_srtp.protect(clear))
        await asyncio.sleep(0.002)


async def heard(watcher: Peer) -> int:
    await asyncio.sleep(1)
    return int(track(await watcher.stats(), "audio")["packets"])


async def test_foreign_media_is_not_forwarded(
    server: Server, room: str, bystanders: Bystanders, tmp_path: Path
) -> None:
    """Class 4 too: media from an unvalidated source is neither taken nor does it redirect any,
    not even when it has the victim's keys. A watcher hears what the victim itself sends."""
    dice = random.Random(4)
    starting = clients.start("libwebrtc", tmp_path, name="watcher")
    async with (
        bystanders.unharmed(),
        running(starting) as (watcher,),
        Attacker(server, room, "victim") as victim,
    ):
        await scenario.join(server, room, watcher)
        await victim.connect(live=False)
        await speak(victim, 1000, victim.raw)
        before = await heard(watcher)
        assert before > 0.9 * SPOKEN
        ssrc, payload_type = victim.ssrc("video"), victim.payload_type("video")

        async def elsewhere(packet: bytes) -> None:
            victim.foreign(packet)

        async def bleed() -> None:
            await speak(victim, 1000 + SPOKEN, elsewhere)
            for number in range(2000):
                payload = dice.randbytes(900)
                victim.foreign(rtp_packet(payload_type, number, number * 3000, ssrc, payload))
                if number % 50 == 0:
                    await asyncio.sleep(0.005)

        await bystanders.counted({"unvalidated_source"}, bleed, at_least=SPOKEN)
        assert await heard(watcher) == before, "a packet of a foreign source was forwarded"
        assert track(await watcher.stats(), "video")["packets"] == 0, "so was a forged one"
        received = 0
        while True:
            try:
                victim.socket.recv(2048)
                received += 1
            except BlockingIOError:
                break
        assert received == 0, "media went to a source that was never validated"
        assert victim.pc.connectionState == "connected"
        await speak(victim, 1000 + 2 * SPOKEN, victim.raw)
        assert await heard(watcher) > before + 0.9 * SPOKEN
