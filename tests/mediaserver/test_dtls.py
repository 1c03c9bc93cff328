"""DTLS over the engine's datagrams: keys, roles, junk, stalls and wrong peers."""

import asyncio
import datetime
import logging
import random
from typing import cast

import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from mediaserver.dtls import CIPHERS, MTU, PROFILES, Certificate, datagrams
from mediaserver.handshakes import HandshakeGate
from mediaserver.sdp import Fingerprint
from tests.mediaserver.dtls_pair import Pair


@pytest.mark.parametrize("client", [True, False])
async def test_keys_are_handed_over_in_both_roles(client: bool) -> None:
    pair = Pair(client=client)
    assert await pair.handshake()
    (keys,) = pair.keys
    assert keys.profile == ("AEAD_AES_128_GCM" if client else "AEAD_AES_256_GCM")
    size = 16 if client else 32
    assert (len(keys.local_key), len(keys.local_salt)) == (size, 12)
    assert keys.local_key != keys.remote_key
    material = pair.theirs._ssl
    assert material is not None
    exported = material.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (size + 12))
    first, second = exported[:size], exported[size : 2 * size]
    assert (keys.remote_key, keys.local_key) == ((first, second) if client else (second, first))
    await pair.close()


async def test_every_datagram_of_ours_fits_the_path() -> None:
    pair = Pair()
    assert await pair.handshake()
    assert max(len(d) for d in pair.sent) <= MTU
    await pair.close()


async def test_wrong_fingerprint_fails_and_gives_no_keys() -> None:
    pair = Pair()
    wrong = [Fingerprint("sha-256", ":".join(["00"] * 32))]
    assert not await pair.handshake(wrong)
    assert pair.ours.failure == "dtls_fingerprint" and pair.keys == []
    await pair.close()


async def test_one_wrong_fingerprint_among_right_ones_fails() -> None:
    pair = Pair()
    wrong = [*pair.fingerprints, Fingerprint("sha-256", ":".join(["00"] * 32))]
    assert not await pair.handshake(wrong)
    await pair.close()


async def test_junk_between_the_flights_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    pair = Pair()
    random_ = random.Random(7)

    def spoil(data: bytes) -> list[bytes]:
        junk = [b"", b"\x16", random_.randbytes(40), b"\x16\xfe\xfd" + random_.randbytes(60)]
        junk.append(b"\x17\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x09\x00\x04abcd")
        return [*junk, data]

    pair.filter = spoil
    assert await pair.handshake()
    assert pair.datagrams.dropped > 0
    assert caplog.records == []
    await pair.close()


async def test_handshake_that_junk_broke_starts_afresh() -> None:
    pair = Pair()
    state = {"broken": False}

    def spoil(data: bytes) -> list[bytes]:
        if not state["broken"]:
            state["broken"] = True
            # A fatal alert in the clear, as anybody on the validated path could send.
            return [b"\x15\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x05\x00\x02\x02\x28", data]
        return [data]

    pair.filter = spoil
    assert await pair.handshake()
    await pair.close()


async def test_stalled_handshake_is_given_up() -> None:
    pair = Pair(seconds=0.05)
    pair.filter = lambda data: []
    assert not await pair.handshake()
    assert pair.ours.failure == "dtls_timeout"
    await pair.close()


async def test_lost_datagrams_are_repeated() -> None:
    pair = Pair()
    seen = {"count": 0}

    def lose(data: bytes) -> list[bytes]:
        seen["count"] += 1
        return [] if seen["count"] == 1 else [data]

    pair.filter = lose
    assert await pair.handshake()
    await pair.close()


async def test_junk_after_the_handshake_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    pair = Pair()
    assert await pair.handshake()
    random_ = random.Random(8)
    for _ in range(200):
        size = random_.randrange(0, 200)
        head = random_.choice([b"", b"\x16\xfe\xfd", b"\x17\xfe\xfd", b"\x15\xfe\xfd"])
        pair.datagrams.feed(head + random_.randbytes(size))
    await asyncio.sleep(0)
    assert pair.ours.state == "connected"
    assert caplog.records == []
    await pair.close()


async def test_queue_of_datagrams_is_bounded() -> None:
    pair = Pair()
    record = b"\x16\xfe\xfd" + bytes(8) + b"\x00\x00"
    for _ in range(5000):
        pair.datagrams.feed(record)
    assert pair.datagrams.dropped > 4000
    await pair.close()


class RsaPeer(RTCCertificate):
    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(CIPHERS)
        return context


def rsa_certificate() -> RTCCertificate:
    """As GStreamer makes them."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rsa")])
    now = datetime.datetime.now(tz=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return RsaPeer(cast(ec.EllipticCurvePrivateKey, key), certificate)


@pytest.mark.parametrize("client", [True, False])
async def test_peer_with_an_rsa_certificate(client: bool) -> None:
    pair = Pair(client=client, peer_certificate=rsa_certificate())
    assert await pair.handshake()
    await pair.close()


def test_no_cbc_and_both_kinds_of_certificates() -> None:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_cipher_list(CIPHERS)
    names = [n for n in SSL.Connection(context).get_cipher_list() if not n.startswith("TLS_")]
    assert all("GCM" in n or "CHACHA20" in n for n in names)
    assert any("RSA" in n for n in names) and any("ECDSA" in n for n in names)


def test_context_is_shared_by_all_handshakes() -> None:
    certificate = Certificate.generateCertificate()
    profiles = [profile for profile, _ in PROFILES]
    first = certificate._create_ssl_context(profiles)
    assert certificate._create_ssl_context(profiles) is first


async def test_gate_lets_a_few_through_in_each_turn() -> None:
    gate = HandshakeGate(2)
    done: list[int] = []

    async def step(number: int) -> None:
        async with gate:
            done.append(number)

    tasks = [asyncio.create_task(step(n)) for n in range(6)]
    await asyncio.sleep(0)
    assert len(done) == 2 and gate.waiting == 4
    await asyncio.gather(*tasks)
    assert done == list(range(6)) and gate.waiting == 0


@given(st.lists(st.binary(max_size=900), max_size=12))
def test_flights_are_cut_between_records_only(bodies: list[bytes]) -> None:
    records = [b"\x16\xfe\xfd" + bytes(8) + len(b).to_bytes(2, "big") + b for b in bodies]
    result = datagrams(b"".join(records))
    assert b"".join(result) == b"".join(records)
    assert all(len(d) <= MTU for d in result)
