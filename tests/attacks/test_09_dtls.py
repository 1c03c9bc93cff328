"""Class 9, ASVS 17.2.1, 17.2.2, 17.2.8: fingerprints, suites, fragments."""

from __future__ import annotations

import asyncio
import os
import re
import struct
from pathlib import Path

import pytest

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.attacks.hello import (
    AES128_CM_SHA1_32,
    AES128_CM_SHA1_80,
    DTLS_1_0,
    DTLS_1_2,
    NULL_SHA1_32,
    NULL_SHA1_80,
    STRONG,
    SUITES,
    Said,
    client_hello,
)
from tests.interop import clients, scenario
from tests.interop.peer import running
from tests.interop.servers import Server, serving


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


WEAK = [suite for suite in SUITES if suite not in STRONG]
# A list that holds everything, and what is wrong with how it is offered.
WRONG_VERSIONS = {"DTLS 1.0": DTLS_1_0, "DTLS before its RFC": 0x0100, "TLS 1.2": 0x0303}


async def answers(
    server: Server, room: str, name: str, *hellos: bytes, within: float = 1.0
) -> tuple[Said, Said]:
    """What each of these gets, and then a good one from the same client; silence is a refusal."""
    async with Attacker(server, room, name.replace(" ", "-")) as attacker:
        attacker.handshake.clear()
        await attacker.connect(wait=False, live=False)
        await attacker.checked()
        first = await attacker.told(*hellos, within=within)
        return first, await attacker.told(client_hello(), within=5)


async def test_weak_suites_are_refused(server: Server, room: str, bystanders: Bystanders) -> None:
    """Each alone, and old versions with every suite; then a good hello of the same is taken."""
    hellos = {suite: client_hello([suite]) for suite in WEAK}
    everything = list(SUITES)
    hellos |= {name: client_hello(everything, v) for name, v in WRONG_VERSIONS.items()}
    async with bystanders.unharmed():
        said = await asyncio.gather(
            *(answers(server, room, name, hello) for name, hello in hellos.items())
        )
        for name, (refused, taken) in zip(hellos, said, strict=True):
            assert refused.suite == 0, f"{name}: {refused}"
            assert taken.version == DTLS_1_2, f"{name}: no answer to a good hello either"
            assert taken.suite in {SUITES[suite] for suite in STRONG}, name
        mixed = [*WEAK, "ECDHE-ECDSA-AES256-GCM-SHA384"]
        async with Attacker(server, room, "mixed") as attacker:
            attacker.handshake.clear()
            await attacker.connect(wait=False, live=False)
            await attacker.checked()
            chosen = await attacker.told(client_hello(mixed), within=5)
            assert chosen.suite == SUITES["ECDHE-ECDSA-AES256-GCM-SHA384"], "the strong one"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([NULL_SHA1_80, NULL_SHA1_32], 0),
        ([AES128_CM_SHA1_32], 0),
        ([NULL_SHA1_80, AES128_CM_SHA1_80], AES128_CM_SHA1_80),
    ],
)
async def test_weak_srtp_profiles_are_refused(
    server: Server, room: str, offered: list[int], chosen: int
) -> None:
    async with Attacker(server, room, "weak") as attacker:
        attacker.handshake.clear()
        await attacker.connect(wait=False, live=False)
        await attacker.checked()
        said = await attacker.told(client_hello(profiles=offered), within=5)
        assert said.version == DTLS_1_2 and said.srtp == chosen


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
