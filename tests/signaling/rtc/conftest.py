"""A real aiohttp server around the call domain, on a loopback port of its own, with fake media."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from livekit import api
from livekit.protocol import rtc

from signaling.rtc import REQUEST_LINE_BYTES, Rooms, RtcSettings, add_routes
from tests.signaling.rtc.fakes import (
    KEY,
    SECRET,
    FakeMediaServer,
    FakeParticipantMedia,
    RecordingHooks,
)
from tests.signaling.rtc.virtual_time import VirtualClock


def token(identity: str = "alice", room: str = "r", **grants: Any) -> str:
    video = api.VideoGrants(room_join=True, room=room, **grants)
    return api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(video).to_jwt()


def join_request(*, compress: bool = False, pad: bool = True, **fields: Any) -> str:
    """The `join_request` query parameter."""
    inner = rtc.JoinRequest(**fields).SerializeToString()
    wrapped = rtc.WrappedJoinRequest(join_request=gzip.compress(inner) if compress else inner)
    if compress:
        wrapped.compression = rtc.WrappedJoinRequest.Compression.GZIP
    text = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
    return text if pad else text.rstrip("=")


class Served:
    """A running server: its URL, its rooms, and the fakes behind them."""

    def __init__(self, settings: RtcSettings | None = None) -> None:
        self.media = FakeMediaServer(VirtualClock())
        self.hooks = RecordingHooks()
        self.rooms = Rooms(self.media, {KEY: SECRET}, settings, hooks=self.hooks)
        self.app = web.Application()
        add_routes(self.app, self.rooms)
        self.runner = web.AppRunner(self.app, max_line_size=REQUEST_LINE_BYTES)
        self.session = aiohttp.ClientSession()
        self.url = ""
        self.sockets: list[Socket] = []

    async def start(self) -> None:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        for socket in self.sockets:
            await socket.ws.close()
        await self.session.close()
        await self.rooms.drain()
        await self.runner.cleanup()

    async def socket(self, path: str, **query: str) -> Socket:
        query.setdefault("access_token", token())
        self.sockets.append(Socket(await self.session.ws_connect(self.url + path, params=query)))
        return self.sockets[-1]

    async def join(self, identity: str, room: str = "r", **fields: Any) -> Socket:
        """Over /rtc/v1, media connected."""
        fields.setdefault("client_info", {"protocol": 17})
        fields.setdefault("connection_settings", {"auto_subscribe": True})
        socket = await self.socket(
            "/rtc/v1", access_token=token(identity, room), join_request=join_request(**fields)
        )
        await socket.until("join")
        self.participant_media(identity, room).connect()
        return socket

    def participant_media(self, identity: str, room: str = "r") -> FakeParticipantMedia:
        found = self.rooms.get(room)
        assert found is not None
        participant = found.by_identity(identity)
        assert participant is not None
        return self.media.media(participant.sid)

    async def get(self, path: str, **query: str) -> tuple[int, str]:
        async with self.session.get(self.url + path, params=query) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            return response.status, await response.text()


class Socket:
    """The client's end of a signal connection."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.seen: list[rtc.SignalResponse] = []

    async def ask(self, **case: Any) -> None:
        await self.ws.send_bytes(rtc.SignalRequest(**case).SerializeToString())

    async def next(self) -> rtc.SignalResponse:
        message = await asyncio.wait_for(self.ws.receive(), 30)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        response = rtc.SignalResponse.FromString(message.data)
        self.seen.append(response)
        return response

    async def until(self, case: str) -> rtc.SignalResponse:
        while True:
            response = await self.next()
            if response.WhichOneof("message") == case:
                return response

    async def end(self) -> int | None:
        """Read until the server closes; the close code."""
        while True:
            message = await asyncio.wait_for(self.ws.receive(), 30)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return int(message.data)  # what was sent, whether or not our answer arrived
            if message.type is aiohttp.WSMsgType.CLOSED:
                return self.ws.close_code


Serve = Callable[..., Any]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    server = Served()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[RtcSettings], Any]]:
    """Servers with settings of their own."""
    servers: list[Served] = []

    async def start(settings: RtcSettings) -> Served:
        server = Served(settings)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()
