"""A call recorded on the wire (rows C3 and C9): STUN, DTLS and SRTP, and nothing that can be read.

In the clear the first byte of an Opus packet says its mode, always the same, and that of a VP8
packet has five bits that are always zero; so whether media is ciphertext shows in these bytes.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.interop import clients, scenario
from tests.interop.peer import running, track
from tests.interop.servers import Place, serving
from tests.network.capture import Datagram, capturing
from tests.network.netns import namespace

pytestmark = pytest.mark.namespaces
CANARY = b"canary-of-the-wire-7f3a"
ENOUGH = 300
"""Packets of a stream from which its first bytes can be judged."""
APPLICATION_DATA, HANDSHAKE, CLIENT_HELLO, SERVER_HELLO = 23, 22, 1, 2
DTLS_1_2 = 0xFEFD


def payload_of(packet: bytes) -> bytes:
    """After the RTP header (RFC 3550 section 5.1) with its extensions, which stay in the clear."""
    start = 12 + 4 * (packet[0] & 15)
    if packet[0] & 0x10:
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4])
    return packet[start:]


def assert_media_is_ciphertext(packets: Iterable[bytes]) -> int:
    """By each stream's first payload bytes; how many streams were long enough to tell."""
    firsts: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for packet in packets:
        firsts[int.from_bytes(packet[8:12])][payload_of(packet)[0]] += 1
    judged = {ssrc: seen for ssrc, seen in firsts.items() if seen.total() >= ENOUGH}
    for ssrc, seen in judged.items():
        assert seen.most_common(1)[0][1] < seen.total() / 10, (ssrc, seen.most_common(3))
        assert len(seen) > 128, (ssrc, len(seen))
    return len(judged)


def assert_control_is_ciphertext(packets: Iterable[bytes]) -> int:
    """SRTCP under AEAD ends in its index, whose first bit says encrypted (RFC 7714 section 9.1)."""
    count = 0
    for packet in packets:
        assert packet[-4] & 0x80, packet.hex()
        count += 1
    return count


def records(datagrams: Iterable[Datagram]) -> Iterable[tuple[int, int, int, bytes]]:
    """Type, version, epoch and content of DTLS records (RFC 6347 section 4.1)."""
    for datagram in datagrams:
        rest = datagram.payload
        while rest:
            length = int.from_bytes(rest[11:13])
            version, epoch = int.from_bytes(rest[1:3]), int.from_bytes(rest[3:5])
            yield rest[0], version, epoch, rest[13 : 13 + length]
            rest = rest[13 + length :]


def assert_dtls(datagrams: list[Datagram]) -> None:
    """Version 1.2 is agreed on, and no application data is outside of its protection."""
    hellos: list[int] = []
    data = 0
    for kind, version, epoch, content in records(datagrams):
        if kind == APPLICATION_DATA:
            assert (version, epoch >= 1) == (DTLS_1_2, True)
            data += 1
        elif kind == HANDSHAKE and epoch == 0 and content[0] == SERVER_HELLO:
            hellos.append(int.from_bytes(content[12:14]))
    assert hellos and set(hellos) == {DTLS_1_2}
    assert data >= 40


async def test_c03_c09_a_recorded_call_is_stun_dtls_and_srtp_and_nothing_else(
    tmp_path: Path,
) -> None:
    with namespace("wire") as space:
        # Clients gather no loopback candidates; what goes to an own address goes over loopback.
        space.ip("link", "add", "own", "type", "veth", "peer", "name", "end")
        for device in ("own", "end"):
            space.ip("link", "set", device, "up")
        space.ip("addr", "add", "192.0.2.10/24", "dev", "own")
        space.hosts()
        place = Place("127.0.0.1", space.name)
        starting = [clients.start("libwebrtc", tmp_path, space.name, name=n) for n in "ab"]
        with (
            serving(tmp_path / "server", place) as server,
            capturing(space, tmp_path / "call.pcap") as wire,
        ):
            async with running(*starting) as (one, two):
                await scenario.join_all(server, "wire", [one, two])
                await one.do("publish", kind="audio")
                await one.do("publish", kind="video")
                for reliable in (True, False):
                    await one.do("send", data=CANARY.decode() * 5, reliable=reliable, topic="t")
                await scenario.data_both_kinds(one, two)
                await two.until(
                    lambda s: all(track(s, k)["packets"] > ENOUGH for k in ("audio", "video")),
                    60,
                    "enough to judge by",
                )
            # What is in the clear would be seen.
            words = f"import socket; socket.socket(2, 2).sendto({CANARY!r}, ('127.0.0.1', 9))"
            space.run(sys.executable, "-c", words)
            await asyncio.sleep(1)
    seen = [datagram for datagram in wire.datagrams if CANARY in datagram.payload]
    assert [datagram.target for datagram in seen] == [9]
    call = [d for d in wire.datagrams if server.udp_port in (d.source, d.target)]
    by_kind: defaultdict[str, list[Datagram]] = defaultdict(list)
    for datagram in call:
        by_kind[datagram.kind].append(datagram)
    assert set(by_kind) == {"stun", "dtls", "rtp", "rtcp"}, {k: len(v) for k, v in by_kind.items()}
    # Audio and video, up and down.
    assert assert_media_is_ciphertext(d.payload for d in by_kind["rtp"]) >= 4
    assert assert_control_is_ciphertext(d.payload for d in by_kind["rtcp"]) > 4
    assert_dtls(by_kind["dtls"])


def test_media_in_the_clear_would_be_seen() -> None:
    plain = [bytes([0x80, 111, 0, n, 0, 0, 0, 0, 0, 0, 0, 1, 0xF8]) + b"opus" for n in range(256)]
    with pytest.raises(AssertionError):
        assert_media_is_ciphertext([*plain, *plain])
    with pytest.raises(AssertionError):
        assert_control_is_ciphertext([bytes([0x80, 200, 0, 6]) + socket.htonl(1).to_bytes(4)])
