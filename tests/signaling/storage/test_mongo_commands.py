"""How often the database is asked: each command costs a message more than all the rest of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo import monitoring

from signaling.clock import FakeClock
from signaling.config.store import Store as Settings
from signaling.ids import SystemEntropy
from signaling.storage.mongo import MongoStore, connect
from signaling.storage.mongo.lease import SECONDS
from signaling.storage.port import NewOp
from tests.signaling.house import Running, serving
from tests.signaling.storage import places

pytestmark = pytest.mark.usefixtures("driver_sockets")

APP, PASSWORD = "app", "four words that nobody guesses"
COLLECTIONS = ("op", "room", "cursor")


class Listener(monitoring.CommandListener):
    """Commands about rooms, by name and collection, in order; `documents` about the others."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.documents: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        on = event.command.get(event.command_name)
        if on in COLLECTIONS:
            self.seen.append((event.command_name, on))
        if on == "meta":
            self.documents.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Of no interest."""

    def take(self) -> list[tuple[str, str]]:
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    made = Listener()

    def listening(settings: Any) -> dict[str, Any]:
        return {**connect.arguments(settings), "event_listeners": [made]}

    monkeypatch.setattr("signaling.storage.mongo.store.arguments", listening)
    return made


@pytest.fixture
async def settings(stand_in: Callable[[], int], tmp_path: Path) -> AsyncIterator[Settings]:
    made = places.stand_in_settings(stand_in())
    yield made
    await places.MongoPlace(made, tmp_path).clear()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def here(
    settings: Settings, tmp_path: Path, clock: FakeClock, listener: Listener
) -> AsyncIterator[MongoStore]:
    made = MongoStore(settings, tmp_path, clock, SystemEntropy())
    yield made
    await made.close()


async def test_many_documents_are_removed_by_two_commands(
    here: MongoStore, listener: Listener
) -> None:
    keys = [f"k{n:03}" for n in range(500)]
    await asyncio.gather(*(here.meta.put(APP, "kind", key, b"v", expect=0) for key in keys))
    listener.documents.clear()
    assert await here.meta.remove(APP, "kind", keys) == len(keys)
    assert listener.documents == ["find", "delete"]
    assert await here.meta.scan(APP, "kind") == []


async def test_a_room_in_use_asks_for_its_document_and_writes_its_ops(
    here: MongoStore, clock: FakeClock, listener: Listener
) -> None:
    for version in (1, 2):
        await here.log.append(APP, "room", [NewOp("a", version, b"body")])
    listener.take()
    for version in (3, 4, 5):
        assert (await here.log.head(APP, "room")).seq == version - 1
        assert await here.log.cursor(APP, "room", "a") == version - 1
        await here.log.append(APP, "room", [NewOp("a", version, b"body")])
        assert listener.take() == [("find", "room"), ("insert", "op")]
    clock.advance(3 * SECONDS)
    assert (await here.log.head(APP, "room")).seq == 5
    await here.log.append(APP, "room", [NewOp("a", 6, b"body")])
    assert listener.take() == [("find", "room"), ("update", "room"), ("insert", "op")]


async def test_rooms_that_write_at_once_share_their_commands(
    here: MongoStore, listener: Listener
) -> None:
    rooms = [f"room{number}" for number in range(30)]

    async def write(version: int) -> None:
        op = NewOp("a", version, b"body")
        answers = await asyncio.gather(*(here.log.append(APP, room, [op]) for room in rooms))
        assert [answer.seq for (answer,) in answers] == [version] * len(rooms)

    await write(1)
    listener.take()
    await write(2)
    assert listener.take() == [("insert", "op")]
    heads = await asyncio.gather(*(here.log.head(APP, room) for room in rooms))
    assert [head.seq for head in heads] == [2] * len(rooms)
    assert listener.take() == [("find", "room")]


class Talker:
    """One session on the log of one room, over the socket of a whole server."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._version = 0

    async def bind(self, room: str) -> None:
        path = f"room:{room}"
        await self._say(type="bind", path=path, need_client_file_ident=True)
        named = await self._next("ident")
        names = ("client_file_ident", "client_file_ident_salt")
        await self._say(type="ident", **{name: named[name] for name in names})
        await self._next("download")

    async def post(self, text: str) -> None:
        """Until it is acknowledged."""
        self._version += 1
        body = {"format": "m.plain.v1", "text": text}
        op = {"type": "post", "id": f"01a204c4-53b1-7529-8dc2-{self._version:012x}", "body": body}
        change = {"version": self._version, "clock": self._version, "op": op}
        await self._say(type="upload", changes=[change])
        while (await self._next("download"))["upload_client_version"] < self._version:
            pass

    async def _say(self, **frame: Any) -> None:
        await self._socket.send_json({"session": 1, **frame})

    async def _next(self, kind: str) -> dict[str, Any]:
        while True:
            frame: dict[str, Any] = await self._socket.receive_json(timeout=30)
            assert frame["type"] != "error", frame
            if frame["type"] == kind:
                return frame


async def sign_up(running: Running) -> dict[str, str]:
    link = (running.app.setup_link or "").rpartition("#")[2]
    body = {"login": "root.ana", "password": PASSWORD, "link": link}
    async with running.client.post(running.https + "/api/v1/sign-up", json=body) as answer:
        return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


async def test_a_message_through_the_server_is_one_question_and_one_write(
    settings: Settings, tmp_path: Path, listener: Listener
) -> None:
    """Beside it others look at rooms now and then, so of several messages the best is told."""
    flags = {
        "store.url": settings.url,
        "store.database": settings.database,
        "store.insecure_without_auth": "true",
    }
    async with serving(tmp_path, flags) as running:
        headers = await sign_up(running)
        body = {"kind": "group", "name": "Tea", "members": []}
        url = running.https + "/api/v1/rooms"
        async with running.client.post(url, json=body, headers=headers) as answer:
            room = (await answer.json())["id"]
        async with running.client.ws_connect(
            running.https + "/sync", headers=headers, protocols=("sotto.1",)
        ) as socket:
            talker = Talker(socket)
            await talker.bind(room)
            await talker.post("the first asks for more: who has it")
            found = []
            for number in range(10):
                listener.take()
                await talker.post(f"message {number}")
                found.append(listener.take())
    assert [("find", "room"), ("insert", "op")] in found, found
