"""What is judged in one process while another changes the room: judged anew, by what is there."""

from __future__ import annotations

import pytest

from signaling.chat.ops import Change, Member, Part, Set
from signaling.errors import ClientError, Code, Unavailable
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP
from tests.signaling.chat.two import ROOM, Two


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
    assert two.words == 3


async def test_a_room_that_never_rests_turns_a_change_away(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.meanwhile(monkeypatch, two.bob_posts, times=99)
    with pytest.raises(Unavailable):
        await two.one.chat.act(await two.here("ann"), ROOM, Set(topic="never"))
