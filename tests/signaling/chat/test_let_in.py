"""Who is let in by an invitation or on a request: once for each, whoever dies or answers too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from signaling.chat import rights
from signaling.chat.doors import Invite
from signaling.chat.ops import Create, Join, Kind, Member, Mode, Part, Set
from signaling.chat.ports import Actor
from signaling.chat.state import RoomState
from signaling.errors import ClientError, Code
from tests.signaling.access.rig import Ground, ground
from tests.signaling.chat.rig import APP, House
from tests.signaling.storage import places
from tests.signaling.storage.conftest import stand_in

__all__ = ["stand_in"]
ROOM = "0192aaaa-0000-7000-8000-00000000aaaa"
WHISPER = "0192aaaa-0000-7000-8000-00000000bbbb"


class Killed(Exception):  # noqa: N818 - what it stands for
    """The process ends here."""


@dataclass
class Two:
    """Two processes, and a room of Ann and Bob that the others ask to be let into."""

    ground: Ground
    one: House
    other: House
    room: str = ROOM

    @classmethod
    async def on(cls, ground: Ground, ident: str = ROOM, mode: Mode = Mode.SEARCHABLE) -> Two:
        two = cls(ground, House(ground), House(ground), ident)
        chat = two.one.chat
        for account in ("ann", "bob"):
            await two.one.chatting.people.enter(APP, ident, account)
        room = await chat.rooms.create(APP, ident, RoomState(kind=Kind.PRIVATE, mode=mode))
        for op in (
            Create(kind=Kind.PRIVATE, mode=mode, name="Tea"), Set(join=Join.REQUEST),
            Member(account="bob", part=Part.MODERATOR),
        ):  # fmt: skip
            await chat.say_as(room, "ann", Part.OWNER, op)
        return two

    async def actor(self, name: str, house: House | None = None) -> Actor:
        house = house or self.one
        await house.chat.rooms.find(APP, self.room)
        return await house.chatting.people.actor(house.principal(name))

    async def link(self, uses: int) -> str:
        _, secret = await self.one.chatting.doors.invite(
            await self.actor("ann"), self.room, 3600, uses
        )
        return secret

    async def uses(self, house: House, name: str, secret: str) -> None:
        await house.chatting.doors.accept(await self.actor(name, house), secret)

    async def is_refused(self, house: House, name: str, secret: str) -> str:
        with pytest.raises(ClientError) as refused:
            await self.uses(house, name, secret)
        return str(refused.value.code)

    async def asks(self, name: str) -> None:
        await self.one.chatting.doors.ask(await self.actor(name), self.room, "let me in")

    async def answers(self, house: House, moderator: str, name: str, accept: bool = True) -> None:
        actor = await self.actor(moderator, house)
        await house.chatting.doors.answer(actor, self.room, name, accept=accept)

    async def waiting(self) -> list[str]:
        actor = await self.actor("ann", self.other)
        rows = await self.other.chatting.doors.requests(actor, self.room, after="", limit=9)
        return [row.value.account for row in rows]

    async def invitation(self) -> Invite:
        actor = await self.actor("ann", self.other)
        (row,) = await self.other.chatting.doors.invites(actor, self.room, after="", limit=9)
        return row.value

    async def goes(self, house: House, name: str) -> None:
        op = Member(account=name, part=Part.NONE)
        await house.chat.act(await self.actor(name, house), self.room, op)

    async def members(self) -> set[str]:
        found = []
        for house in (self.one, self.other):
            room = await house.chat.rooms.find(APP, self.room)
            assert room is not None
            found.append(set(room.state.accounts()))
        assert found[0] == found[1]
        return found[0]

    async def entrances(self, name: str) -> int:
        """How often the log lets them in."""
        room = await self.one.chat.rooms.find(APP, self.room)
        assert room is not None
        stored = await room.log.read(APP, self.room, after=0, limit=1000)
        ops = [entry.op for entry in await self.one.chat.sealing.open(APP, self.room, stored)]
        wanted = Member(account=name, part=Part.MEMBER)
        return sum(op == wanted for op in ops)


@pytest.fixture(params=["embedded", "mongo"])
async def two(
    request: pytest.FixtureRequest, tmp_path: Path, stand_in: Callable[[], int]
) -> AsyncIterator[Two]:
    place = places.make(request.param, tmp_path / "store", stand_in)
    async with ground(place, tmp_path) as made:
        yield await Two.on(made)
    await place.clear()


def before(
    patch: pytest.MonkeyPatch, part: Any, call: str, work: Callable[[], Awaitable[None]]
) -> None:
    """Just before the store gets this call for the first time something else happens."""
    right = getattr(part, call)

    async def late(*words: Any, **more: Any) -> Any:
        patch.setattr(part, call, right)
        await work()
        return await right(*words, **more)

    patch.setattr(part, call, late)


async def killed() -> None:
    raise Killed


async def test_a_kill_before_somebody_is_let_in_leaves_the_request(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.asks("cy")
    before(monkeypatch, two.ground.store.log, "append", killed)
    with pytest.raises(Killed):
        await two.answers(two.one, "ann", "cy")
    assert await two.waiting() == ["cy"]
    await two.answers(two.other, "bob", "cy")
    assert await two.members() == {"ann", "bob", "cy"}
    assert await two.waiting() == []


async def test_a_kill_after_somebody_was_let_in_lets_them_in_no_second_time(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.asks("cy")
    before(monkeypatch, two.ground.store.meta, "delete", killed)
    with pytest.raises(Killed):
        await two.answers(two.one, "ann", "cy")
    monkeypatch.undo()
    assert await two.members() == {"ann", "bob", "cy"}
    await two.goes(two.other, "cy")
    if await two.waiting():
        await two.answers(two.other, "bob", "cy")
    assert await two.members() == {"ann", "bob"}
    assert (await two.waiting(), await two.entrances("cy")) == ([], 1)


async def test_a_full_room_leaves_the_request_and_the_use(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.asks("cy")
    secret = await two.link(1)
    monkeypatch.setattr(rights, "MOST_MEMBERS", 2)
    with pytest.raises(ClientError) as full:
        await two.answers(two.one, "ann", "cy")
    assert full.value.code is Code.ROOM_FULL
    assert await two.is_refused(two.one, "dora", secret) == Code.ROOM_FULL
    monkeypatch.setattr(rights, "MOST_MEMBERS", 4)
    assert (await two.waiting(), (await two.invitation()).used) == (["cy"], 0)
    await two.answers(two.other, "ann", "cy")
    await two.uses(two.other, "dora", secret)
    assert await two.members() == {"ann", "bob", "cy", "dora"}


async def test_a_room_that_fills_up_meanwhile_takes_nobody_more(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await two.link(0)
    monkeypatch.setattr(rights, "MOST_MEMBERS", 3)
    await two.actor("dora", two.other)
    before(monkeypatch, two.ground.store.log, "append", lambda: two.uses(two.other, "dora", secret))
    assert await two.is_refused(two.one, "cy", secret) == Code.ROOM_FULL
    assert await two.members() == {"ann", "bob", "dora"}


async def test_of_two_moderators_who_answer_one_lets_in(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's answer comes when who asked has already gone again."""
    await two.asks("cy")

    async def meanwhile() -> None:
        await two.answers(two.other, "bob", "cy")
        await two.goes(two.other, "cy")

    before(monkeypatch, two.ground.store.log, "append", meanwhile)
    await two.answers(two.one, "ann", "cy")
    assert (await two.members(), await two.entrances("cy")) == ({"ann", "bob"}, 1)


