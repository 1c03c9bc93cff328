"""Our DTLS transport and aiortc's own, joined by a pipe in memory instead of ICE."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiortc import RTCCertificate, RTCIceTransport
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from mediaserver.dtls import Certificate, DtlsTransport, EngineDatagrams
from mediaserver.engine_types import SrtpKeys
from mediaserver.handshakes import HandshakeGate
from mediaserver.sdp import Fingerprint


class Pipe:
    """The client's end: what aiortc needs of an ICE transport."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.send: Callable[[bytes], None] = lambda data: None
        self.role = "controlling"

    async def _recv(self) -> bytes:
        data = await self.queue.get()
        if not data:
            raise ConnectionError
        return data

    async def _send(self, data: bytes) -> None:
        self.send(data)


class Pair:
    """`filter` sees each datagram towards us and says what really arrives."""

    def __init__(
        self,
        *,
        client: bool = True,
        seconds: float = 10.0,
        peer_certificate: RTCCertificate | None = None,
    ) -> None:
        self.keys: list[SrtpKeys] = []
        self.pipe = Pipe()
        self.sent: list[bytes] = []
        self.filter: Callable[[bytes], list[bytes]] = lambda data: [data]
        self.datagrams = EngineDatagrams(self._to_client)
        self.certificate = Certificate.generateCertificate()
        self.ours = DtlsTransport(
            self.datagrams, self.certificate, HandshakeGate(2), self.keys.append
        )
        self.pipe.send = self._to_us
        self.peer_certificate = peer_certificate or RTCCertificate.generateCertificate()
        self.theirs = RTCDtlsTransport(
            cast(RTCIceTransport, cast(Any, self.pipe)), [self.peer_certificate]
        )
        self.client = client
        self.seconds = seconds
        self.theirs._set_role("client" if client else "server")

    def _to_client(self, data: bytes) -> None:
        self.sent.append(data)
        self.pipe.queue.put_nowait(data)

    def _to_us(self, data: bytes) -> None:
        for piece in self.filter(data):
            self.datagrams.feed(piece)

    @property
    def fingerprints(self) -> list[Fingerprint]:
        prints = self.peer_certificate.getFingerprints()
        return [Fingerprint(f.algorithm, f.value) for f in prints]

    async def handshake(self, fingerprints: list[Fingerprint] | None = None) -> bool:
        parameters = RTCDtlsParameters(
            [RTCDtlsFingerprint("sha-256", self.certificate.fingerprint)]
        )
        peer = asyncio.ensure_future(self.theirs.start(parameters))
        result = await self.ours.connect(
            fingerprints or self.fingerprints, client=self.client, seconds=self.seconds
        )
        if not result:
            self.pipe.queue.put_nowait(b"")
        await peer
        return result

    async def close(self) -> None:
        await self.ours.stop()
        self.datagrams.close()
        await self.theirs.stop()
        await asyncio.sleep(0)
