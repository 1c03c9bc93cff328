"""Promises B22 to B24 and B26 on the sync socket: sessions of it, each with a token of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from signaling.access.grant import read_grant
from signaling.access.here import Here
from signaling.access.keysets import KeySet
from signaling.access.subscriptions import Subscriptions
from signaling.compose.access import Planes, on_either_plane
from signaling.config.sessions import Sync
from signaling.sync.door import Door
from signaling.sync.registry import Registry
from tests.signaling.access.rig import APP, Process, ground
from tests.signaling.sessions.house import House
from tests.signaling.sessions.served import OWN, Served, authenticator, served
from tests.signaling.storage.places import MemoryPlace
from tests.signaling.sync.conftest import alone, closed


class Socketed:
    """A server with a sync socket, and a hand that grants."""

    def __init__(self, process: Process, house: House, api: Served, keyset: KeySet) -> None:
        self.process, self.house, self.api, self.keyset = process, house, api, keyset
        self.opened: list[Any] = []

    async def grant(self, ttl: int = 60, **permissions: Any) -> str:
        body = {"ttl": ttl, "permissions": permissions}
        grant = read_grant(msgspec.json.encode(body))
        return await self.process.grants.grant(APP, self.keyset, grant)

    async def open(self, token: str) -> Any:
        headers = {"Sec-WebSocket-Protocol": "sotto.1", "Authorization": f"Bearer {token}"}
        socket = await self.api.client.ws_connect(self.api.url + "/sync", headers=headers)
        self.opened.append(socket)
        assert (await socket.receive_json(timeout=30))["type"] == "hello"
        return socket


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Socketed]:
    async with ground(MemoryPlace(), tmp_path) as base, contextlib.AsyncExitStack() as stack:
        house = House(base.store, clock=base.clock)
        process = Process(base, house.bus, shared=house.revocations)
        frames = Registry()
        here = Here(house.bus, base.sealer.blind, "one")
        subscriptions = Subscriptions(
            process.door, process.groups, here, house.revocations.register, base.clock
        )
        subscriptions.register(frames)
        door = Door(
            house.service, house.tickets, house.revocations, alone(house), frames, Sync(),
            lambda request: frozenset({OWN}), process.audit, base.clock, house.ids,
        )  # fmt: skip
        door.look_again = on_either_plane(house.service.look_again, process.door)
        house.revocations.start(door.look_again)
        stack.push_async_callback(house.revocations.stop)
        who = Planes(authenticator(house), process.door, APP)
        api = await stack.enter_async_context(
            served(house, [*process.operations(), *door.operations()], cast("Any", who))
        )
        stack.push_async_callback(door.stop)
        made = Socketed(process, house, api, await process.keysets.create(APP, "k"))
        yield made
        for socket in made.opened:
            await socket.close()


async def bind(socket: Any, session: int, token: str | None = None, **more: Any) -> Any:
    await socket.send_json({"type": "bind", "session": session, "token": token, **more})
    return await socket.receive_json(timeout=30)


def is_error(frame: Any, code: int, session: int, message: str) -> bool:
    return bool(
        frame["type"] == "error"
        and (frame["code"], frame["session"], frame["status"]) == (code, session, 403)
        and frame["body"]["message"] == message
    )


READ: dict[str, Any] = {
    "resources": {"channels": {"room": 1, "room-pnpres": 1}, "groups": {"team": 1}}
}


async def test_b22_a_subscription_by_token(server: Socketed) -> None:
    await server.process.groups.change(APP, "team", add=["room", "other"])
    token = await server.grant(**READ)
    socket = await server.open(token)
    bound = await bind(socket, 1, token, channels=["room"], groups=["team"])
    assert bound == {"type": "bound", "session": 1, "channels": ["other", "room"]}
    await socket.send_json({"type": "unbind", "session": 1})
    assert await socket.receive_json(timeout=30) == {"type": "unbound", "session": 1}
    await socket.send_json({"type": "unbind", "session": 1})
    again = await socket.receive_json(timeout=30)
    assert (again["type"], again["code"], again["session"]) == ("error", 106, 1)


async def test_b24_error_206_names_what_was_refused(server: Socketed) -> None:
    token = await server.grant(**READ)
    socket = await server.open(token)
    assert (await bind(socket, 1, token, channels=["room"]))["type"] == "bound"
    frame = await bind(socket, 2, token, channels=["room", "else"], groups=["team", "foe"])
    assert is_error(frame, 206, 2, "Forbidden: else, foe")
    # The first session goes on.
    await socket.send_json({"type": "ping", "id": 1})
    assert (await socket.receive_json(timeout=30))["type"] == "pong"


@pytest.mark.parametrize("bad", ["am_garbage", "", "cs_x", "am_" + "A" * 64])
async def test_b24_error_203_for_what_is_no_token(server: Socketed, bad: str) -> None:
    socket = await server.open(await server.grant(**READ))
    assert is_error(await bind(socket, 1, bad, channels=["room"]), 203, 1, "Invalid token")
    assert await closed(socket) == 4403


async def test_b23_no_token_at_all(server: Socketed) -> None:
    """A socket that a token opened gives its sessions nothing by itself."""
    socket = await server.open(await server.grant(**READ))
    frame = await bind(socket, 1, None, channels=["room"])
    assert is_error(frame, 203, 1, "Forbidden: room")
    assert await closed(socket) == 4403


async def test_b24_the_token_of_somebody_else(server: Socketed) -> None:
    token = await server.grant(**READ, uuid="ada")
    for uuid in (None, "bob"):
        socket = await server.open(token)
        frame = await bind(socket, 1, token, channels=["room"], uuid=uuid)
        assert is_error(frame, 206, 1, "Forbidden: room")
        assert await closed(socket) == 4403
    socket = await server.open(token)
    assert (await bind(socket, 1, token, channels=["room"], uuid="ada"))["type"] == "bound"


async def test_b24_error_202_when_it_ends(server: Socketed) -> None:
    opener, short = await server.grant(**READ), await server.grant(1, **READ)
    server.process.clock.advance(59.8)
    socket = await server.open(opener)
    assert (await bind(socket, 1, short, channels=["room"]))["type"] == "bound"
    server.process.clock.advance(0.2)
    frame = await socket.receive_json(timeout=30)
    assert is_error(frame, 202, 1, "Token is expired")
    assert await closed(socket) == 4403
    again = await server.open(opener)
    frame = await bind(again, 1, short, channels=["room"])
    assert is_error(frame, 202, 1, "Token is expired")


async def test_b26_error_228_when_it_is_revoked(server: Socketed) -> None:
    """The session of the revoked token ends; the other, and its socket, go on until their own."""
    first, second = await server.grant(**READ), await server.grant(**READ)
    socket = await server.open(await server.grant(**READ))
    assert (await bind(socket, 1, first, channels=["room"]))["type"] == "bound"
    assert (await bind(socket, 2, second, channels=["room"]))["type"] == "bound"
    await server.process.grants.revoke(APP, server.keyset, first)
    assert is_error(await socket.receive_json(timeout=30), 228, 1, "Token is revoked")
    await socket.send_json({"type": "ping", "id": 1})
    assert (await socket.receive_json(timeout=30))["type"] == "pong"
    await server.process.grants.revoke(APP, server.keyset, second)
    assert is_error(await socket.receive_json(timeout=30), 228, 2, "Token is revoked")
    assert await closed(socket) == 4403


async def test_b26_the_socket_ends_with_the_token_that_opened_it(server: Socketed) -> None:
    token = await server.grant(**READ)
    socket = await server.open(token)
    await server.process.grants.revoke(APP, server.keyset, token)
    assert is_error(await socket.receive_json(timeout=30), 228, 0, "Token is revoked")
    assert await closed(socket) == 4403
    with pytest.raises(Exception, match="403"):
        await server.open(token)


async def test_b22_who_is_there(server: Socketed) -> None:
    token = await server.grant(**READ)
    watcher, ada = await server.open(token), await server.open(token)
    await bind(watcher, 1, token, channels=["room-pnpres"])
    here: Any = await watcher.receive_json(timeout=30)
    assert here == {"type": "here", "session": 1, "channel": "room-pnpres", "uuids": []}
    await bind(ada, 7, token, channels=["room"], uuid="ada")
    here = await watcher.receive_json(timeout=30)
    assert here["uuids"] == ["ada"]
    await ada.send_json({"type": "here_now", "session": 7, "channels": ["room"]})
    assert (await ada.receive_json(timeout=30))["uuids"] == ["ada"]
    await ada.send_json({"type": "here_now", "session": 7, "channels": ["secret"]})
    assert is_error(await ada.receive_json(timeout=30), 206, 7, "Forbidden: secret")
    await ada.close()
    here = await watcher.receive_json(timeout=30)
    assert here["uuids"] == []


async def test_b22_presence_needs_the_presence_channel(server: Socketed) -> None:
    token = await server.grant(resources={"channels": {"room": 1}})
    socket = await server.open(token)
    frame = await bind(socket, 1, token, channels=["room-pnpres"])
    assert is_error(frame, 206, 1, "Forbidden: room-pnpres")


async def test_decision_7_a_signed_in_socket(server: Socketed) -> None:
    """Its own sign-in or a token for each session; a token cannot make it somebody else."""
    token = await server.grant(**READ, uuid="somebody")
    socket = await server.open(await server.house.sign_in())
    frame = await bind(socket, 1, token, channels=["room"], uuid="somebody")
    assert is_error(frame, 206, 1, "Forbidden: room")


@pytest.mark.parametrize(
    "frame",
    [
        {"session": 0, "token": "am_x"},
        {"session": 2**31, "token": "am_x"},
        {"session": 1, "token": "a" * 300},
        {"session": 1, "channels": [""]},
        {"session": 1, "channels": ["x"] * 201},
        {"session": 1, "channels": "room"},
    ],
)
async def test_b24_frames_that_are_wrong(server: Socketed, frame: dict[str, Any]) -> None:
    socket = await server.open(await server.grant(**READ))
    await socket.send_json({"type": "bind", **frame})
    assert (await socket.receive_json(timeout=30))["code"] == 103


async def test_b24_a_number_twice(server: Socketed) -> None:
    token = await server.grant(**READ)
    socket = await server.open(token)
    await bind(socket, 1, token, channels=["room"])
    assert (await bind(socket, 1, token, channels=["room"]))["code"] == 201