async def test_an_answer_that_comes_late_takes_no_newer_request_along(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.asks("cy")

    async def meanwhile() -> None:
        await two.answers(two.other, "bob", "cy")
        await two.goes(two.other, "cy")
        two.ground.clock.advance(1)
        await two.asks("cy")

    before(monkeypatch, two.ground.store.log, "append", meanwhile)
    await two.answers(two.one, "ann", "cy")
    assert await two.waiting() == ["cy"]
    await two.answers(two.other, "bob", "cy")
    assert (await two.members(), await two.entrances("cy")) == ({"ann", "bob", "cy"}, 2)


async def test_a_request_that_was_refused_or_answered_is_gone(two: Two) -> None:
    await two.asks("cy")
    await two.answers(two.other, "bob", "cy", accept=False)
    for accept in (True, False):
        with pytest.raises(ClientError) as gone:
            await two.answers(two.one, "ann", "cy", accept)
        assert gone.value.code is Code.NOT_FOUND
    assert await two.members() == {"ann", "bob"}


async def test_a_kill_before_somebody_is_let_in_spends_no_use(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await two.link(1)
    before(monkeypatch, two.ground.store.log, "append", killed)
    with pytest.raises(Killed):
        await two.uses(two.one, "cy", secret)
    await two.uses(two.other, "dora", secret)
    assert await two.is_refused(two.other, "cy", secret) == Code.LINK_INVALID
    assert (await two.members(), (await two.invitation()).used) == ({"ann", "bob", "dora"}, 1)


async def test_a_use_counts_though_the_process_died_that_let_in(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await two.link(2)
    log = two.ground.store.log
    append = log.append

    async def last(*words: Any, **more: Any) -> Any:
        await append(*words, **more)
        raise Killed

    monkeypatch.setattr(log, "append", last)
    with pytest.raises(Killed):
        await two.uses(two.one, "cy", secret)
    monkeypatch.setattr(log, "append", append)
    assert await two.members() == {"ann", "bob", "cy"}
    await two.uses(two.other, "dora", secret)
    assert await two.is_refused(two.one, "eve", secret) == Code.LINK_INVALID
    assert (await two.invitation()).used == 2


@pytest.mark.parametrize("who", ["cy", "dora"])
async def test_two_who_come_at_once_by_the_last_use(
    two: Two, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """Two people, of whom one gets in; or one person twice, which is one use."""
    secret = await two.link(1 if who == "dora" else 2)
    before(monkeypatch, two.ground.store.log, "append", lambda: two.uses(two.other, who, secret))
    if who == "dora":
        assert await two.is_refused(two.one, "cy", secret) == Code.LINK_INVALID
    else:
        await two.uses(two.one, "cy", secret)
    assert await two.members() == {"ann", "bob", who}
    assert ((await two.invitation()).used, await two.entrances(who)) == (1, 1)


async def test_who_was_made_a_moderator_meanwhile_stays_one(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.asks("cy")

    async def meanwhile() -> None:
        op = Member(account="cy", part=Part.MODERATOR)
        await two.other.chat.act(await two.actor("ann", two.other), ROOM, op)

    before(monkeypatch, two.ground.store.log, "append", meanwhile)
    await two.answers(two.one, "bob", "cy")
    room = await two.one.chat.rooms.find(APP, ROOM)
    assert room is not None and room.state.part("cy") is Part.MODERATOR
    assert await two.waiting() == []


async def test_a_transient_room_counts_its_uses_too(
    embedded: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log is each process's own, so the invitation's row counts before somebody is let in."""
    two = await Two.on(embedded, WHISPER, Mode.TRANSIENT)
    secret = await two.link(2)
    monkeypatch.setattr(rights, "MOST_MEMBERS", 2)
    assert await two.is_refused(two.one, "cy", secret) == Code.ROOM_FULL
    assert (await two.invitation()).used == 0
    monkeypatch.setattr(rights, "MOST_MEMBERS", 9)
    await two.uses(two.one, "cy", secret)
    await two.uses(two.other, "dora", secret)
    assert await two.is_refused(two.one, "eve", secret) == Code.LINK_INVALID
    assert (await two.invitation()).used == 2
