"""Messages that meet a change of their room, made by another process between judgement and log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from signaling.chat.bodies import Plain
from signaling.chat.ops import Change, Edit, Member, Mode, Part, Post, Set, ToE2ee, Void
from signaling.errors import ClientError, Code, Unavailable
from tests.signaling.access.rig import Ground, ground
from tests.signaling.chat.two import ROOM, Two
from tests.signaling.storage import places
from tests.signaling.storage.conftest import stand_in

__all__ = ["stand_in"]

ENCRYPTED = ToE2ee(mode=Mode.E2EE)
BANNED = Member(account="cy", part=Part.BANNED)
WORDS = "00000000-0000-7000-9000-{:012x}"


@pytest.fixture(params=places.NAMES)
async def two(
    request: pytest.FixtureRequest, tmp_path: Path, stand_in: Callable[[], int]
) -> AsyncIterator[Two]:
    """On MongoDB each process has a connection and a memory of its own."""
    place = places.make(request.param, tmp_path, stand_in)
    async with ground(place, tmp_path) as made:
        if request.param in ("memory", "embedded"):
            yield await Two.on(made)
        else:
            theirs = await place.open(made.clock)
            yield await Two.on(made, Ground(theirs, made.sealer, made.clock))
            await theirs.close()
    await place.clear()


def word(number: int) -> Post:
    return Post(id=WORDS.format(number), body=Plain(text="canary"))


async def test_no_plain_post_lies_behind_the_switch_to_encryption(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await two.here("ann")
    await two.one.chat.act(ann, ROOM, word(1))
    two.meanwhile(monkeypatch, lambda: two.there("bob", ENCRYPTED))
    with pytest.raises(ClientError) as told:
        await two.one.chat.act(ann, ROOM, word(2))
    assert told.value.code is Code.PLAINTEXT_REFUSED
    assert await two.said() == [Post, ToE2ee]


async def test_no_plain_edit_lies_behind_it_either(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await two.here("ann")
    await two.one.chat.act(ann, ROOM, word(1))
    two.meanwhile(monkeypatch, lambda: two.there("bob", ENCRYPTED))
    with pytest.raises(ClientError) as told:
        await two.one.chat.act(ann, ROOM, Edit(id=WORDS.format(1), body=Plain(text="canary")))
    assert told.value.code is Code.PLAINTEXT_REFUSED
    assert await two.said() == [Post, ToE2ee]


async def test_nothing_of_who_was_banned_lies_behind_the_ban(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    cy = await two.here("cy")
    two.meanwhile(monkeypatch, lambda: two.there("bob", BANNED))
    with pytest.raises(ClientError) as told:
        await two.one.chat.act(cy, ROOM, word(1))
    assert told.value.code is Code.BANNED
    assert await two.said() == [Member]


async def test_what_came_by_sync_is_void_behind_it_and_keeps_its_versions(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.meanwhile(monkeypatch, lambda: two.there("bob", ENCRYPTED))
    changes = [Change(version=n, clock=n, op=word(n)) for n in (1, 2, 3)]
    done = await two.one.chat.integrate(await two.here("ann"), ROOM, "7", changes)
    assert [(n.version, n.code) for n in done.notices] == [
        (n, Code.PLAINTEXT_REFUSED) for n in (1, 2, 3)
    ]
    assert (done.cursor, [type(entry.op) for entry in done.entries]) == (3, [Void] * 3)
    assert await two.said() == [ToE2ee, Void, Void, Void]


async def test_a_change_that_forbids_nothing_only_puts_a_post_off(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.meanwhile(monkeypatch, lambda: two.there("bob", Set(topic="later")), times=3)
    await two.one.chat.act(await two.here("ann"), ROOM, word(1))
    assert await two.said() == [Set, Set, Set, Post]


async def test_a_room_that_changes_without_end_turns_a_post_away(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.meanwhile(monkeypatch, lambda: two.there("bob", Set(topic="again")), times=99)
    with pytest.raises(Unavailable):
        await two.one.chat.act(await two.here("ann"), ROOM, word(1))
    assert Post not in await two.said()


async def test_what_others_say_meanwhile_costs_a_post_nothing(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One append, however much was said that its author had not seen."""
    ann = await two.here("ann")
    await two.one.chat.act(ann, ROOM, word(1))
    for _ in range(3):
        await two.bob_posts()
    appended: list[Any] = []
    log: Any = two.ground.store.log
    append = log.append

    async def counted(*words: Any, **more: Any) -> Any:
        appended.append(words)
        log.append = append
        await two.bob_posts()
        log.append = counted
        return await append(*words, **more)

    monkeypatch.setattr(log, "append", counted)
    await two.one.chat.act(ann, ROOM, word(2))
    assert len(appended) == 1
    assert await two.said() == [Post] * 6
