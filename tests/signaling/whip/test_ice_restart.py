"""An ICE restart by HTTP under running media: a whole server with the real engine, real clients.

aiortc publishes by WHIP and watches by WHEP; it has no ICE restart of its own, so `restart` gives
its DTLS association another ICE agent, on sockets of its own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import aioice
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from signaling.app import App
from signaling.config import load
from signaling.http.certificates import ensure
from tests.mediaserver.clients import media_server
from tests.signaling.house import base, call_token

ROOM = "show"
DTLS = range(20, 64)  # RFC 7983
MEDIA = range(128, 192)


class Agent(aioice.Connection):
    """Notes the first byte of all that passes beside its own checks."""

    def __init__(self) -> None:
        super().__init__(ice_controlling=True, use_ipv6=False)
        self.sent: list[int] = []
        self.received: list[int] = []

    async def send(self, data: bytes) -> None:
        self.sent.append(data[0])
        await super().send(data)

    def data_received(self, data: bytes, component: int) -> None:
        self.received.append(data[0])
        super().data_received(data, component)


@dataclass
class Client:
    """One session of WHIP or WHEP."""

    http: aiohttp.ClientSession
    kind: str
    location: str = ""
    etag: str = ""
    credentials: tuple[str, str] = ("", "")
    """The server's ufrag and password."""
    tracks: list[MediaStreamTrack] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.on("track", self.tracks.append)
        may = {"publish": self.kind == "whip", "subscribe": self.kind == "whep"}
        self.headers = {"Authorization": f"Bearer {call_token(ROOM, self.kind, **may)}"}

    async def begin(self) -> None:
        if self.kind == "whip":
            self.pc.addTrack(AudioStreamTrack())
        else:
            self.pc.addTransceiver("audio", direction="recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        headers = {**self.headers, "Content-Type": "application/sdp"}
        offer = self.pc.localDescription.sdp
        async with self.http.post(f"/{self.kind}/{ROOM}", data=offer, headers=headers) as answer:
            sdp = await answer.text()
            assert answer.status == 201, sdp
            self.location, self.etag = answer.headers["Location"], answer.headers["ETag"]
        self.credentials = credentials(sdp)
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        while self.pc.connectionState != "connected":
            await asyncio.sleep(0.05)

    async def restart(self) -> Agent:
        """Its sockets of before are closed as soon as the new pair is nominated."""
        dtls = self.pc.getTransceivers()[0].receiver.transport
        ice = dtls.transport
        before, after = ice._connection, Agent()
        await after.gather_candidates()
        lines = [f"a=ice-ufrag:{after.local_username}", f"a=ice-pwd:{after.local_password}"]
        lines += [f"a=candidate:{candidate.to_sdp()}" for candidate in after.local_candidates]
        headers = {
            **self.headers,
            "Content-Type": "application/trickle-ice-sdpfrag",
            "If-Match": "*",
        }
        body = "\r\n".join(lines) + "\r\n"
        async with self.http.patch(self.location, data=body, headers=headers) as answer:
            theirs = await answer.text()
            assert answer.status == 200, theirs
            assert answer.headers["ETag"] != self.etag
        self.credentials = credentials(theirs)
        after.remote_username, after.remote_password = self.credentials
        after.remote_is_lite = True
        for line in re.findall(r"^a=candidate:(.*?)\s*$", theirs, re.MULTILINE):
            await after.add_remote_candidate(aioice.Candidate.from_sdp(line))
        await after.add_remote_candidate(None)
        after._queue = before._queue  # at which somebody waits for the next datagram
        await after.connect()
        ice._recv, ice._send, ice._connection = after.recv, after.send, after
        before._queue = asyncio.Queue()  # its end is not the association's
        await before.close()
        return after


def credentials(sdp: str) -> tuple[str, str]:
    ufrag, password = (re.search(rf"^a=ice-{name}:(\S+)", sdp, re.M) for name in ("ufrag", "pwd"))
    assert ufrag is not None and password is not None
    return ufrag[1], password[1]


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """At a server on loopback whose media server is the real one."""
    files = ensure(tmp_path / "tls", ["localhost"], datetime.now(UTC))
    config = load(None, {}, [], base(tmp_path, files))
    async with media_server() as media:
        app = App(config, media, tmp_path, development=True)
        await app.start()
        try:
            url = f"http://127.0.0.1:{app.facts()['http']}"
            async with aiohttp.ClientSession(url) as session:
                yield session
        finally:
            await app.stop()


@pytest.mark.parametrize("kind", ["whip", "whep"])
async def test_media_goes_on_without_a_new_handshake(
    http: aiohttp.ClientSession, kind: str
) -> None:
    clients = {name: Client(http, name) for name in ("whip", "whep")}
    async with asyncio.timeout(120):
        for client in clients.values():
            await client.begin()
        (heard,) = clients["whep"].tracks
        for _ in range(10):
            await heard.recv()
        restarted = clients[kind]
        dtls = restarted.pc.getTransceivers()[0].receiver.transport
        before, ssl = restarted.credentials, dtls._ssl
        agent = await restarted.restart()
        assert all(new != old for new, old in zip(restarted.credentials, before, strict=True))
        passed = agent.sent if kind == "whip" else agent.received
        while sum(first in MEDIA for first in passed) < 50:
            await heard.recv()
        for _ in range(50):
            await heard.recv()
        assert not any(first in DTLS for first in [*agent.sent, *agent.received])
        assert (dtls.state, dtls._ssl) == ("connected", ssl)
        for client in clients.values():
            await client.pc.close()
