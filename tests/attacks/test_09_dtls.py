"""Class 9, ASVS 17.2.1, 17.2.2, 17.2.8: fingerprints, suites, fragments, stalled handshakes."""

from __future__ import annotations

import asyncio
import os
import re
import struct
from pathlib import Path
from typing import Any

import aiortc.rtcdtlstransport as dtls_module
import pytest
from OpenSSL import SSL

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.interop import clients, scenario
from tests.interop.peer import running
from tests.interop.servers import Server, serving


async def never_connects(attacker: Attacker, within: float = 6) -> None:
    await attacker.connect(wait=False)
    for _ in range(int(within / 0.1)):
        assert attacker.pc.connectionState != "connected"
        await asyncio.sleep(0.1)


def _another(offer: str) -> str:
    """The same offer with another fingerprint."""

    def turn(found: re.Match[str]) -> str:
        return found[1] + {"0": "1"}.get(found[2], "0") + found[3]

    return re.sub(r"(a=fingerprint:sha-256 )(.)(.)", turn, offer)


async def _identities(attacker: Attacker, room: str) -> set[str]:
    async with attacker.session.http.get(attacker.server.operator + "/calls") as answer:
        calls = [c["id"] for c in (await answer.json())["calls"] if c["room"] == room]
    found: set[str] = set()
    for call in calls:
        async with attacker.session.http.get(f"{attacker.server.operator}/calls/{call}") as answer:
            details = await answer.json()
        found |= {p["identity"] for p in details.get("participants", [])}
    return found


async def test_another_certificate_than_announced(
    server: Server, room: str, bystanders: Bystanders, tmp_path: Path
) -> None:
    """17.2.8: the handshake ends, nothing of it is forwarded, the participant goes."""
    starting = clients.start("libwebrtc", tmp_path, name="watcher")
    async with (
        bystanders.unharmed(),
        running(starting) as (watcher,),
        Attacker(server, room, "impostor") as attacker,
    ):
        await scenario.join(server, room, watcher)
        attacker.change = _another

        async def impersonate() -> None:
            await attacker.connect(wait=False)
            await asyncio.sleep(2)

        await bystanders.counted({"dtls_fingerprint"}, impersonate)
        assert all(t["packets"] == 0 for t in (await watcher.stats())["tracks"])
        async with asyncio.timeout(45):
            while "impostor" in await _identities(attacker, room):
                await asyncio.sleep(0.5)
        assert all(t["packets"] == 0 for t in (await watcher.stats())["tracks"])


async def test_the_key_of_dtls_is_of_this_process_and_in_memory_only(
    server: Server, room: str, tmp_path: Path
) -> None:
    """17.2.1: another process has another certificate, and no file holds its key."""

    async def fingerprint(of: Server) -> str:
        async with Attacker(of, room, "reader") as reader:
            await reader.connect(wait=False)
            found = re.search(r"a=fingerprint:sha-256 (\S+)", reader.answer)
            assert found is not None
            return found[1]

    home = tmp_path / "other"
    with serving(home) as other:
        first, second = await fingerprint(server), await fingerprint(other)
        assert first != second
        for file in (f for f in home.rglob("*") if f.is_file()):
            if b"PRIVATE KEY" in (content := file.read_bytes()):
                assert file.stat().st_mode & 0o077 == 0, file
                # The listener's keys may lie there; media's certificate may not.
                assert second.encode() not in content


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
