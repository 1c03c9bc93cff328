"""The engine's SRTP against libsrtp: same bytes out, same packets accepted and refused."""

from __future__ import annotations

import random
import struct

import pylibsrtp
import pytest

from mediaserver._engine import SrtpOracle

counts = pytest.mark.parametrize("packets", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
PROFILES = {
    "AEAD_AES_128_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    "AEAD_AES_256_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    "AES128_CM_SHA1_80": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}
SSRCS = (1, 0x80000000, 0xFFFFFFFF)


def libsrtp(profile: str, key: bytes, inbound: bool) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(
        key=key,
        ssrc_type=(
            pylibsrtp.Policy.SSRC_ANY_INBOUND if inbound else pylibsrtp.Policy.SSRC_ANY_OUTBOUND
        ),
        srtp_profile=PROFILES[profile][0],
    )
    policy.window_size = 1024
    return pylibsrtp.Session(policy)


def rtp(rng: random.Random, ssrc: int, sequence: int) -> bytes:
    """A random packet: CSRCs, header extension, marker and size vary."""
    csrcs = rng.choice((0, 0, 0, 1, 3))
    extension = b""
    if rng.random() < 0.5:
        words = rng.randrange(4)
        extension = struct.pack("!HH", 0xBEDE, words) + rng.randbytes(4 * words)
    first = 0x80 | csrcs | (0x10 if extension else 0)
    second = rng.randrange(2) << 7 | rng.choice((96, 111, 127))
    head = struct.pack("!BBHII", first, second, sequence & 0xFFFF, rng.getrandbits(32), ssrc)
    return head + rng.randbytes(4 * csrcs) + extension + rng.randbytes(rng.randrange(1, 1200))


def rtcp(rng: random.Random, ssrc: int) -> bytes:
    words = rng.randrange(1, 100)
    return struct.pack("!BBHI", 0x80, 201, words, ssrc) + rng.randbytes(4 * (words - 1))


def accept(session: pylibsrtp.Session, packet: bytes, control: bool = False) -> bytes | None:
    try:
        return session.unprotect_rtcp(packet) if control else session.unprotect(packet)
    except pylibsrtp.Error:
        return None


class Numbers:
    """Sequence numbers that mostly advance, wrap every few thousand packets, and jump a little."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.next = {ssrc: rng.randrange(0x8000) for ssrc in SSRCS}

    def take(self, ssrc: int) -> int:
        # Steps of 31 on average wrap 16 bits about each 2,100 packets of one SSRC.
        self.next[ssrc] += self.rng.choice((1, 1, 2, 61, 90))
        return self.next[ssrc]


@counts
@pytest.mark.parametrize("profile", PROFILES)
def test_both_protect_to_the_same_bytes(profile: str, packets: int) -> None:
    rng = random.Random(profile)
    _, key_size, salt_size = PROFILES[profile]
    key, salt = rng.randbytes(key_size), rng.randbytes(salt_size)
    ours, theirs = SrtpOracle(profile, key, salt), libsrtp(profile, key + salt, inbound=False)
    numbers = Numbers(rng)
    for _ in range(packets):
        ssrc = rng.choice(SSRCS)
        packet = rtp(rng, ssrc, numbers.take(ssrc))
        assert ours.protect(packet) == theirs.protect(packet)
    assert min(numbers.next.values()) > 0x10000


@counts
@pytest.mark.parametrize("profile", PROFILES)
def test_both_accept_and_refuse_the_same_packets(profile: str, packets: int) -> None:
    rng = random.Random(profile + "in")
    _, key_size, salt_size = PROFILES[profile]
    key, salt = rng.randbytes(key_size), rng.randbytes(salt_size)
    sender = libsrtp(profile, key + salt, inbound=False)
    ours, theirs = SrtpOracle(profile, key, salt), libsrtp(profile, key + salt, inbound=True)
    numbers = Numbers(rng)
    recent: list[bytes] = []
    held: list[bytes] = []
    verdicts = {True: 0, False: 0}
    for _ in range(packets):
        ssrc = rng.choice(SSRCS)
        fresh = sender.protect(rtp(rng, ssrc, numbers.take(ssrc)))
        match rng.randrange(12):
            case 0 if recent:
                packet = rng.choice(recent)  # a replay
            case 1:
                at = rng.randrange(len(fresh))  # one flipped bit
                packet = fresh[:at] + bytes([fresh[at] ^ (1 << rng.randrange(8))]) + fresh[at + 1 :]
            case 2:
                packet = fresh[: rng.randrange(len(fresh))]
            case 3:
                held.append(fresh)  # comes late
                continue
            case 4 if held:
                packet = held.pop(rng.randrange(len(held)))
            case _:
                packet = fresh
        wanted = accept(theirs, packet)
        assert ours.unprotect(packet) == wanted
        verdicts[wanted is not None] += 1
        recent = [*recent[-20:], packet]
        held = held[-4:]
    assert min(verdicts.values()) > packets // 20


@counts
@pytest.mark.parametrize("profile", PROFILES)
def test_rtcp_agrees_both_ways(profile: str, packets: int) -> None:
    rng = random.Random(profile + "rtcp")
    _, key_size, salt_size = PROFILES[profile]
    key, salt = rng.randbytes(key_size), rng.randbytes(salt_size)
    ssrc = 7
    ours, theirs = SrtpOracle(profile, key, salt), libsrtp(profile, key + salt, inbound=False)
    receiver = libsrtp(profile, key + salt, inbound=True)
    previous = b""
    for _ in range(packets // 10):
        plain = rtcp(rng, ssrc)
        assert len(plain) % 4 == 0
        mine, other = ours.protect_rtcp(plain), theirs.protect_rtcp(plain)
        # libsrtp numbers from 1, we from 0: bytes differ, so each must read the other's.
        assert accept(receiver, mine, control=True) in (plain, None)
        assert ours.unprotect_rtcp(other) == plain
        assert ours.unprotect_rtcp(other) is None, "a replay"
        flipped = bytes([other[0], other[1], other[2], other[3] ^ 1]) + other[4:]
        assert ours.unprotect_rtcp(flipped) is None
        previous = mine
    assert accept(receiver, previous, control=True) is None, "a replay"
