"""ASVS 17.2.5: what a flood of one authenticated sender adds to the delay of another call.

A statistic of timing, so in `make test-long` only. The flood comes from a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import quantiles

import pytest

from tests.attacks.attacker import Attacker, rtp_packet
from tests.interop.servers import Server

pytestmark = [pytest.mark.long, pytest.mark.part("attacks")]
RATE = 50_000
SECONDS = 20
PAYLOAD = b"\x78" + b"\x01" * 60
# Sends the packets of a file, all of one length, round and round at a rate.
FLOOD = """
import socket, sys, time
number, file, size, rate, seconds, host, port = sys.argv[1:]
data, size, rate = open(file, "rb").read(), int(size), int(rate)
packets = [data[at:at + size] for at in range(0, len(data), size)]
out = socket.socket(fileno=int(number))
began, sent, remote = time.monotonic(), 0, (host, int(port))
while (now := time.monotonic() - began) < float(seconds):
    for _ in range(min(500, int(now * rate) - sent)):
        try:
            out.sendto(packets[sent % len(packets)], remote)
        except OSError:
            pass
        sent += 1
    time.sleep(0.001)
print(sent)
"""


class Ear(Attacker):
    """A watcher that notes how old each packet is; its payload says when it left."""

    ages: list[float]

    def listen(self) -> None:
        self.ages = []

        async def timed(data: bytes, arrival_time_ms: int) -> None:
            (sent,) = struct.unpack("!d", data[-8:])
            self.ages.append(time.perf_counter() - sent)

        self.dtls._handle_rtp_data = timed  # type: ignore[method-assign]


async def _speak(voice: Attacker, first: int, seconds: float) -> int:
    """A packet each 5 ms that carries the time."""
    ssrc, payload_type = voice.ssrc("audio"), voice.payload_type("audio")
    end, number = time.monotonic() + seconds, first
    while time.monotonic() < end:
        payload = b"\x78" + struct.pack("!d", time.perf_counter())
        await voice.rtp(rtp_packet(payload_type, number, number * 240, ssrc, payload))
        number += 1
        await asyncio.sleep(0.005)
    return number


@contextlib.asynccontextmanager
async def _flood(mallory: Attacker, file: Path) -> AsyncIterator[None]:
    ssrc, payload_type = mallory.ssrc("audio"), mallory.payload_type("audio")
    clear = (rtp_packet(payload_type, n, n * 960, ssrc, PAYLOAD) for n in range(30_000))
    packets = [mallory.dtls._tx_srtp.protect(packet) for packet in clear]
    await asyncio.to_thread(file.write_bytes, b"".join(packets))
    pair = mallory.dtls.transport._connection._nominated[1]
    number = pair.protocol.transport.get_extra_info("socket").fileno()
    host, port = pair.remote_addr
    words = [str(number), str(file), str(len(packets[0])), str(RATE), str(SECONDS), host, str(port)]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FLOOD, *words, pass_fds=[number], stdout=asyncio.subprocess.PIPE
    )
    try:
        yield
        out, _ = await child.communicate()
        assert int(out) > RATE * SECONDS / 2, f"only {out!r} packets were sent"
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _p99(ages: list[float]) -> float:
    return quantiles(ages, n=100)[98] * 1000


async def test_flood_leaves_the_delay_of_others_within_twice(
    server: Server, room: str, tmp_path: Path
) -> None:
    async with (
        Attacker(server, room, "voice") as voice,
        Ear(server, room, "ear", "whep") as ear,
        Attacker(server, f"{room}-flood", "mallory") as mallory,
    ):
        await voice.connect(live=False)
        await ear.connect(participants=["voice"])
        ear.listen()
        number = await _speak(voice, 0, 2)
        ear.ages.clear()
        number = await _speak(voice, number, SECONDS)
        calm, heard = _p99(ear.ages), len(ear.ages)
        await mallory.connect(live=False)
        async with _flood(mallory, tmp_path / "packets"):
            ear.ages.clear()
            await _speak(voice, number, SECONDS - 1)
            busy = _p99(ear.ages)
        print(f"p99 of {heard} and {len(ear.ages)}: {calm:.2f} ms calm, {busy:.2f} ms in the flood")
        assert len(ear.ages) > 0.99 * heard * (SECONDS - 1) / SECONDS
        # Below a millisecond, twice is the noise of two shared cores.
        assert busy < 2 * calm + 1
