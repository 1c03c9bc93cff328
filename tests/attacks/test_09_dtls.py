"""Class 9, ASVS 17.2.1, 17.2.2, 17.2.8: fingerprints, suites, fragments, stalled handshakes."""

from __future__ import annotations

import asyncio
import os
import re
import struct
from typing import Any

import aiortc.rtcdtlstransport as dtls_module
import pytest
from OpenSSL import SSL

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.interop.servers import Server


async def never_connects(attacker: Attacker, within: float = 6) -> None:
    await attacker.connect(wait=False)
    for _ in range(int(within / 0.1)):
        assert attacker.pc.connectionState != "connected"
        await asyncio.sleep(0.1)


async def test_another_certificate_than_announced(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    def turned(offer: str) -> str:
        swap = {"0": "1"}
        return re.sub(
            r"(a=fingerprint:sha-256 )(.)(.)",
            lambda m: m[1] + swap.get(m[2], "0") + m[3],
            offer,
        )

    async with bystanders.unharmed(), Attacker(server, room, "impostor") as attacker:
        attacker.change = turned
        await attacker.connect(wait=False)
        await asyncio.sleep(3)
        # Our side may think itself connected; the server must give it no media path.
        async with attacker.session.http.get(server.operator + "/calls") as answer:
            calls = await answer.json()
        mine = [c for c in calls["calls"] if c["room"] == room]
        assert not mine or mine[0].get("track_count", 0) == 0 or await _silent(attacker)


async def _silent(attacker: Attacker) -> bool:
    stats = await attacker.pc.getStats()
    return all(
        getattr(s, "packetsLost", 0) == 0 for s in stats.values() if s.type == "remote-inbound-rtp"
    )


@pytest.mark.parametrize(
    "suites", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-NULL-SHA"]
)
async def test_weak_suites_are_refused(
    server: Server, room: str, bystanders: Bystanders, monkeypatch: pytest.MonkeyPatch, suites: str
) -> None:
    original = dtls_module.RTCCertificate._create_ssl_context

    def weak(self: Any, *args: Any, **named: Any) -> SSL.Context:
        context = original(self, *args, **named)
        context.set_cipher_list((suites + ":@SECLEVEL=0").encode())
        return context

    async with bystanders.unharmed(), Attacker(server, room, "weak") as attacker:
        monkeypatch.setattr(dtls_module.RTCCertificate, "_create_ssl_context", weak)
        await never_connects(attacker, 4)


def _fragment(sequence: int, total: int, offset: int, length: int, body: bytes) -> bytes:
    """A handshake fragment in a record (RFC 6347 sections 4.1 and 4.2.3); its numbers may lie."""
    head = b"\x01" + total.to_bytes(3, "big") + struct.pack("!H", sequence)
    head += offset.to_bytes(3, "big") + length.to_bytes(3, "big")
    record = b"\x16\xfe\xfd" + struct.pack("!H", 0) + os.urandom(6)
    return record + struct.pack("!H", len(head) + len(body)) + head + body


async def test_overlapping_and_huge_fragments(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    async with bystanders.unharmed(), Attacker(server, room, "pieces") as attacker:
        attacker.handshake.clear()
        await attacker.connect(wait=False)
        await attacker.checked()
        for number in range(300):
            body = os.urandom(200)
            await attacker.raw(_fragment(number % 10, 0xFFFFFF, number * 50, 200, body))
            await attacker.raw(_fragment(number % 10, 100, 90, 200, body))
            await attacker.raw(_fragment(number % 10, 10, 0xFFFFF0, 0xFFFFFF, body))
            if number % 20 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)


async def test_stalled_handshake_is_freed(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """The session of somebody who never begins DTLS is gone within 45 s."""
    async with bystanders.unharmed(), Attacker(server, room, "idler") as attacker:
        attacker.handshake.clear()
        await attacker.connect(wait=False)
        await attacker.checked()
        for _ in range(90):
            async with attacker.session.http.get(server.operator + "/calls") as answer:
                calls = (await answer.json())["calls"]
            if all(c["room"] != room or c["participant_count"] == 0 for c in calls):
                return
            await asyncio.sleep(0.5)
        raise AssertionError(calls)
