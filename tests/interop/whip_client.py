"""WHIP (RFC 9725) and WHEP by hand: post an offer, take the answer, delete the session."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import aiohttp
import imageio_ffmpeg  # type: ignore[import-untyped]

from tests.interop.peer import Peer
from tests.interop.servers import Server


class WhipSession:
    """One session of one peer; ends with its block."""

    def __init__(self, server: Server, kind: str, room: str, identity: str) -> None:
        self.server, self.kind, self.room = server, kind, room
        grants = {"canPublish": kind == "whip", "canSubscribe": kind == "whep"}
        token = server.token(room, identity, **grants)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.http = aiohttp.ClientSession(server.http, headers=self.headers)
        self.location = ""
        self.etag = ""

    async def __aenter__(self) -> WhipSession:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.close()

    async def post(self, offer: str, participants: Sequence[str] = ()) -> str:
        query = [("participant", who) for who in participants]
        path = f"/{self.kind}/{self.room}"
        headers = {"Content-Type": "application/sdp"}
        async with self.http.post(path, data=offer, headers=headers, params=query) as response:
            text = await response.text()
            assert response.status == 201, f"{response.status}: {text}"
            assert response.content_type == "application/sdp"
            self.location, self.etag = response.headers["Location"], response.headers["ETag"]
            return text

    async def negotiate(self, peer: Peer, media: Sequence[str], **args: Any) -> None:
        lists: dict[str, list[str]] = {"publish": [], "subscribe": [], "channels": []}
        lists["publish" if self.kind == "whip" else "subscribe"] = list(media)
        participants = args.pop("participants", ())
        wanted: dict[str, Any] = {**lists, **args}
        offer = (await peer.do("offer", **wanted))["sdp"]
        await peer.do("answer", sdp=await self.post(offer, participants))

    async def end(self) -> int:
        async with self.http.delete(self.location) as response:
            return response.status


def ffmpeg_publisher(server: Server, room: str) -> list[str]:
    """The command line of an ffmpeg that publishes a picture and a tone for a minute."""
    size, tone = "testsrc=size=320x240:rate=15", "sine=sample_rate=48000"
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "warning", "-nostdin"]
    words += ["-re", "-f", "lavfi", "-i", size, "-re", "-f", "lavfi", "-i", tone, "-t", "60"]
    words += ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-profile:v", "baseline", "-bf", "0"]
    words += ["-g", "15", "-preset", "ultrafast", "-c:a", "libopus", "-ar", "48000", "-ac", "2"]
    words += ["-f", "whip", "-authorization", server.token(room, "ffmpeg", canSubscribe=False)]
    return [*words, f"{server.http}/whip/{room}"]
