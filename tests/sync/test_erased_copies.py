"""What is taken back leaves every device: the one that hears of it, and the one that was away.

No file of it has the words then, whichever client it is; what was not taken back is still there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.signaling.files.rig import Person, There, every_byte
from tests.sync.house import device, room_of, served
from tests.sync.relay import Relay
from tests.sync.seats import NodeSeat, PythonSeat

CANARY = "canary-6e0d"
SECONDS = 30.0
Bytes = Callable[[], Awaitable[bytes]]


@dataclass
class Device:
    """`kept`: every byte that it keeps. `make` changes a partition, online or not."""

    seat: PythonSeat | NodeSeat
    kept: Bytes

    async def follow(self, path: str) -> None:
        if isinstance(self.seat, NodeSeat):
            await self.seat.ask("follow", path=path)
        else:
            self.seat.client.follow(path)

    async def make(self, path: str, op: dict[str, Any]) -> None:
        if isinstance(self.seat, NodeSeat):
            await self.seat.ask("make", path=path, op=op)
        else:
            self.seat.client.make(path, op)

    async def synced(self, path: str) -> None:
        if isinstance(self.seat, NodeSeat):
            await self.seat.ask("synced", path=path, ms=SECONDS * 1000)
        else:
            await self.seat.client.synced(path, SECONDS)

    async def texts(self, room: str) -> list[str]:
        return [text for text in (await self.seat.seen(room)).texts if text]

    async def finds(self, *words: str) -> set[str]:
        kept = await self.kept()
        return {word for word in words if word.encode() in kept}


@contextlib.asynccontextmanager
async def python(there: There, url: str, folder: Path) -> AsyncIterator[Device]:
    await asyncio.to_thread(folder.mkdir)
    seat = PythonSeat(device(there.house.client, url, there.ana, str(folder / "kept.db")))

    async def kept() -> bytes:
        """The database, its write-ahead log, and whatever else SQLite puts beside them."""
        return await asyncio.to_thread(every_byte, folder)

    try:
        yield Device(seat, kept)
    finally:
        await seat.stop()


@contextlib.asynccontextmanager
async def typescript(there: There, url: str, folder: Path) -> AsyncIterator[Device]:
    seat = await NodeSeat.open(url, there.ana.token, await there.account_of(there.ana), None)

    async def kept() -> bytes:
        return str(await seat.ask("dump")).encode()

    try:
        yield Device(seat, kept)
    finally:
        await seat.stop()


@dataclass
class Line:
    """Two devices of Ana: one that is there all the time, and one whose line is cut."""

    there: There
    near: Device
    away: Device
    relay: Relay

    def cut(self) -> None:
        self.relay.closed = True
        self.relay.cut()

    def mend(self) -> None:
        self.relay.closed = False


@pytest.fixture(params=[python, typescript], ids=lambda client: client.__name__)
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    async with served(tmp_path / "server", retention__sweep_seconds="1") as there:
        url = there.house.http
        relay = Relay(int(url.rpartition(":")[2]))
        await relay.start()
        cuttable = url.replace(str(relay.target), str(relay.port))
        try:
            async with (
                request.param(there, url, tmp_path / "near") as near,
                request.param(there, cuttable, tmp_path / "away") as away,
            ):
                yield Line(there, near, away, relay)
        finally:
            await relay.stop()


async def done(person: Person, method: str, path: str, body: Any = None) -> Any:
    answer = await person.ask(method, path, body)
    assert answer.status < 300, answer.body
    return answer.json if answer.body else None


async def said(person: Person, room: str, text: str, **more: Any) -> str:
    sent = await done(person, "POST", f"/rooms/{room}/messages", {"text": text, **more})
    return str(sent["id"])


async def erased(asked: Any, person: Person) -> None:
    async with asyncio.timeout(SECONDS):
        while (await done(person, "GET", f"/erasures/{asked['id']}"))["state"] != "done":
            await asyncio.sleep(0.05)


async def nowhere(device: Device, *words: str) -> None:
    async with asyncio.timeout(SECONDS):
        while found := await device.finds(*words):
            await asyncio.sleep(0.1)
    assert not found


@dataclass
class Town:
    """What there is, and what was written; `gone` is to be found nowhere in the end."""

    room: str
    short: str
    doomed: str
    early: str
    deleted: str
    erased: str
    mine: str
    gone: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        rooms = (self.room, self.short, self.doomed, self.early)
        return [*(f"room:{room}" for room in rooms), "account"]


def word(what: str) -> str:
    return f"{CANARY}-{what}-x"


async def written(line: Line) -> Town:
    ana, bob = line.there.ana, line.there.bob
    room, short, doomed, early = [await room_of(ana, bob) for _ in range(4)]
    one = f"/rooms/{room}/messages"
    deleted = await said(bob, room, word("deleted"))
    await done(bob, "PATCH", f"{one}/{deleted}", {"text": word("edited")})
    erasing = await said(bob, room, word("erased"))
    await done(bob, "PATCH", f"{one}/{erasing}", {"text": word("improved")})
    await done(ana, "PUT", f"{one}/{erasing}/reactions/x", {})
    await done(ana, "PUT", f"{one}/{erasing}/saved", {"note": word("note")})
    draft = {"body": {"format": "m.plain.v1", "text": word("draft")}, "parent": erasing}
    await done(ana, "PUT", f"/rooms/{room}/draft", draft)
    mine = await said(ana, room, word("mine"))
    await said(bob, room, "still here")
    await said(bob, short, word("short"))
    await said(bob, doomed, word("doomed"))
    await done(bob, "DELETE", f"/rooms/{early}/messages/{await said(bob, early, word('early'))}")
    gone = ("deleted", "edited", "erased", "improved", "note", "draft", "mine", "short", "doomed")
    return Town(room, short, doomed, early, deleted, erasing, mine, tuple(map(word, gone)))


async def take_back(line: Line, town: Town) -> None:
    ana, bob, room = line.there.ana, line.there.bob, town.room
    await done(bob, "DELETE", f"/rooms/{room}/messages/{town.deleted}")
    for who, message in ((bob, town.erased), (ana, town.mine)):
        asked = await done(who, "POST", f"/rooms/{room}/erasures", {"messages": [message]})
        await erased(asked, who)
    await done(ana, "PUT", f"/rooms/{town.short}/retention", {"messages": 1})
    await erased(await done(ana, "DELETE", f"/rooms/{town.doomed}"), ana)
    async with asyncio.timeout(SECONDS):
        while (await done(ana, "GET", f"/rooms/{town.short}/messages"))["items"]:
            await asyncio.sleep(0.1)


async def test_what_is_taken_back_is_in_no_file_of_any_device(line: Line) -> None:
    town = await written(line)
    for each in (line.near, line.away):
        for path in town.paths:
            await each.follow(path)
        await each.seat.start(town.room)
        for path in town.paths:
            await each.synced(path)
        assert await each.finds(*town.gone) == set(town.gone)
        # The server's log has what was deleted until its time is over, and sends it.
        assert not await each.finds(word("early"))
    line.cut()
    edit = {"format": "m.plain.v1", "text": word("pending")}
    await line.away.make(town.paths[0], {"type": "edit", "id": town.mine, "body": edit})
    assert await line.away.finds(word("pending"))
    await take_back(line, town)
    await nowhere(line.near, *town.gone)
    assert await line.away.finds(*town.gone) == set(town.gone)
    line.mend()
    for path in (town.paths[0], town.paths[1], "account"):
        await line.away.synced(path)
    await nowhere(line.away, *town.gone, word("pending"))
    await line.near.synced(town.paths[0])
    for each in (line.near, line.away):
        assert await each.finds("still here", CANARY) == {"still here"}
        assert await each.texts(town.room) == ["still here"]
        assert await each.texts(town.doomed) == []
