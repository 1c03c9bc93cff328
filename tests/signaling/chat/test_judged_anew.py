"""What is judged in one process while another changes the room: judged anew, by what is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from signaling.chat.bodies import Plain
from signaling.chat.ops import Change, Create, Kind, Member, Mode, Part, Post, Set
from signaling.chat.ports import Actor
from signaling.chat.state import RoomState
from signaling.errors import ClientError, Code, Unavailable
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, House

ROOM = "0192aaaa-0000-7000-8000-00000000aaaa"
OTHERS_WORD = "00000000-0000-7000-8000-{:012x}"


@dataclass
class Two:
    """Two processes and a room that Ann and Bob own, with Cy in it."""

    ground: Ground
    one: House
    other: House
    said: int = 0

    @classmethod
    async def on(cls, ground: Ground) -> Two:
        one, other = House(ground), House(ground)
        for account in ("ann", "bob", "cy"):
            await one.chatting.people.enter(APP, ROOM, account)
        room = await one.chat.rooms.create(APP, ROOM, RoomState(kind=Kind.GROUP))
        create = Create(kind=Kind.GROUP, mode=Mode.SEARCHABLE, name="Tea")
        await one.chat.say_as(room, "ann", Part.OWNER, create)
        for account, part in (("bob", Part.OWNER), ("cy", Part.MEMBER)):
            await one.chat.say_as(room, "ann", Part.OWNER, Member(account=account, part=part))
        await other.chat.rooms.find(APP, ROOM)
        return cls(ground, one, other)

    async def here(self, name: str) -> Actor:
        return await self.one.chatting.people.actor(self.one.principal(name))

    async def there(self, name: str, op: Any) -> None:
        actor = await self.other.chatting.people.actor(self.other.principal(name))
        await self.other.chat.act(actor, ROOM, op)

    async def bob_posts(self) -> None:
        self.said += 1
        ident = OTHERS_WORD.format(self.said)
        await self.there("bob", Post(id=ident, body=Plain(text="meanwhile")))

    def meanwhile(
        self, patch: pytest.MonkeyPatch, work: Callable[[], Awaitable[None]], times: int = 1
    ) -> None:
        """Something happens at the other process between the judgement here and the log."""
        log: Any = self.ground.store.log
        append, left = log.append, times

        async def late(*words: Any, **more: Any) -> Any:
            nonlocal left
            if left:
                left -= 1
                log.append = append
                await work()
                log.append = late
            return await append(*words, **more)

        patch.setattr(log, "append", late)

    async def owners(self) -> list[str]:
        rooms = [await house.chat.rooms.find(APP, ROOM) for house in (self.one, self.other)]
        first, second = (room.state.owners() for room in rooms if room is not None)
        assert first == second
        return first


@pytest.fixture
async def two(embedded: Ground) -> Two:
    return await Two.on(embedded)


async def test_of_two_owners_who_step_down_at_once_one_stays(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.meanwhile(monkeypatch, lambda: two.there("bob", Member(account="bob", part=Part.MEMBER)))
    with pytest.raises(ClientError) as told:
        await two.one.chat.act(await two.here("ann"), ROOM, Member(account="ann", part=Part.MEMBER))
    assert told.value.code is Code.LAST_OWNER
    assert await two.owners() == ["ann"]


async def test_who_is_no_owner_any_more_makes_nobody_one(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.meanwhile(monkeypatch, lambda: two.there("bob", Member(account="ann", part=Part.MEMBER)))
    with pytest.raises(ClientError) as told:
        await two.one.chat.act(await two.here("ann"), ROOM, Member(account="cy", part=Part.OWNER))
    assert told.value.code is Code.NOT_PERMITTED
    assert await two.owners() == ["bob"]


async def test_what_came_by_sync_is_void_then(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    two.meanwhile(monkeypatch, lambda: two.there("bob", Member(account="ann", part=Part.MEMBER)))
    change = Change(version=1, clock=5, op=Member(account="cy", part=Part.OWNER))
    done = await two.one.chat.integrate(await two.here("ann"), ROOM, "7", [change])
    assert ([one.code for one in done.notices], done.cursor) == ([Code.NOT_PERMITTED], 1)
    assert await two.owners() == ["bob"]


async def test_what_others_say_meanwhile_only_puts_a_change_off(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.meanwhile(monkeypatch, two.bob_posts, times=3)
    await two.one.chat.act(await two.here("ann"), ROOM, Set(topic="done"))
    room = await two.one.chat.rooms.find(APP, ROOM)
    assert room is not None and room.state.topic == "done"
    assert two.said == 3


async def test_a_room_that_never_rests_turns_a_change_away(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.meanwhile(monkeypatch, two.bob_posts, times=99)
    with pytest.raises(Unavailable):
        await two.one.chat.act(await two.here("ann"), ROOM, Set(topic="never"))
