"""ASVS 17.3.1 and 17.3.2: floods and nonsense on the signalling socket."""

from __future__ import annotations

import asyncio
import random
import time

import aiohttp
from livekit.protocol import rtc

from tests.attacks.bystanders import Bystanders
from tests.interop.servers import Server
from tests.interop.signal_driver import SignalDriver


async def ping_ms(driver: SignalDriver, count: int) -> list[float]:
    """Round trips of the signal protocol's own ping."""
    trips = []
    for number in range(count):
        started = time.monotonic()
        await driver.send(ping_req=rtc.Ping(timestamp=number + 100, rtt=0))
        while (await driver.expect("pong_resp")).last_ping_timestamp != number + 100:
            pass  # of the driver's own pings
        trips.append((time.monotonic() - started) * 1000)
        await asyncio.sleep(0.02)
    return sorted(trips)


async def test_flood_of_one_client(server: Server, room: str, bystanders: Bystanders) -> None:
    async with (
        bystanders.unharmed(),
        SignalDriver(server, room, "flooder") as flooder,
        SignalDriver(server, room + "-other", "other") as other,
    ):
        await flooder.connect()
        await other.connect()
        message = rtc.SignalRequest(ping_req=rtc.Ping(timestamp=1)).SerializeToString()
        sent, end = 0, time.monotonic() + 4

        async def flood() -> None:
            nonlocal sent
            while time.monotonic() < end and not flooder.socket.closed:
                for _ in range(200):
                    await flooder.socket.send_bytes(message)
                    sent += 1
                await asyncio.sleep(0.005)

        flooding = asyncio.create_task(flood())
        trips = await ping_ms(other, 100)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        print(f"flooded with {sent} messages; others' ping p99 {trips[98]:.1f} ms")
        assert trips[98] < 500


async def test_nonsense_ends_at_most_its_sender(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    dice = random.Random(17)
    async with bystanders.unharmed():
        for _ in range(60):
            async with SignalDriver(server, room, f"fool-{dice.random()}") as fool:
                await fool.connect()
                for _ in range(20):
                    await _nonsense(fool, dice)
        async with SignalDriver(server, room, "after") as after:
            await after.connect()
            assert (await ping_ms(after, 3))[0] < 1000


async def _nonsense(fool: SignalDriver, dice: random.Random) -> None:
    try:
        if dice.random() < 0.1:
            await fool.socket.send_str('{"__proto__": ' + "[" * dice.randrange(200) + "}")
        elif dice.random() < 0.05:
            await fool.socket.send_bytes(dice.randbytes(2_000_000))
        else:
            await fool.socket.send_bytes(dice.randbytes(dice.randrange(200)))
    except (ConnectionError, aiohttp.ClientError):
        return
