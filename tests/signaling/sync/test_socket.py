"""Row A28 and 5.B: frames, pings, floods, slow readers, revocations on an open socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
import time
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType

from signaling.accounts.principal import Role, require_role
from signaling.accounts.sessions.service import changed
from signaling.errors import Code, Refused, Unavailable
from signaling.sync import frames
from signaling.sync.connection import CLOSE_SECONDS, Connection
from signaling.sync.errors import Close, SyncCode, translate
from signaling.sync.frames import Rights
from signaling.sync.registry import Registry
from tests.signaling.sessions.house import ALICE, APP, BOB
from tests.signaling.sessions.test_sessions import grant, look
from tests.signaling.sync.conftest import Doorstep, closed
from tests.slack import SLACK
from tests.websocket import close_codes, spelled


async def error(socket: Any) -> Any:
    frame = await socket.receive_json(timeout=30)
    assert frame["type"] == "error"
    assert set(frame["body"]) == {
        "isRecoveryModeEnabled", "message", "logURL", "tryAgain", "shouldClientReset", "action",
    }  # fmt: skip
    return frame


async def test_a28_a_ping_is_answered_with_its_id(step: Doorstep) -> None:
    socket = await step.open(await step.house.sign_in())
    await socket.send_json({"type": "ping", "id": 7, "of_a_newer_client": True})
    assert await socket.receive_json(timeout=30) == {"type": "pong", "id": 7}


async def test_a28_an_unknown_message_is_error_102_and_the_socket_goes_on(step: Doorstep) -> None:
    socket = await step.open(await step.house.sign_in())
    await socket.send_json({"type": "teleport"})
    frame = await error(socket)
    assert (frame["code"], frame["name"], frame["session"]) == (102, "unknown_message", 0)
    await socket.send_json({"type": "ping", "id": 1})
    assert (await socket.receive_json(timeout=30))["type"] == "pong"


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "{", '{"type": 1}', '{"type": "ping"}', '{"type":"ping","id":-1}',
     '{"type":"ping","id":1e999}', '{"type":"ping","id":NaN}', '{"type":"ping","id":"1"}',
     '{"type":"presence","id":"a","accounts":[]}', "[" * 60000, '{"type":' + '{"a":' * 9000,
     '{"type":"ping","id":' + "9" * 5000 + "}", '"ping"', "\x00"],
    ids=lambda text: text[:20],
)  # fmt: skip
async def test_a28_what_cannot_be_read_is_error_103_and_ends_the_socket(
    step: Doorstep, text: str
) -> None:
    socket = await step.open(await step.house.sign_in())
    await socket.send_str(text)
    assert (await error(socket))["code"] == 103
    assert await closed(socket) == 1007


async def test_a28_a_flood_is_error_104_and_close_1008(doorstep: Any) -> None:
    async with doorstep(messages_per_second=5, messages_burst=20) as step:
        socket = await step.open(await step.house.sign_in())
        other = await step.open(await step.house.sign_in(BOB))
        for number in range(60):
            await socket.send_json({"type": "ping", "id": number})
        codes = []
        while (message := await socket.receive(timeout=30)).type is WSMsgType.TEXT:
            codes.append(json.loads(message.data).get("code"))
        assert codes[-1] == 104 and socket.close_code == 1008
        await other.send_json({"type": "ping", "id": 1})
        assert (await other.receive_json(timeout=30))["type"] == "pong"


async def test_5b_a_flood_of_websocket_pings_is_one_too(doorstep: Any) -> None:
    async with doorstep(messages_per_second=5, messages_burst=20) as step:
        socket = await step.open(await step.house.sign_in())
        for _ in range(60):
            await socket.ping(b"x")
        assert await closed(socket) == 1008


async def test_5b_a_frame_that_is_too_large_is_close_1009(step: Doorstep) -> None:
    socket = await step.open(await step.house.sign_in())
    await socket.send_str('{"type":"ping","id":1,"x":"' + "x" * 65536 + '"}')
    assert await closed(socket) == 1009


async def test_5b_a_frame_in_many_fragments_is_bounded_as_a_whole(step: Doorstep) -> None:
    socket = await step.open(await step.house.sign_in())
    writer: Any = socket._writer
    transport = writer.transport
    mask = bytes(4)
    transport.write(bytes((0x01, 0x80 | 1)) + mask + b"x")
    part = bytes((0x00, 0x80 | 126)) + (4096).to_bytes(2, "big") + mask + b"x" * 4096
    for _ in range(40):
        transport.write(part)
    assert await closed(socket) in (1009, 1006)


async def test_5b_a_compressed_frame_is_a_protocol_error(step: Doorstep) -> None:
    """Compression is never agreed on, so there is no bomb to defuse."""
    socket = await step.open(
        await step.house.sign_in(), Sec_WebSocket_Extensions="permessage-deflate"
    )
    writer: Any = socket._writer
    writer.transport.write(bytes((0xC1, 0x80 | 4)) + bytes(4) + b"\xaa\xaa\xaa\xaa")
    assert await closed(socket) == 1002


async def test_binary_frames_are_not_of_this_protocol(step: Doorstep) -> None:
    socket = await step.open(await step.house.sign_in())
    await socket.send_bytes(b"{}")
    assert await closed(socket) == 1003


async def test_invalid_utf8_is_close_1007(step: Doorstep) -> None:
    socket = await step.open(await step.house.sign_in())
    writer: Any = socket._writer
    writer.transport.write(bytes((0x81, 0x80 | 2)) + bytes(4) + b"\xff\xfe")
    assert await closed(socket) == 1007


# Pings


async def test_a28_who_answers_no_ping_is_dropped(doorstep: Any) -> None:
    async with doorstep(ping_seconds=0.2, pong_seconds=0.2) as step:
        socket = await step.open(await step.house.sign_in())
        assert (await socket.receive_json(timeout=30))["type"] == "ping"
        assert await closed(socket) == 4408
        await until_empty(step, ALICE)


async def test_a28_who_answers_stays_and_learns_the_round_trip(doorstep: Any) -> None:
    async with doorstep(ping_seconds=1.5, pong_seconds=1.5) as step:
        socket = await step.open(await step.house.sign_in())
        for number in range(1, 4):
            ping = await socket.receive_json(timeout=30)
            assert (ping["type"], ping["id"]) == ("ping", number)
            assert number == 1 or ping["rtt_ms"] >= 0
            await socket.send_json({"type": "pong", "id": ping["id"]})


async def test_a_client_in_the_background_is_pinged_less(doorstep: Any) -> None:
    async with doorstep(ping_seconds=1.0, pong_seconds=1.0, background_seconds=5.0) as step:
        socket = await step.open(await step.house.sign_in())
        for background in (True, False):
            began = time.monotonic()
            await socket.send_json({"type": "pace", "background": background, "seconds": 300})
            assert (await socket.receive_json(timeout=30))["type"] == "ping"
            assert (time.monotonic() - began > 4.0) is background


async def test_5b_a_slow_reader_is_cut_and_the_buffer_is_bounded(doorstep: Any) -> None:
    async with doorstep(outbox_bytes=65536) as step:
        await step.open(await step.house.sign_in(BOB))
        _, writer, slow = await stalled(step)
        for _ in range(2000):
            slow.send(frames.Ping(1, None))
            slow.send_bytes(b'"' + b"x" * 60000 + b'"')
            if slow.close_code:
                break
        assert slow.close_code == Close.TRY_LATER
        await until_empty(step, ALICE)
        writer.close()


async def test_5b_a_stalled_reader_whose_session_ends_is_never_told_an_ordinary_end(
    step: Doorstep,
) -> None:
    """Not 1000, which a client takes for good; what it left unread is dropped in time."""
    reader, writer, slow = await stalled(step, small=False)
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
    while slow.backlog < 300_000:
        slow.send_bytes(b'"' + b"x" * 60_000 + b'"')
        await asyncio.sleep(0)
    assert not slow.over
    started = time.monotonic()
    slow.end(Close.SIGNED_OUT, "over")
    await until_empty(step, ALICE, 30)
    assert time.monotonic() - started < CLOSE_SECONDS + SLACK and slow.backlog == 0
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    seen = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(30):
            while part := await reader.read(65536):
                seen += part
    assert set(close_codes(seen)) <= {Close.SIGNED_OUT}
    writer.transport.abort()


async def stalled(
    step: Doorstep, *, small: bool = True
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Connection]:
    """A peer that reads nothing by itself, and whose kernel takes little; and its socket here."""
    host, port = step.api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    sock: sockets.socket = writer.get_extra_info("socket")
    if small:
        sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    writer.write(spelled(await step.house.sign_in()))
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer, await only(step, ALICE)


async def only(step: Doorstep, account: str) -> Connection:
    for _ in range(3000):
        found = [c for c in step.door._open if c.principal.account == account]
        if found:
            return found[0]
        await asyncio.sleep(0.01)
    raise AssertionError("no socket")


async def until_empty(step: Doorstep, account: str, seconds: float = 30.0) -> None:
    for _ in range(int(seconds * 100)):
        if not [c for c in step.door._open if c.principal.account == account]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the socket stays")


# Revocation


async def test_c5_signing_out_closes_the_socket_at_once(step: Doorstep) -> None:
    token = await step.house.sign_in()
    socket, other = await step.open(token), await step.open(await step.house.sign_in())
    session = (await look(step.house, token)).session
    await step.house.service.end_session(APP, session or "")
    frame = await error(socket)
    assert (frame["code"], frame["status"], frame["body"]["action"]) == (100, 401, "LogOutUser")
    assert await closed(socket) == 4401
    await other.send_json({"type": "ping", "id": 1})
    assert (await other.receive_json(timeout=30))["type"] == "pong"


async def test_5b_rights_taken_in_the_middle_count_for_the_next_message(step: Doorstep) -> None:
    async def allowed(connection: Connection, message: Shout) -> None:
        require_role(connection.principal, Role.ADMINISTRATOR)
        connection.send(Rights(scopes=[], roles=[]))

    step.door.registry.register(Shout, allowed)
    token = await step.house.sign_in()
    socket = await step.open(token)
    step.house.accounts.change(ALICE, roles=frozenset({Role.ADMINISTRATOR}))
    await step.house.revocations.revoke(changed(APP, account=ALICE))
    assert (await socket.receive_json(timeout=30))["roles"] == ["administrator"]
    await socket.send_json({"type": "shout", "id": "q", "what": "x"})
    assert (await socket.receive_json(timeout=30))["type"] == "rights"
    step.house.accounts.change(ALICE, roles=frozenset({Role.MEMBER}))
    await step.house.revocations.revoke(changed(APP, account=ALICE))
    assert (await socket.receive_json(timeout=30))["roles"] == ["member"]
    await socket.send_json({"type": "shout", "id": "q", "what": "x"})
    assert (await error(socket))["code"] == 206
    step.house.accounts.change(ALICE, disabled=True, roles=frozenset())
    await step.house.revocations.revoke(changed(APP, account=ALICE))
    assert await closed(socket) == 4401


async def test_a_session_that_ends_by_its_age_closes_its_socket(doorstep: Any) -> None:
    async with doorstep(ping_seconds=0.1, pong_seconds=5.0) as step:
        socket = await step.open(await step.house.sign_in())
        step.house.clock.advance(31 * 86400)

        async def answer() -> int | None:
            while (message := await socket.receive(timeout=30)).type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                if frame["type"] == "ping":
                    await socket.send_json({"type": "pong", "id": frame["id"]})
            code: int | None = socket.close_code
            return code

        assert await asyncio.wait_for(answer(), 30) == 4401


async def test_an_open_socket_keeps_its_session_in_use(doorstep: Any) -> None:
    async with doorstep(ping_seconds=0.75, pong_seconds=0.75) as step:
        token = await step.house.sign_in()
        socket = await step.open(token)
        for _ in range(4):
            step.house.clock.advance(3600)
            for _ in range(2):
                ping = await socket.receive_json(timeout=30)
                await socket.send_json({"type": "pong", "id": ping["id"]})
        await look(step.house, token)


async def test_c6_a_message_needs_its_scope(step: Doorstep) -> None:
    tokens = await grant(step.house, scopes=frozenset({"messages:read"}))
    socket = await step.open(tokens.access.text)
    await socket.send_json({"type": "presence", "id": "q1", "accounts": [ALICE]})
    frame = await error(socket)
    assert (frame["code"], frame["status"], frame["reply_to"]) == (206, 403, "q1")


# Presence


async def test_a_device_is_there_while_its_socket_is(step: Doorstep) -> None:
    who = await look(step.house, token := await step.house.sign_in())
    first, second = await step.open(token), await step.open(token)
    await first.send_json({"type": "presence", "id": "q", "accounts": [ALICE, BOB, "nobody"]})
    answer = await first.receive_json(timeout=30)
    assert ([one["account"] for one in answer["people"]], answer["devices"]) == (
        [ALICE], [who.device],
    )  # fmt: skip
    await first.close()
    await second.send_json({"type": "presence", "id": "r", "accounts": [ALICE]})
    assert (await second.receive_json(timeout=30))["devices"] == [who.device]
    await second.close()
    await until_empty(step, ALICE)
    async with asyncio.timeout(30):
        while await step.attendance.devices((APP, ALICE)):
            await asyncio.sleep(0.01)


# What other rooms add


class Shout(msgspec.Struct, frozen=True, tag="shout"):
    """A message of a room that lives on the socket."""

    id: str
    what: str


@pytest.mark.parametrize(
    ("raised", "code", "status"),
    [
        (Refused(Code.TOKEN_INVALID, 403, "no"), SyncCode.BAD_AUTHENTICATION, 403),
        (Refused(Code.TOKEN_EXPIRED, 403, "no"), SyncCode.TOKEN_EXPIRED, 403),
        (Refused(Code.NOT_PERMITTED, 403, "no"), SyncCode.PERMISSION_DENIED, 403),
        (Refused(Code.TOKEN_REVOKED, 403, "no"), SyncCode.PERMISSIONS_CHANGED, 403),
        (Unavailable("away"), SyncCode.OTHER_SESSION_ERROR, 503),
        (RuntimeError("a secret"), SyncCode.OTHER_ERROR, 500),
    ],
)
async def test_b24_a_refusal_of_a_room_is_told_with_its_number_and_status(
    step: Doorstep, raised: Exception, code: SyncCode, status: int
) -> None:
    async def refuse(connection: Connection, message: Shout) -> None:
        raise raised

    step.door.registry.register(Shout, refuse)
    socket = await step.open(await step.house.sign_in())
    await socket.send_json({"type": "shout", "id": "s1", "what": "x"})
    frame = await error(socket)
    assert (frame["code"], frame["status"], frame["reply_to"]) == (code, status, "s1")
    assert "secret" not in str(frame)


async def test_b24_a_room_closes_with_4403_when_no_session_is_left(step: Doorstep) -> None:
    async def leave(connection: Connection, message: Shout) -> None:
        connection.end(Close.NO_SESSION, "no session is left")

    gone: list[Connection] = []
    step.door.registry.register(Shout, leave)
    step.door.registry.on_close(gone.append)
    socket = await step.open(await step.house.sign_in())
    await socket.send_json({"type": "shout", "id": "s1", "what": "x"})
    assert await closed(socket) == 4403
    await until_empty(step, ALICE)
    assert len(gone) == 1


def test_a_type_is_registered_once_and_has_a_name() -> None:
    async def handle(connection: Connection, message: Any) -> None: ...

    registry = Registry()
    registry.register(Shout, handle)
    for kind in (Shout, frames.Peek):
        with pytest.raises(ValueError, match="tag"):
            registry.register(kind, handle)


def test_our_own_errors_are_not_translated() -> None:
    assert translate(RuntimeError("x")) is None
