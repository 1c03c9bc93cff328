"""A small LiveKit signalling client for stacks that have none: one peer connection (`/rtc/v1`).

It joins, declares what the peer publishes, carries one offer and one answer, and keeps pinging.
Data goes as DataPackets through the peer's own channels.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import aiohttp
from livekit.protocol import models, rtc

from tests.interop.peer import Peer
from tests.interop.servers import Server

CHANNELS = ("_lossy", "_reliable", "_data_track")
CANDIDATES_S = 0.4


class SignalDriver:
    """One participant: this socket and that peer."""

    def __init__(self, server: Server, room: str, identity: str, **grants: Any) -> None:
        self.server = server
        self.token = server.token(room, identity, **grants)
        self.session = aiohttp.ClientSession()
        self.responses: dict[str, asyncio.Queue[Any]] = {}
        self.candidates: list[str] = []
        self.seen: list[str] = []
        self.reader: asyncio.Task[None] | None = None
        self.pinger: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SignalDriver:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in filter(None, (self.reader, self.pinger)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.session.close()

    async def connect(self, auto_subscribe: bool = False) -> rtc.JoinResponse:
        request = rtc.JoinRequest()
        request.client_info.sdk = models.ClientInfo.CPP
        request.client_info.protocol = 16
        request.connection_settings.auto_subscribe = auto_subscribe
        wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString())
        coded = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
        self.socket = await self.session.ws_connect(
            self.server.url + "/rtc/v1",
            params={"access_token": self.token, "join_request": coded},
            max_msg_size=1 << 22,
        )
        self.reader = asyncio.create_task(self._read())
        self.pinger = asyncio.create_task(self._ping())
        join: rtc.JoinResponse = await self.expect("join")
        return join

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            response = rtc.SignalResponse()
            response.ParseFromString(message.data)
            kind = response.WhichOneof("message") or ""
            self.seen.append(kind)
            if kind == "trickle":
                self.candidates.append(response.trickle.candidateInit)
            self.responses.setdefault(kind, asyncio.Queue()).put_nowait(getattr(response, kind))

    async def _ping(self) -> None:
        """A socket that says nothing for 15 s counts as closed."""
        while not self.socket.closed:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self.send(ping_req=rtc.Ping(timestamp=1, rtt=0))
            await asyncio.sleep(5)

    async def expect(self, kind: str, within: float = 10.0) -> Any:
        queue = self.responses.setdefault(kind, asyncio.Queue())
        try:
            return await asyncio.wait_for(queue.get(), within)
        except TimeoutError:
            raise AssertionError(f"no {kind} in {within} s, but {self.seen}") from None

    async def send(self, **request: Any) -> None:
        await self.socket.send_bytes(rtc.SignalRequest(**request).SerializeToString())

    async def negotiate(self, peer: Peer, publish: Sequence[str] = (), **files: Any) -> None:
        """Declare, offer, answer; the server's candidates go into the answer."""
        offer = (
            await peer.do(
                "offer", publish=list(publish), subscribe=[], channels=list(CHANNELS), **files
            )
        )["sdp"]
        for kind, cid in zip(publish, track_ids(offer), strict=False):
            await self.declare(kind, cid)
        await self.send(offer=rtc.SessionDescription(type="offer", sdp=offer, id=1))
        answer = await self.expect("answer")
        await asyncio.sleep(CANDIDATES_S)
        await peer.do("answer", sdp=with_candidates(answer.sdp, self.candidates))

    async def declare(self, kind: str, cid: str) -> Any:
        audio = kind == "audio"
        request = rtc.AddTrackRequest(
            cid=cid,
            name=kind,
            type=models.TrackType.AUDIO if audio else models.TrackType.VIDEO,
            source=models.TrackSource.MICROPHONE if audio else models.TrackSource.CAMERA,
        )
        if not audio:
            request.layers.add(quality=models.VideoQuality.HIGH, width=240, height=136)
        await self.send(add_track=request)
        return await self.expect("track_published")


def track_ids(offer: str) -> list[str]:
    """The msid track id of each sending media section, in order; its mid where there is none."""
    found = []
    for section in offer.replace("\r\n", "\n").split("\nm=")[1:]:
        if section.startswith("application") or "a=recvonly" in section:
            continue
        lines = section.split("\n")
        ids = [line.split()[-1] for line in lines if line.startswith("a=msid:")]
        ids += [
            line.split()[-1] for line in lines if line.startswith("a=ssrc:") and "msid:" in line
        ]
        ids += [line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")]
        found.append(ids[0].strip())
    return found


def with_candidates(answer: str, trickled: Sequence[str]) -> str:
    """Put trickled candidates into the first media section, as a full answer would have them."""
    lines = [json.loads(item)["candidate"] for item in trickled]
    extra = "".join(
        f"a={line}\r\n" for line in dict.fromkeys(lines) if line and " tcp " not in line
    )
    head, mark, rest = answer.partition("\r\nm=")
    first, after, others = rest.partition("\r\nm=")
    if "a=candidate" in first or not extra:
        return answer
    tail = f"\r\nm={others}" if after else ""
    body = first if first.endswith("\r\n") else first + "\r\n"
    return head + mark + body + (extra[:-2] if after else extra) + tail
