"""A message of long ago is found by its id, whose time says about where it is."""

from __future__ import annotations

from typing import Any

import pytest

from signaling.chat.bodies import Plain
from signaling.chat.ops import Post
from signaling.chat.room import LATE_MS
from signaling.ids import SeededIds
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, serving

MANY = 1500


async def test_a_message_is_found_without_reading_all_that_came_in_the_same_seconds(
    memory: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that was long on its way, and none that was never here."""
    async with serving(memory) as served:
        ident, ids = await served.room("bob"), SeededIds(memory.clock, 9)
        rooms = served.house.chat.rooms
        room = await rooms.find_there(APP, ident)
        assert room is not None
        slow, absent, places = ids.new(), "", {}
        for number in range(MANY):
            memory.clock.advance(LATE_MS / 1000 / MANY * 0.9)
            name = slow if number == MANY - 1 else ids.new()
            absent = ids.new()
            (entry,) = await served.house.chat.say(room, Post(id=name, body=Plain(text="x")))
            places[name] = entry.seq
        rooms.drop(APP, ident)
        room = await rooms.find_there(APP, ident)
        assert room is not None
        assert await rooms.known(room, absent) is None
        room.posts.clear()
        read: Any = memory.store.log.read
        looked: list[int] = []

        async def counted(*words: Any, **more: Any) -> Any:
            found = await read(*words, **more)
            looked[-1] += len(found)
            return found

        monkeypatch.setattr(memory.store.log, "read", counted)
        for name in [slow, *list(places)[::100]]:
            looked.append(0)
            known = await rooms.known(room, name)
            assert known is not None
            assert known.seq == places[name]
        assert max(looked[1:]) < 300
