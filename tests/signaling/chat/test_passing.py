"""Transient rooms in two processes: heard in both, kept in neither, one membership for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from signaling.bus.local import LocalBus
from signaling.chat.ops import Part, Post
from signaling.chat.ports import Hint, News, RightsChanged
from signaling.chat.transient import LOOK_SECONDS
from tests.signaling.access.rig import Ground, ground
from tests.signaling.chat.rig import APP, House, Served, serving
from tests.signaling.storage import places

CANARY = "canary-whispered"


class Tapped(LocalBus):
    """Two processes' common bus; `deaf` loses everything."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []
        self.deaf = False

    async def publish(self, topic: str, payload: bytes) -> None:
        self.payloads.append(payload)
        if not self.deaf:
            await super().publish(topic, payload)


@dataclass
class Two:
    one: Served
    other: Served
    bus: Tapped
    ground: Ground
    directory: Path

    def listen(self, served: Served, room: str) -> list[Hint]:
        heard: list[Hint] = []
        served.house.chat.watch(APP, room, heard.append)
        return heard


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    async with ground(places.EmbeddedPlace(tmp_path / "store"), tmp_path) as made:
        bus = Tapped()
        async with (
            serving(made, house=House(made, bus)) as one,
            serving(made, house=House(made, bus)) as other,
        ):
            yield Two(one, other, bus, made, tmp_path)


def texts(heard: list[Hint]) -> list[str]:
    return [
        getattr(entry.op.body, "text", "")
        for hint in heard
        if isinstance(hint, News)
        for entry in hint.entries
        if isinstance(entry.op, Post)
    ]


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not what():
            await asyncio.sleep(0.01)


async def test_what_one_takes_the_other_gives_to_its_devices(two: Two) -> None:
    room = await two.one.room("bob", mode="transient")
    heard = two.listen(two.other, room)
    both = two.listen(two.one, room)
    for number in range(50):
        await two.one.ann.post(room, f"{CANARY} {number}")
    await two.other.bob.post(room, "from bob")
    await until(lambda: len(texts(heard)) == 51 and len(texts(both)) == 51)
    assert texts(heard)[:50] == [f"{CANARY} {number}" for number in range(50)]
    news = [hint for hint in heard if isinstance(hint, News)]
    assert {hint.epoch for hint in news} == {await two.other.house.chat.epoch(APP, room)}
    seqs = [entry.seq for hint in news for entry in hint.entries]
    assert seqs == list(range(seqs[0], seqs[0] + 51))
    # Nothing that was said is in the store's files, on the bus, or in either log.
    files = b"".join(p.read_bytes() for p in two.directory.rglob("*") if p.is_file())
    assert CANARY.encode() not in files + b"".join(two.bus.payloads)
    for served in (two.one, two.other):
        held = served.house.chat.rooms.held(APP, room)
        assert held is not None
        assert await held.log.read(APP, room, after=0, limit=100) == []


async def test_what_comes_twice_is_told_once(two: Two) -> None:
    room = await two.one.room("bob", mode="transient")
    heard = two.listen(two.other, room)
    await two.one.ann.post(room, "once")
    await until(lambda: texts(heard) == ["once"])
    for payload in list(two.bus.payloads):
        for served in (two.one, two.other):
            served.house.chat.hub._heard((APP, room), payload)
    await two.one.ann.post(room, "again")
    await until(lambda: "again" in texts(heard))
    assert texts(heard) == ["once", "again"]


async def test_foreign_bytes_on_the_bus_are_dropped(two: Two) -> None:
    room = await two.one.room("bob", mode="transient")
    another = await two.one.room("bob", mode="transient")
    heard = two.listen(two.other, room)
    await two.one.house.chat.hub.pass_on(APP, room, b"no ciphertext")
    two.listen(two.other, another)
    await two.one.ann.post(another, "elsewhere")
    moved = two.bus.payloads[-1]
    two.other.house.chat.hub._heard((APP, room), moved)
    await two.one.ann.post(room, "still here")
    await until(lambda: bool(texts(heard)))
    assert texts(heard) == ["still here"]


