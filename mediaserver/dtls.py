"""DTLS of one transport: aiortc's state machine over the engine's datagrams.

Decides nothing about media: when the handshake is done and the fingerprint right, the SRTP keys go
to whoever made it, and what was decrypted goes to SCTP. Datagrams come only from the validated ICE
pair (the engine sees to that), and still nothing in them may raise, warn or stall the loop.
Made and closed by `participant/connection.py`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import cast

from aiortc import RTCIceTransport
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    SRTPProtectionProfile,
    State,
)
from OpenSSL import SSL

from mediaserver.engine_types import SrtpKeys, SrtpProfile
from mediaserver.handshakes import HandshakeGate
from mediaserver.sdp import Fingerprint

# AES-128-GCM costs a third of CM-SHA1; the server's order decides (RFC 5764 section 4.1.2).
PROFILES: tuple[tuple[SRTPProtectionProfile, SrtpProfile], ...] = (
    (SRTP_AEAD_AES_128_GCM, "AEAD_AES_128_GCM"),
    (SRTP_AEAD_AES_256_GCM, "AEAD_AES_256_GCM"),
    (SRTP_AES128_CM_SHA1_80, "AES128_CM_SHA1_80"),
)
# RSA suites too: GStreamer's certificates are RSA. No CBC.
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)
# Fits every path that carries our media; OpenSSL fragments its flights to this.
MTU = 1200
RECORD_HEADER = 13
# A flight is about ten datagrams, data channels send a congestion window at once; a peer that sends
# faster than we read loses the newest.
QUEUE_DATAGRAMS = 512
MAX_RETRIES = 3
# RFC 5246 section 7.4 and RFC 6347 section 4.3.2; everything either side may say in a handshake.
HANDSHAKE_TYPES = frozenset((0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 22))
# Certificates of browsers have under 1 kB, chains of others a few.
MAX_HANDSHAKE_MESSAGE = 16384


class Certificate(RTCCertificate):
    """A P-256 certificate with one SSL context for all handshakes that use it."""

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            context = super()._create_ssl_context(srtp_profiles)
            context.set_cipher_list(CIPHERS)
            context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
            # Nobody resumes a WebRTC session, and a shared context would remember them all.
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            context.set_mode(SSL.MODE_RELEASE_BUFFERS)
            self._context = context
        return self._context

    @cached_property
    def fingerprint(self) -> str:
        """sha-256, as SDP writes it."""
        prints = self.getFingerprints()
        return str(next(f.value for f in prints if f.algorithm == "sha-256"))


class EngineDatagrams:
    """What aiortc calls an ICE transport: the engine's DTLS datagrams of one transport."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_datagram = send
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.handshaking = True
        self.dropped = 0

    def feed(self, data: bytes) -> None:
        """A datagram from the validated pair. What is no DTLS record is dropped and counted."""
        good = _well_formed(data, handshaking=self.handshaking)
        if self._closed or not good or len(self._queue) >= QUEUE_DATAGRAMS:
            self.dropped += 1
            return
        self._queue.append(data)
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._queue.clear()
        self._wake.set()

    async def _recv(self) -> bytes:
        while not self._queue:
            if self._closed:
                raise ConnectionError("the transport was closed")
            self._wake.clear()
            await self._wake.wait()
        return self._queue.popleft()

    async def _send(self, data: bytes) -> None:
        self.send(data)

    def send(self, data: bytes) -> None:
        if not self._closed:
            self._send_datagram(data)

    def pop(self) -> bytes | None:
        return self._queue.popleft() if self._queue else None


def _well_formed(data: bytes, *, handshaking: bool) -> bool:
    """RFC 6347 section 4.1: whole records of known type and version, to the end of the datagram.

    During the handshake, what is in the clear (epoch 0) must be a handshake fragment that fits its
    record (section 4.2.2) or a change of cipher: alerts and data that nobody has authenticated
    would only end the handshake, and losing a true one costs no more than its timeout.
    """
    at = 0
    while at < len(data):
        if at + RECORD_HEADER > len(data) or not 20 <= data[at] <= 23 or data[at + 1] != 0xFE:
            return False
        size = int.from_bytes(data[at + 11 : at + 13], "big")
        body = at + RECORD_HEADER
        if body + size > len(data):
            return False
        clear = handshaking and data[at + 3 : at + 5] == b"\0\0"
        if clear and (data[at] in (21, 23) or not _fragments(data, body, size, data[at])):
            return False
        at = body + size
    return len(data) > 0


def _fragments(data: bytes, at: int, size: int, kind: int) -> bool:
    """Each: type, length (3 bytes), sequence (2), offset (3), fragment length (3)."""
    end = at + size
    if kind != 22:
        return True
    while at < end:
        if at + 12 > end or data[at] not in HANDSHAKE_TYPES:
            return False
        total = int.from_bytes(data[at + 1 : at + 4], "big")
        offset = int.from_bytes(data[at + 6 : at + 9], "big")
        length = int.from_bytes(data[at + 9 : at + 12], "big")
        if total > MAX_HANDSHAKE_MESSAGE or offset + length > total:
            return False
        at += 12 + length
    return at == end


def datagrams(flight: bytes) -> list[bytes]:
    """Pack whole records into datagrams of at most `MTU`; OpenSSL's memory BIO joins them all."""
    result: list[bytes] = []
    current = b""
    at = 0
    while at + RECORD_HEADER <= len(flight):
        end = at + RECORD_HEADER + int.from_bytes(flight[at + 11 : at + 13], "big")
        record = flight[at:end]
        if current and len(current) + len(record) > MTU:
            result.append(current)
            current = b""
        current += record
        at = end
    if current:
        result.append(current)
    return result


