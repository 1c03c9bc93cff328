"""How a sync socket ends (RFC 6455 section 7): the peer is told once, in time to hear it."""

from __future__ import annotations

import asyncio
from asyncio.sslproto import _SSLProtocolTransport
from typing import Any

import msgspec
import pytest

from signaling.sync.errors import Close
from tests.signaling.sessions.house import ALICE
from tests.signaling.sync.conftest import Doorstep, closed
from tests.signaling.sync.test_socket import only, stalled, until_empty
from tests.websocket import close_codes, masked


async def test_a28_a_peer_that_reads_late_still_learns_why(step: Doorstep) -> None:
    """Its own close frame must find the connection standing, or its library says 1006."""
    socket = await step.open(await step.house.sign_in())
    (await only(step, ALICE)).end(Close.NO_SESSION, "no session is left")
    for _ in range(100):  # both ends have all the turns that they want before it looks
        await asyncio.sleep(0)
    assert await closed(socket) == 4403
    await until_empty(step, ALICE)


async def test_a28_the_connection_stands_until_the_peer_has_answered_once(
    step: Doorstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 6455 section 7.1.1; what it was still saying is passed over, and it is told once."""
    monkeypatch.setattr("signaling.sync.connection.CLOSE_SECONDS", 60.0)
    reader, writer, connection = await stalled(step, small=False)
    connection.end(Close.SIGNED_OUT, "the session is over")
    seen = b""
    while not close_codes(seen):
        seen += await asyncio.wait_for(reader.read(65536), 30)
    for number in range(3):
        writer.write(masked(0x1, msgspec.json.encode({"type": "ping", "id": number})))
        await writer.drain()
        await asyncio.sleep(0.01)
    assert [c for c in step.door._open if c.principal.account == ALICE]
    writer.write(masked(0x8, (4401).to_bytes(2, "big")))
    while part := await asyncio.wait_for(reader.read(65536), 30):
        seen += part
    assert close_codes(seen) == [4401] and b'"pong"' not in seen
    await until_empty(step, ALICE)
    assert step.door._tasks == set()
    writer.close()


async def test_a28_who_leaves_is_answered_once_and_its_own_code_is_kept(step: Doorstep) -> None:
    reader, writer, connection = await stalled(step, small=False)
    writer.write(masked(0x8, (1001).to_bytes(2, "big") + b"going"))
    seen = b""
    while part := await asyncio.wait_for(reader.read(65536), 30):
        seen += part
    assert close_codes(seen) == [1000] and connection.close_code == 1001
    await until_empty(step, ALICE)
    writer.close()


async def test_who_goes_while_its_ping_waits_for_an_answer_is_no_error(
    step: Doorstep, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer, connection = await stalled(step, small=False)
    # Its end comes with what it said last.
    transport: Any = connection._transport
    transport.get_protocol().data_received(masked(0x9, b"there?"))
    transport.abort()
    await until_empty(step, ALICE)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    writer.close()


async def test_what_is_said_to_a_connection_that_is_gone_is_no_error(step: Doorstep) -> None:
    """asyncio's TLS transport forgets its protocol when it is closed again (Python 3.11), as
    happens when a peer hangs up while its upgrade is answered: writing raised AttributeError."""
    await step.open(await step.house.sign_in())
    connection = await only(step, ALICE)
    kept = connection._transport
    nothing: Any = None
    gone: Any = _SSLProtocolTransport(asyncio.get_running_loop(), nothing)
    gone._closed = True
    connection._transport = gone
    connection.send_bytes(b"{}")
    assert connection.backlog == 0
    connection.end(Close.SILENT, "no answer to a ping")
    assert connection.over
    connection._transport = kept
    kept.abort()
    await until_empty(step, ALICE)
