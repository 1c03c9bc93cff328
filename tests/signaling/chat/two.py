"""Two processes on one store, and something that happens in one between judgement and log in the
other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from signaling.chat.bodies import Plain
from signaling.chat.ops import Create, Entry, Kind, Member, Mode, Op, Part, Post
from signaling.chat.ports import Actor
from signaling.chat.state import RoomState
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
    words: int = 0

    @classmethod
    async def on(cls, ground: Ground, elsewhere: Ground | None = None) -> Two:
        """`elsewhere`: the same store, opened by the other process for itself."""
        one, other = House(ground), House(elsewhere or ground)
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
        self.words += 1
        ident = OTHERS_WORD.format(self.words)
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

    async def log(self) -> Sequence[Entry]:
        """All of it, as the other process reads it."""
        room = await self.other.chat.rooms.find(APP, ROOM)
        assert room is not None
        stored = await room.log.read(APP, ROOM, after=0, limit=100)
        return await self.other.chat.sealing.open(APP, ROOM, stored)

    async def said(self) -> list[type[Op]]:
        """What came after the room was made and filled."""
        return [type(entry.op) for entry in await self.log()][3:]