class DtlsTransport(RTCDtlsTransport):
    """NEW, CONNECTING, CONNECTED, then CLOSED or FAILED; owned by one connection.

    `failure` says why it FAILED. It never restarts: an ICE restart keeps it.
    """

    def __init__(
        self,
        datagrams: EngineDatagrams,
        certificate: Certificate,
        gate: HandshakeGate,
        on_keys: Callable[[SrtpKeys], None],
        on_record: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        super().__init__(cast(RTCIceTransport, datagrams), [certificate])
        self._datagrams = datagrams
        self._certificate = certificate
        self._gate = gate
        self._on_keys = on_keys
        self._on_record = on_record
        self._srtp_profiles = [profile for profile, _ in PROFILES]
        self.failure = ""
        self.profile = ""
        self.errors = 0

    @property
    def is_server(self) -> bool:
        return bool(self._role == "server")

    @property
    def _tls(self) -> SSL.Connection:
        if self._ssl is None:
            raise RuntimeError("DTLS was not started")
        return self._ssl

    async def connect(
        self, fingerprints: Sequence[Fingerprint], *, client: bool, seconds: float
    ) -> bool:
        """Run the handshake to its end. `client`: the other side is the DTLS client."""
        self._set_role("server" if client else "client")
        parameters = RTCDtlsParameters(
            [RTCDtlsFingerprint(f.algorithm, f.value) for f in fingerprints]
        )
        try:
            async with asyncio.timeout(seconds):
                await self.start(parameters)
        except TimeoutError:
            self._fail("dtls_timeout")
        except SSL.Error:
            self._fail("dtls_handshake")
        return bool(self._state == State.CONNECTED)

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self._set_state(State.FAILED)

    def _set_state(self, state: State) -> None:
        if state == State.FAILED and not self.failure:
            self.failure = "dtls_fingerprint" if self.encrypted else "dtls_handshake"
        super()._set_state(state)

    async def _do_handshake(self) -> None:
        """As aiortc's, with each step through the gate and junk answered by a fresh start."""
        self._tls.set_ciphertext_mtu(MTU)
        retries = 0
        try:
            while not self.encrypted:
                try:
                    async with self._gate:
                        self._tls.do_handshake()
                except SSL.WantReadError:
                    self._flush()
                    await self._handshake_datagram()
                except SSL.Error:
                    self.errors += 1
                    retries += 1
                    if retries > MAX_RETRIES:
                        self._fail("dtls_handshake")
                        return
                    self._renew_ssl()
                else:
                    self.encrypted = True
            self._datagrams.handshaking = False
            self._flush()
        except ConnectionError:
            self._fail("dtls_closed")

    def _renew_ssl(self) -> None:
        self._ssl = SSL.Connection(self._certificate._create_ssl_context(self._srtp_profiles))
        self._tls.set_ciphertext_mtu(MTU)
        if self._role == "server":
            self._tls.set_accept_state()
        else:
            self._tls.set_connect_state()

    async def _handshake_datagram(self) -> None:
        """Wait for a datagram or for OpenSSL's retransmission timer."""
        timeout = self._tls.DTLSv1_get_timeout()
        try:
            async with asyncio.timeout(timeout):
                data = await self._datagrams._recv()
        except TimeoutError:
            self._tls.DTLSv1_handle_timeout()
            self._flush()
            return
        self._tls.bio_write(data)

    def _setup_srtp(self) -> None:
        """RFC 5764 section 4.2: client key, server key, client salt, server salt."""
        selected = self._tls.get_selected_srtp_profile()
        found = next((p for p in PROFILES if p[0].openssl_profile == selected), None)
        if found is None:
            self._fail("dtls_no_srtp_profile")
            return
        profile, name = found
        key, salt = profile.key_length, profile.salt_length
        material = self._tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = (material[:key], material[2 * key : 2 * key + salt])
        server = (material[key : 2 * key], material[2 * key + salt :])
        local, remote = (server, client) if self._role == "server" else (client, server)
        self.profile = name
        self._on_keys(SrtpKeys(name, local[0], local[1], remote[0], remote[1]))

    async def _recv_next(self) -> None:
        """One wake-up: everything that is waiting, record by record."""
        data: bytes | None = await self._datagrams._recv()
        while data is not None:
            self._tls.bio_write(data)
            self._read_records()
            data = self._datagrams.pop()
        self._flush()

    def _read_records(self) -> None:
        while True:
            try:
                data = self._tls.recv(2048)
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                raise ConnectionError("the peer closed DTLS") from None
            except SSL.Error:
                self.errors += 1
                return
            self._on_record(data)

    def send_records(self, packets: Sequence[bytes]) -> None:
        """One record and one datagram each; dropped when the transport has ended.

        Not packed together: some stacks, aiortc among them, read one record of a datagram.
        """
        if self._state != State.CONNECTED:
            return
        for packet in packets:
            try:
                self._tls.send(packet)
            except SSL.Error:
                self.errors += 1
                return
            self._flush()

    async def _write_ssl(self) -> None:
        self._flush()

    def _flush(self) -> None:
        try:
            flight = self._tls.bio_read(65536)
        except SSL.Error:
            return
        if len(flight) <= MTU:
            self._datagrams.send(flight)
        else:
            for datagram in datagrams(flight):
                self._datagrams.send(datagram)