async def test_members_are_the_same_in_both(two: Two) -> None:
    room = await two.one.room("bob", mode="transient", settings={"invite": "members"})
    path = f"/rooms/{room}/members"
    heard = two.listen(two.other, room)
    assert await two.other.bob.texts(room) == []
    await asyncio.gather(
        two.one.ann.ask("PUT", f"{path}/cy", {"part": "member"}),
        two.other.bob.ask("PUT", f"{path}/dora", {"part": "member"}),
    )
    await until(lambda: any(isinstance(hint, RightsChanged) for hint in heard))
    two.ground.clock.advance(LOOK_SECONDS)
    for served in (two.one, two.other):
        found = (await served.ask("ann", "GET", path)).body["items"]
        assert {one["account"] for one in found} == {"ann", "bob", "cy", "dora"}
    await two.one.ann.ask("PUT", f"{path}/bob", {"part": "banned"})
    await until(lambda: sum(isinstance(hint, RightsChanged) for hint in heard) >= 2)
    answer = await two.other.ask("bob", "POST", f"/rooms/{room}/messages", {"text": "?"})
    assert answer.code == "banned"


async def test_who_was_removed_while_the_bus_was_away_is_out_soon(two: Two) -> None:
    room = await two.one.room("bob", mode="transient")
    heard = two.listen(two.other, room)
    await two.other.bob.post(room, "in")
    two.bus.deaf = True
    await two.one.ann.ask("DELETE", f"/rooms/{room}/members/bob")
    two.ground.clock.advance(LOOK_SECONDS)
    answer = await two.other.ask("bob", "POST", f"/rooms/{room}/messages", {"text": "?"})
    assert answer.status == 404
    assert any(isinstance(hint, RightsChanged) for hint in heard)
    # What is done there afterwards is done to the room as it is now.
    two.bus.deaf = False
    await two.other.ask("ann", "PATCH", f"/rooms/{room}", {"name": "Mine"}, If_Match="*")
    two.ground.clock.advance(LOOK_SECONDS)
    shown = (await two.one.ask("ann", "GET", f"/rooms/{room}")).body
    members = (await two.one.ask("ann", "GET", f"/rooms/{room}/members")).body["items"]
    assert (shown["name"], [one["account"] for one in members]) == ("Mine", ["ann"])


async def test_a_post_that_meets_a_ban_on_its_way_is_refused(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ban is heard between the judgement and the log of the process that took the post."""
    room = await two.one.room("bob", mode="transient")
    assert await two.other.bob.texts(room) == []
    two.listen(two.other, room)
    held = two.other.house.chat.rooms.held(APP, room)
    assert held is not None
    log: Any = held.log
    append = log.append

    async def late(*words: Any, **more: Any) -> Any:
        log.append = append
        await two.one.ann.ask("PUT", f"/rooms/{room}/members/bob", {"part": "banned"})
        await until(lambda: held.state.part("bob") is Part.BANNED)
        return await append(*words, **more)

    monkeypatch.setattr(log, "append", late)
    heard = two.listen(two.one, room)
    answer = await two.other.ask("bob", "POST", f"/rooms/{room}/messages", {"text": "?"})
    assert answer.code == "banned"
    await two.other.ann.post(room, "after")
    await until(lambda: "after" in texts(heard))
    assert texts(heard) == ["after"]


async def test_what_comes_from_who_is_banned_here_is_given_to_nobody(two: Two) -> None:
    """The process that took it had not heard of the ban."""
    room = await two.one.room("bob", mode="transient")
    heard = two.listen(two.one, room)
    await two.other.bob.post(room, "before")
    await until(lambda: texts(heard) == ["before"])
    two.bus.deaf = True
    await two.one.ann.ask("PUT", f"/rooms/{room}/members/bob", {"part": "banned"})
    two.bus.deaf = False
    await two.other.bob.post(room, "behind it")
    await two.other.ann.post(room, "after")
    await until(lambda: "after" in texts(heard))
    assert texts(heard) == ["before", "after"]
