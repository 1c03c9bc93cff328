"""Class 1: empty and one-byte datagrams, and every first byte, before DTLS and after it."""

from __future__ import annotations

import asyncio
import random

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.interop.servers import Server


async def _everything(attacker: Attacker, seed: int) -> None:
    dice = random.Random(seed)
    for first in range(256):
        for length in (1, 2, 12, 13, 20, 200, 1400):
            datagram = bytes([first]) + dice.randbytes(length - 1)
            attacker.foreign(datagram)
            await attacker.raw(datagram)
        attacker.foreign(b"")
        await attacker.raw(b"")
        await asyncio.sleep(0)


async def test_before_the_handshake(server: Server, room: str, bystanders: Bystanders) -> None:
    async with bystanders.unharmed(), Attacker(server, room, "odd") as attacker:
        attacker.handshake.clear()
        await attacker.connect(wait=False)
        await attacker.checked()
        await _everything(attacker, 1)
        attacker.handshake.set()
        await attacker.connected()


async def test_after_the_handshake(server: Server, room: str, bystanders: Bystanders) -> None:
    async with bystanders.unharmed(), Attacker(server, room, "odd") as attacker:
        await attacker.connect()
        await _everything(attacker, 2)
        await asyncio.sleep(1)
        assert attacker.pc.connectionState == "connected"
