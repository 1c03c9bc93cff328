"""A message about which very much was said: what showing it costs, and that it is shown right."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from signaling.chat.bodies import Plain
from signaling.chat.ops import Change, ClientOp, Edit, Entry, Post, React
from signaling.chat.reduce import Messages, MessageView
from signaling.chat.room import Room
from signaling.chat.rooms import READ
from tests.seeds import run_seed
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, Served, serving

MANY = 3000
BATCH = 500


@dataclass
class Looks:
    """What is asked of the log while a page is made."""

    calls: int = 0
    ops: int = 0


@dataclass
class Talk:
    """A room of Ann and Bob with two messages, of which the first is talked about."""

    served: Served
    room: str
    first: str
    second: str
    versions: dict[str, int] = field(default_factory=dict)

    @classmethod
    async def on(cls, served: Served) -> Talk:
        room = await served.room("bob")
        first, second = [(await served.ann.post(room, text))["id"] for text in ("one", "two")]
        return cls(served, room, first, second)

    async def says(self, name: str, ops: Iterable[tuple[int, ClientOp]]) -> None:
        """Each with its clock."""
        house, first = self.served.house, self.versions.get(name, 0) + 1
        actor = await house.chatting.people.actor(house.principal(name))
        changes = [
            Change(version=version, clock=clock, op=op)
            for version, (clock, op) in enumerate(ops, start=first)
        ]
        for at in range(0, len(changes), BATCH):
            some = changes[at : at + BATCH]
            done = await house.chat.integrate(actor, self.room, f"{name}-1", some)
            assert not done.notices
        self.versions[name] = first + len(changes) - 1

    async def opened(self, *, again: bool = True) -> Room:
        """`again`: as another process finds it, that remembers nothing."""
        rooms = self.served.house.chat.rooms
        room = await rooms.find(APP, self.room)
        assert room is not None
        if not again:
            return room
        await rooms.save(room)
        rooms.drop(APP, self.room)
        room = await rooms.find(APP, self.room)
        assert room is not None
        return room

    async def log(self, room: Room) -> list[Entry]:
        stored = await room.log.read(APP, self.room, after=0, limit=10 * MANY)
        return await self.served.house.chat.sealing.open(APP, self.room, stored)

    async def shown(self, room: Room, entries: Sequence[Entry]) -> list[MessageView]:
        posts = [entry for entry in entries if isinstance(entry.op, Post)]
        return await self.served.house.chat.rooms.views(room, posts)


def counted(patch: pytest.MonkeyPatch, log: Any) -> Looks:
    looks = Looks()
    for name in ("read", "pick"):
        right = getattr(log, name, None)

        async def looking(*words: Any, right: Any = right, **more: Any) -> Any:
            found = await right(*words, **more)
            looks.calls += 1
            looks.ops += len(found)
            return found

        if right is not None:
            patch.setattr(log, name, looking)
    return looks


async def test_a_reaction_that_was_toggled_very_often_costs_one_look(
    memory: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(memory) as served:
        talk = await Talk.on(served)
        toggled = [React(id=talk.first, emoji="+1", on=not n % 2) for n in range(MANY + 1)]
        await talk.says("bob", enumerate(toggled))
        room = await talk.opened()
        entries = await talk.log(room)
        room.recent.clear()
        looks = counted(monkeypatch, memory.store.log)
        first, second = await talk.shown(room, entries)
        assert [(one.emoji, one.accounts) for one in first.reactions] == [("+1", ("bob",))]
        assert not second.reactions
        assert (looks.calls, looks.ops) == (1, 1)


async def test_what_all_of_it_shows_is_read_in_large_pieces(
    memory: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every edit is in the history. Together for all messages of a page, wherever they lie."""
    async with serving(memory) as served:
        talk = await Talk.on(served)
        for name in ("ann", "bob"):
            await talk.says(
                name, ((n, React(id=talk.second, emoji=f"{n}")) for n in range(BATCH // 2))
            )
        edits = [Edit(id=talk.first, body=Plain(text=f"{n}")) for n in range(MANY)]
        await talk.says("ann", enumerate(edits))
        room = await talk.opened()
        entries = await talk.log(room)
        room.recent.clear()
        looks = counted(monkeypatch, memory.store.log)
        first, second = await talk.shown(room, entries)
        assert (len(first.edits), len(second.reactions)) == (MANY, BATCH // 2)
        assert looks.calls == -(-(MANY + BATCH) // READ)


@pytest.mark.parametrize("turn", range(8))
async def test_it_is_shown_as_the_whole_log_says(memory: Ground, turn: int) -> None:
    """Whatever the clocks said, between which ops the room was saved, and what of it was erased."""
    dice = random.Random(run_seed() + turn)
    async with serving(memory) as served:
        talk = await Talk.on(served)
        room = await talk.opened()
        for _ in range(12):
            for name in ("ann", "bob"):
                said = [
                    (
                        dice.randrange(1000),
                        React(
                            id=dice.choice((talk.first, talk.second)),
                            emoji=dice.choice("ab"),
                            on=dice.random() < 0.5,
                        ),
                    )
                    for _ in range(dice.randrange(4))
                ]
                await talk.says(name, said)
            room = await talk.opened(again=dice.random() < 0.4)
            reacted = [e.seq for e in await talk.log(room) if isinstance(e.op, React)]
            if reacted and dice.random() < 0.3:
                erased = {dice.choice(reacted)}
                await room.log.erase(APP, talk.room, sorted(erased))
                room.forget(erased)
            entries = await talk.log(room)
            whole = Messages(entries)
            wanted = [whole.message(ident) for ident in (talk.first, talk.second)]
            assert await talk.shown(room, entries) == wanted
