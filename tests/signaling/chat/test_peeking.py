"""A look at a public room: by the time, within a bound, and refused to devices that sync."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from signaling.chat.ops import Change, Set
from signaling.chat.peeking import MOST_READ
from tests.signaling.access.rig import ground
from tests.signaling.chat.rig import Served, serving
from tests.signaling.storage.places import EmbeddedPlace, MemoryPlace

OPEN: dict[str, Any] = {"kind": "public", "settings": {"peek": True}}


@pytest.fixture(params=["memory", "embedded"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    place = MemoryPlace() if request.param == "memory" else EmbeddedPlace(tmp_path / "store")
    async with ground(place, tmp_path) as made, serving(made) as there:
        yield there


async def looked(served: Served, room: str) -> list[str]:
    answer = await served.cy.ask("GET", f"/public-rooms/{room}/messages")
    assert answer.status == 200, answer.body
    return [one["text"] for one in answer.body["items"]]


async def test_what_has_expired_is_not_shown(served: Served) -> None:
    room = await served.room(**OPEN)
    await served.ann.post(room, "stays")
    await served.ann.post(room, "brief", ttl=60)
    assert await looked(served, room) == ["brief", "stays"]
    served.house.clock.advance(61)
    assert await looked(served, room) == ["stays"]


async def test_a_look_goes_through_so_many_ops_and_no_further(served: Served) -> None:
    room = await served.room(**OPEN)
    sent = await served.ann.post(room, "said before")
    at = f"/rooms/{room}/messages/{sent['id']}/reactions/x"
    for _ in range(MOST_READ - 1):
        assert (await served.ann.ask("PUT", at, {})).status == 200
    assert await looked(served, room) == ["said before"]
    await served.ann.ask("DELETE", at)
    assert await looked(served, room) == []


async def test_a_device_that_syncs_opens_no_room_either(served: Served) -> None:
    room = await served.room("bob")
    house = served.house
    actor = await house.chatting.people.actor(house.principal("ann"))
    change = Change(version=1, clock=1, op=Set(peek=True))
    done = await house.chat.integrate(actor, room, "ann-1", [change])
    assert [(one.version, str(one.code)) for one in done.notices] == [(1, "conflict")]
    assert not (await house.chat.rooms.find(actor.app, room)).state.settings.peek  # type: ignore[union-attr]  # it is there
