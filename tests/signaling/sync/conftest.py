"""A door with a house of sessions behind it, served on a port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from signaling.accounts.sessions.operations import Deps, operations
from signaling.chat.attendance import Attendance
from signaling.chat.seeing import Shown, State
from signaling.clock import FakeClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.config.sessions import Sync
from signaling.sync.door import Door
from signaling.sync.presence import Presence
from signaling.sync.registry import Registry
from tests.signaling.sessions.house import House, a_store
from tests.signaling.sessions.served import OWN, Served, served
from tests.websocket import upgrade

VERSION = {"Sec-WebSocket-Protocol": "sotto.1"}


@dataclass
class Doorstep:
    """What a test holds: the door, its house, and a way to knock."""

    house: House
    door: Door
    attendance: Attendance
    api: Served
    opened: list[Any] = field(default_factory=list)

    async def open(self, token: str = "", path: str = "/sync", **headers: str) -> Any:
        """A socket whose hello was read."""
        fields = {"Sec-WebSocket-Protocol": "sotto.1"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            fields["Authorization"] = f"Bearer {token}"
        socket = await self.api.client.ws_connect(
            self.api.url + path, headers=fields, autoping=False
        )
        self.opened.append(socket)
        hello = await socket.receive_json(timeout=30)
        assert hello["type"] == "hello"
        return socket

    async def knock(self, token: str = "", path: str = "/sync", **headers: str | None) -> Any:
        """An upgrade that should be refused: status, body, headers."""
        fields = upgrade(token, **headers)
        async with self.api.client.get(self.api.url + path, headers=fields) as answer:
            body = await answer.json(content_type=None) if answer.status != 101 else None
            return answer.status, body, answer.headers


def alone(house: House) -> Presence:
    """Of sockets without rooms: everybody sees themselves."""
    attendance = Attendance(house.bus, lambda app, name: name, house.clock, "one")

    async def who(app: str, viewer: str, accounts: Iterable[str]) -> list[Shown]:
        there = viewer in accounts and (await attendance.of((app, viewer))).there
        return [Shown(account=viewer, state=State.ONLINE)] if there else []

    return Presence(attendance, who)


Opening = Callable[..., contextlib.AbstractAsyncContextManager[Doorstep]]


@pytest.fixture
def doorstep(tmp_path: Path) -> Opening:
    @contextlib.asynccontextmanager
    async def opening(**limits: Any) -> AsyncIterator[Doorstep]:
        clock = FakeClock()
        async with a_store("memory", tmp_path, clock) as store:
            house = House(store, clock=clock)
            house.revocations.start(house.service.look_again)
            audit = MemoryAudit()
            presence = alone(house)
            door = Door(
                house.service, house.tickets, house.revocations, presence, Registry(),
                Sync(**limits), lambda request: frozenset({OWN}), audit, clock, house.ids,
            )  # fmt: skip
            every = [*operations(Deps(house.service, house.tickets)), *door.operations()]
            async with served(house, every, audit=audit) as api:
                made = Doorstep(house, door, presence.attendance, api)
                yield made
                for socket in made.opened:
                    await socket.close()
                await door.stop()
            await house.revocations.stop()

    return opening


@pytest.fixture
async def step(doorstep: Opening) -> AsyncIterator[Doorstep]:
    async with doorstep() as made:
        yield made


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """The code that the socket was closed with; what came before it is passed over."""
    while True:
        message = await socket.receive(timeout=30)
        if message.type in (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
            aiohttp.WSMsgType.CLOSING,
            aiohttp.WSMsgType.ERROR,
        ):
            return socket.close_code
