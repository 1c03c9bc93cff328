"""RFC 6455 section 5.1: a frame without a mask is not read, and ends its sender's socket alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import rtc

from signaling.http.masks import FAULT, Masked
from tests.attacks.frames import BINARY, CLOSE, CONTINUED, PING, TEXT, frame
from tests.rows.house import API_SECRET, House, Visit, closed, standing, visiting
from tests.websocket import close_codes, spelled

PROTOCOL_ERROR = 1002
Socket = aiohttp.ClientWebSocketResponse
OPCODES = st.sampled_from((CONTINUED, TEXT, BINARY, CLOSE, PING))
SIZES = st.sampled_from((0, 1, 125, 126, 127, 300, 65535, 65536))
FRAMES = st.lists(st.builds(lambda op, size: frame(op, b"x" * size), OPCODES, SIZES), max_size=6)
CUTS = st.lists(st.integers(0, 1000), max_size=20)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(House(tmp_path_factory.mktemp("house"))) as made:
        yield made


class Recorder:
    def __init__(self) -> None:
        self.fed = b""
        self.ended = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.fed += data
        return False, b""

    def feed_eof(self) -> None:
        self.ended = True


def fed(data: bytes, cuts: list[int]) -> bytes:
    """What reaches the reader of data that comes in these pieces."""
    reader = Recorder()
    masked = Masked(reader)
    places = sorted(min(cut, len(data)) for cut in cuts)
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        if start < end:
            masked.feed_data(data[start:end])
    masked.feed_eof()
    assert reader.ended
    return reader.fed


@given(good=FRAMES, cuts=CUTS, more=FRAMES, opcode=OPCODES, size=SIZES)
def test_frames_go_through_as_they_came_up_to_the_first_without_a_mask(
    good: list[bytes], cuts: list[int], more: list[bytes], opcode: int, size: int
) -> None:
    all_good = b"".join(good)
    assert fed(all_good, cuts) == all_good
    bare = frame(opcode, b"x" * size, masked=False)
    assert fed(all_good + bare + b"".join(more), cuts) == all_good + FAULT


@pytest.mark.parametrize("size", [0, 5, 300, 70000])
def test_frames_go_through_byte_by_byte(size: int) -> None:
    sent = frame(BINARY, b"x" * size) + frame(PING, b"y")
    assert fed(sent, list(range(len(sent)))) == sent


@contextlib.asynccontextmanager
async def syncing(there: Visit) -> AsyncIterator[Socket]:
    async with there.socket(await there.owner()) as opened:
        yield opened


@contextlib.asynccontextmanager
async def calling(there: Visit) -> AsyncIterator[Socket]:
    now = int(time.time())
    claims = {
        "iss": "rows", "sub": secrets.token_hex(4), "nbf": now - 5, "exp": now + 60,
        "video": {"room": "hall", "roomJoin": True},
    }  # fmt: skip
    token = jwt.encode(claims, API_SECRET, algorithm="HS256")
    url = f"{there.house.url}/rtc?access_token={token}&protocol=15"
    async with there.client.ws_connect(url) as opened:
        yield opened


SYNC_PING = b'{"type":"ping","id":7}'
RTC_PING = rtc.SignalRequest(ping_req=rtc.Ping(timestamp=7)).SerializeToString()


def is_pong(message: aiohttp.WSMessage) -> bool:
    if message.type is aiohttp.WSMsgType.TEXT:
        return bool(json.loads(message.data) == {"type": "pong", "id": 7})
    assert message.type is aiohttp.WSMsgType.BINARY, message
    return rtc.SignalResponse.FromString(message.data).pong_resp.last_ping_timestamp == 7


async def goes_on(socket: Socket, sent: bytes) -> None:
    writer: Any = socket._writer
    writer.transport.write(sent)
    while not is_pong(await socket.receive(timeout=30)):
        pass


@pytest.mark.parametrize(
    ("opening", "opcode", "ping"),
    [(syncing, TEXT, SYNC_PING), (calling, BINARY, RTC_PING)],
    ids=["sync", "rtc"],
)
async def test_a_frame_without_a_mask_ends_its_own_socket_alone(
    house: House, opening: Any, opcode: int, ping: bytes
) -> None:
    good = frame(opcode, ping)
    bare = {
        "a message": frame(opcode, ping, masked=False),
        "a ping": frame(PING, masked=False),
        "a close": frame(CLOSE, b"\x03\xe8", masked=False),
        "the second part": frame(opcode, ping[:3], fin=False)
        + frame(CONTINUED, ping[3:], masked=False),
    }
    async with visiting(house) as there, opening(there) as other:
        await goes_on(other, good)
        for what, sent in bare.items():
            async with opening(there) as socket:
                await goes_on(socket, good)
                writer: Any = socket._writer
                writer.transport.write(sent + good)
                assert await closed(socket) == PROTOCOL_ERROR, what
            await goes_on(other, good)


async def test_what_comes_with_the_upgrade_is_looked_at_too(house: House) -> None:
    async with visiting(house) as there:
        token = await there.owner()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", house.facts["https"], ssl=house.trust, server_hostname="localhost"
    )
    writer.write(spelled(token) + frame(TEXT, SYNC_PING, masked=False))
    came = await asyncio.wait_for(reader.read(), 30)
    writer.transport.abort()
    head, _, frames = came.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ") and b'"type":"pong"' not in frames
    assert close_codes(frames) == [PROTOCOL_ERROR]
