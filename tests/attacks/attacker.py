"""A hostile client: aiortc connects it like anybody, then it sends whatever bytes a test wants.

It stands on a validated ICE pair with a real DTLS association, so what it sends passes the outer
checks; `foreign` sends from a socket that nobody validated.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Self

import pylibsrtp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCDtlsTransport
from google_crc32c import value as crc32c
from livekit.protocol import rtc

from tests.attacks.hello import Said, read
from tests.interop.servers import Server
from tests.interop.signal_driver import CHANNELS, SignalDriver
from tests.interop.whip_client import WhipSession
from tests.peers.python.aiortc_peer import Pictures, Tone


class Attacker:
    """One WHIP publisher or WHEP watcher; ends with its block."""

    def __init__(self, server: Server, room: str, identity: str, kind: str = "whip") -> None:
        self.server = server
        self.session = WhipSession(server, kind, room, identity)
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.kind = kind
        self.handshake = asyncio.Event()
        self.handshake.set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.answer = ""
        self.change: Callable[[str], str] = lambda offer: offer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.handshake.set()
        await self.pc.close()
        await self.session.http.close()
        self.socket.close()

    @property
    def dtls(self) -> RTCDtlsTransport:
        transceivers = self.pc.getTransceivers()
        found = transceivers[0].sender if transceivers else self.association
        return found.transport

    @property
    def association(self) -> Any:
        """aiortc's SCTP transport."""
        return self.pc.sctp

    async def connect(self, wait: bool = True, live: bool = True, **participants: Any) -> None:
        """With `live` aiortc itself sends audio and video; else only what the test sends."""
        for kind in ("audio", "video"):
            if self.kind == "whep":
                self.pc.addTransceiver(kind, "recvonly")
            else:
                track = Tone() if kind == "audio" else Pictures()
                self.pc.addTransceiver(track if live else kind, "sendonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        offer = self.change(self.pc.localDescription.sdp)
        self.answer = await self.session.post(offer, **participants)
        start = self.dtls.start

        async def later(parameters: Any) -> None:
            await self.handshake.wait()
            await start(parameters)

        self.dtls.start = later  # type: ignore[method-assign, assignment]
        await self.pc.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        if wait:
            await self.connected()

    async def join(self, driver: SignalDriver) -> None:
        """As a LiveKit client with data channels alone: WHIP carries none."""
        for label in CHANNELS:
            self.pc.createDataChannel(label)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await driver.connect()
        offer = self.pc.localDescription.sdp
        await driver.send(offer=rtc.SessionDescription(type="offer", sdp=offer, id=1))
        self.answer = (await driver.expect("answer")).sdp
        await self.pc.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        await self.connected()
        async with asyncio.timeout(10):
            while self.association.state != "connected":
                await asyncio.sleep(0.05)

    async def connected(self, within: float = 20) -> None:
        async with asyncio.timeout(within):
            while self.pc.connectionState != "connected":
                assert self.pc.connectionState != "failed", "the connection failed"
                await asyncio.sleep(0.05)

    async def checked(self, within: float = 10) -> None:
        """ICE is done, DTLS not begun (with `handshake` cleared)."""
        async with asyncio.timeout(within):
            while self.pc.iceConnectionState not in ("connected", "completed"):
                await asyncio.sleep(0.05)

    async def raw(self, datagram: bytes) -> None:
        """From the validated address, as it is."""
        with contextlib.suppress(ConnectionError, OSError):
            await self.dtls.transport._connection.send(datagram)

    async def received(self, within: float) -> AsyncGenerator[bytes]:
        """What comes from the server while aiortc has not begun DTLS (with `handshake` cleared)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    yield await self.dtls.transport._recv()

    async def told(self, *hellos: bytes, within: float) -> Said:
        """The answer to these, as soon as there is one."""
        for datagram in hellos:
            await self.raw(datagram)
        async with contextlib.aclosing(self.received(within)) as datagrams:
            async for datagram in datagrams:
                if (said := read([datagram])) != Said():
                    return said
        return Said()

    def foreign(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendto(datagram, ("127.0.0.1", self.server.udp_port))

    def blast(self, datagrams: list[bytes]) -> None:
        """All of them from the validated address without a pause."""
        pair = self.dtls.transport._connection._nominated[1]
        for datagram in datagrams:
            pair.protocol.transport.sendto(datagram, pair.remote_addr)

    async def rtp(self, packet: bytes) -> None:
        """Protected with the real keys; what libsrtp itself finds malformed goes as it is."""
        try:
            cipher = self.dtls._tx_srtp.protect(packet)
        except pylibsrtp.Error:
            cipher = packet + b"\0" * 16
        await self.raw(cipher)

    async def sctp(self, chunks: bytes, tag: int | None = None) -> None:
        """An SCTP packet of these chunks with a right checksum, through DTLS."""
        association = self.association
        own = association._remote_verification_tag if tag is None else tag
        head = struct.pack("!HHL", association._local_port, association._remote_port, own)
        body = head + b"\0\0\0\0" + chunks
        checksum = crc32c(body)
        with contextlib.suppress(ConnectionError):
            await self.dtls._send_data(head + struct.pack("<L", checksum) + chunks)

    async def rtcp(self, packet: bytes) -> None:
        await self.raw(self.dtls._tx_srtp.protect_rtcp(packet))

    def ssrc(self, kind: str) -> int:
        senders = [t.sender for t in self.pc.getTransceivers() if t.kind == kind]
        return int(senders[0]._ssrc)

    def payload_type(self, kind: str) -> int:
        transceiver = next(t for t in self.pc.getTransceivers() if t.kind == kind)
        return int(transceiver._codecs[0].payloadType or 0)


def rtp_packet(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    first: int = 0x80,
    marker: bool = False,
) -> bytes:
    """RFC 3550 section 5.1; `first` holds version, padding, extension and CSRC count."""
    second = payload_type | (0x80 if marker else 0)
    head = struct.pack("!BBHII", first, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return head + payload
