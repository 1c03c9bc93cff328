"""What an owner of a room remembers is what is there, whoever wrote it and whatever clocks say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from signaling.clock import FakeClock
from signaling.config.store import Store as Settings
from signaling.ids import SystemEntropy
from signaling.storage.mongo import MongoStore
from signaling.storage.mongo.lease import SECONDS, SETTLE, TRUST
from signaling.storage.port import Head, NewOp
from tests.signaling.storage import places

pytestmark = pytest.mark.usefixtures("driver_sockets")

APP, ROOM = "app", "room"


class Node:
    """A server's store with a clock of its own."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.clock = FakeClock()
        self.store = MongoStore(settings, directory, self.clock, SystemEntropy())

    async def append(self, ident: str, *versions: int, room: str = ROOM) -> list[int]:
        ops = [NewOp(ident, version, b"body") for version in versions]
        return [answer.seq for answer in await self.store.log.append(APP, room, ops)]

    async def head(self) -> Head:
        return await self.store.log.head(APP, ROOM)

    async def cursor(self, ident: str) -> int:
        return await self.store.log.cursor(APP, ROOM, ident)

    @property
    def owns(self) -> bool:
        return self.store.log._appending[f"{APP}\0{ROOM}"].owned


@pytest.fixture
async def nodes(stand_in: Callable[[], int], tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    settings = places.stand_in_settings(stand_in())
    made = Node(settings, tmp_path), Node(settings, tmp_path)
    yield made
    for node in made:
        await node.store.close()
    await places.MongoPlace(settings, tmp_path).clear()


async def test_an_owner_knows_at_once_what_another_server_wrote(nodes: tuple[Node, Node]) -> None:
    owner, other = nodes
    await owner.append("a", 1)
    for version in range(2, 6):
        await other.append("a", version)
        assert owner.owns and not other.owns
        assert await owner.head() == await other.head()
        assert (await owner.head()).seq == version
        assert await owner.cursor("a") == version
    assert await owner.append("a", 5, 6) == [5, 6]


async def test_every_server_sees_what_any_acknowledged(nodes: tuple[Node, Node]) -> None:
    """Both write as fast as they can; what one was told the other must know from then on."""

    async def write(number: int) -> None:
        ident = f"w{number}"
        mine, others = nodes[number % 2], nodes[(number + 1) % 2]
        for version in range(1, 16):
            (seq,) = await mine.append(ident, version)
            assert (await others.head()).seq >= seq
            assert await others.cursor(ident) == version

    await asyncio.gather(*map(write, range(6)))
    assert (await nodes[0].head()).seq == 90


async def test_a_former_owner_that_does_not_know_it_is_heard(nodes: tuple[Node, Node]) -> None:
    """It slept, or its clock is wrong: the other took the room, and this one writes as if it were
    its own.
    """
    former, taker = nodes
    await former.append("a", 1)
    taker.clock.advance(2 * SECONDS)
    assert await taker.append("b", 1) == [2]
    assert (await taker.head()).seq == 2
    assert await taker.append("b", 2) == [3]
    assert former.owns and taker.owns
    assert await former.append("a", 2) == [4]
    assert (await taker.head()).seq == 4
    taker.clock.advance(SETTLE)
    assert (await taker.head()).seq == 4
    assert await taker.append("b", 3) == [5]
    former.clock.advance(TRUST)
    assert await former.append("a", 3) == [6]
    assert (await taker.head()).seq == 6
    assert await taker.cursor("a") == 3
    assert taker.owns and not former.owns


async def test_a_room_that_was_handed_over_is_remembered_at_once(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    await first.append("a", 1)
    await first.store.close()
    assert await second.append("a", 2) == [2]
    assert second.owns
    look = await second.store.log._looks.at(f"{APP}\0{ROOM}")
    here = second.store.log._appending[f"{APP}\0{ROOM}"]
    known = here.recalls(look)
    assert known is not None and known.tail is not None and known.tail.seq == 2


async def test_a_room_that_meets_another_writer_delays_no_other(nodes: tuple[Node, Node]) -> None:
    """They share one insert, which ends at the first op that is there already."""
    here, other = nodes
    rooms = [f"room{number}" for number in range(9)]
    for room in rooms:
        await here.append("a", 1, room=room)
    for room in rooms[3:6]:
        await other.append("b", 1, room=room)
    found = await asyncio.gather(*(here.append("a", 2, 3, room=room) for room in rooms))
    assert found == [[3, 4] if room in rooms[3:6] else [2, 3] for room in rooms]
    for room, seqs in zip(rooms, found, strict=True):
        ops = await other.store.log.read(APP, room, after=0, limit=9)
        assert [op.seq for op in ops] == list(range(1, seqs[-1] + 1))
