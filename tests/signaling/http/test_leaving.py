"""Who cuts a connection in the middle: counted as such, and no error of the server's."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.signaling.files.rig import BYTES, There, people

pytestmark = pytest.mark.asyncio(loop_scope="module")
# Then the kernel says RST instead of FIN (`SO_LINGER` for no time).
AT_ONCE = struct.pack("ii", 1, 0)
COUNTED = re.compile(r'^sotto_http_requests_total{route="(.+)",status="499"} (\d+)$', re.M)
WAYS = pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[There]:
    folder: Path = tmp_path_factory.mktemp("leaving")
    async with people(folder) as made:
        yield made


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


async def cut(there: There, request: str, fields: dict[str, str], body: bytes, reset: bool) -> None:
    """The handler waits for a hundred bytes, gets some, and then nobody is there."""
    at = urlsplit(there.house.http)
    lines = {"Host": at.netloc, "Content-Length": "100", "Expect": "100-continue", **fields}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(f"{request} HTTP/1.1\r\n{head}\r\n".encode())
    async with asyncio.timeout(30):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    await writer.drain()
    await leave(writer, reset)


async def leave(writer: asyncio.StreamWriter, reset: bool) -> None:
    if reset:
        held = writer.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()


async def left(there: There) -> dict[str, int]:
    async with there.house.client.get(there.house.operator + "/metrics") as answer:
        return {route: int(count) for route, count in COUNTED.findall(await answer.text())}


async def is_counted(there: There, before: dict[str, int], route: str) -> None:
    async with asyncio.timeout(30):
        while (now := await left(there)) == before:
            await asyncio.sleep(0.01)
    assert now == {**before, route: before.get(route, 0) + 1}


def no_error_of_ours(said: pytest.LogCaptureFixture) -> None:
    assert [one.message for one in said.records if "left in the middle" in one.message]
    wrong = [one for one in said.records if one.levelno > logging.INFO or one.exc_info]
    assert not wrong, wrong


@WAYS
async def test_in_the_middle_of_json(
    there: There, said: pytest.LogCaptureFixture, reset: bool
) -> None:
    before = await left(there)
    fields = {"Content-Type": "application/json", "Authorization": f"Bearer {there.ana.token}"}
    await cut(there, "POST /api/v1/rooms", fields, b'{"kind":"gr', reset)
    await is_counted(there, before, "/api/v1/rooms")
    no_error_of_ours(said)


@WAYS
async def test_in_the_middle_of_an_upload_which_goes_on_from_there(
    there: There, said: pytest.LogCaptureFixture, reset: bool
) -> None:
    before, made = await left(there), await there.ana.create(100)
    fields = {**BYTES, "Authorization": f"Bearer {there.ana.token}", "Upload-Offset": "0"}
    await cut(there, f"PATCH /api/v1/uploads/{made['id']}", fields, b"0123456789", reset)
    await is_counted(there, before, "/api/v1/uploads/{file_id}")
    no_error_of_ours(said)
    offset = int((await there.ana.head(made["id"])).headers["Upload-Offset"])
    # What had not been read when the reset came is the kernel's to throw away.
    assert offset == 10 or (reset and offset == 0)
    assert (await there.ana.patch(made["id"], offset, b"x" * (100 - offset))).status == 204
    assert (await there.ana.complete(made["id"])).status == 200


@WAYS
async def test_in_the_middle_of_a_server_api_call(
    there: There, said: pytest.LogCaptureFixture, reset: bool
) -> None:
    before = await left(there)
    token = there.house.token("tea", "ann", room_create=True)
    fields = {"Content-Type": "application/protobuf", "Authorization": f"Bearer {token}"}
    await cut(there, "POST /twirp/livekit.RoomService/CreateRoom", fields, b"\x0a\x50tea", reset)
    await is_counted(there, before, "/twirp/{service}/{method}")
    no_error_of_ours(said)


@WAYS
async def test_in_the_middle_of_a_download(
    there: There, said: pytest.LogCaptureFixture, reset: bool
) -> None:
    sent = await there.ana.send(bytes(16 * 1024 * 1024))
    url = urlsplit((await there.ana.link(sent["id"])).json["url"])
    before = await left(there)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
    async with asyncio.timeout(30):
        assert b" 200 " in await reader.readline()
    await leave(writer, reset)
    await is_counted(there, before, "/f/{ticket}")
    no_error_of_ours(said)
