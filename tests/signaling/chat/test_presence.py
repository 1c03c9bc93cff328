"""Row C18: one presence, by sockets and by what is said; who sees it; what a circle is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from signaling.chat import circles
from signaling.chat.account_ops import Visibility
from signaling.chat.attendance import LAPSE
from signaling.chat.ports import Hint, PresenceMoved
from signaling.chat.seeing import Shown, State, may_see
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, House, Person, Served, serving

QUICK = 0.02
EVERYBODY = {"presence": "everyone", "status": "everyone", "last_seen": "everyone"}


def hurried(house: House) -> House:
    house.chatting.presences.attendance.linger = QUICK
    house.chatting.circles.pace_seconds = QUICK
    house.chatting.presences.moves.pace_seconds = QUICK
    return house


@pytest.fixture
async def town(memory: Ground) -> AsyncIterator[Served]:
    async with serving(memory, house=hurried(House(memory))) as made:
        yield made


async def open_socket(house: House, name: str, device: str = "phone") -> Callable[[], Any]:
    """A sync socket of one of their devices; what closes it."""
    place, socket = (APP, name), f"{name}-{device}-socket"
    await house.chatting.presences.attendance.came(place, f"{name}-{device}", socket, 30.0)
    return lambda: house.chatting.presences.attendance.gone(place, socket)


async def seen(viewer: Person, account: str) -> str:
    return str((await viewer.ask("GET", f"/presence/{account}")).body["state"])


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await look():
            await asyncio.sleep(QUICK / 4)


class Follower:
    """Somebody's device that follows `presence`: its state and the frames after it."""

    def __init__(self, house: House, name: str) -> None:
        self.house, self.name = house, name
        self.people: dict[str, Shown] = {}
        self.frames: list[PresenceMoved] = []
        self.stop = house.chatting.circles.watch(APP, name, self._hear)

    def _hear(self, hint: Hint) -> None:
        assert isinstance(hint, PresenceMoved)
        self.frames.append(hint)
        self.people |= {shown.account: shown for shown in hint.people}

    async def begin(self) -> Follower:
        actor = await self.house.chatting.people.actor(self.house.principal(self.name))
        _, state = await self.house.chatting.circles.state(actor, self.name)
        self.people = {shown.account: shown for shown in state.people}
        return self

    def state(self, account: str) -> str:
        return self.people.get(account, Shown(account=account)).state.value

    async def sees(self, account: str, state: str) -> None:
        async def there() -> bool:
            return self.state(account) == state

        await until(there)


async def follow(house: House, name: str) -> Follower:
    return await Follower(house, name).begin()


@pytest.mark.parametrize("theirs", Visibility)
@pytest.mark.parametrize("ours", Visibility)
@pytest.mark.parametrize("shares", [True, False])
def test_c18_the_rule_is_one_table(theirs: Visibility, ours: Visibility, *, shares: bool) -> None:
    lets = theirs is Visibility.EVERYONE or (theirs is Visibility.CONTACTS and shares)
    assert may_see(theirs, ours, shares=shares) is (lets and ours is not Visibility.NOBODY)


async def test_c18_a_live_device_is_online_and_the_last_one_leaves_after_the_lapse(
    town: Served,
) -> None:
    await town.room("bob")
    ann = town.ann
    town.house.chatting.presences.attendance.linger = 0.2
    phone = await open_socket(town.house, "bob")
    desk = await open_socket(town.house, "bob", "desk")
    assert await seen(ann, "bob") == "online"
    await phone()
    assert await seen(ann, "bob") == "online"
    await desk()
    assert await town.house.chatting.presences.attendance.devices((APP, "bob")) == []
    assert await seen(ann, "bob") == "online", "whoever comes back at once was never away"

    async def offline() -> bool:
        return await seen(ann, "bob") == "offline"

    await until(offline)
    answer = (await ann.ask("GET", "/presence/bob")).body
    assert answer["seen_at"] is not None


async def test_c18_what_is_said_stands_above_that_a_device_is_there(town: Served) -> None:
    await town.room("bob")
    bob, ann = town.bob, town.ann
    await open_socket(town.house, "bob")
    for said, shown in [
        ("busy", "busy"), ("away", "away"), ("invisible", "offline"), ("online", "online"),
        ("offline", "offline"),
    ]:  # fmt: skip
        await bob.ask("PUT", "/presence", {"state": said})
        assert await seen(ann, "bob") == shown
    town.house.clock.advance(1)
    await open_socket(town.house, "bob", "desk")
    assert await seen(ann, "bob") == "online", "of the devices of that time it was said"
    await bob.ask("PUT", "/presence", {"state": "invisible"})
    assert await seen(bob, "bob") == "invisible"


async def test_c18_who_is_in_the_background_everywhere_is_away(town: Served) -> None:
    await town.room("bob")
    attendance, place = town.house.chatting.presences.attendance, (APP, "bob")
    for device in ("phone", "desk"):
        await attendance.came(place, device, device, 30.0)
    await attendance.heard(place, "phone", "phone", 600.0, idle=True)
    assert await seen(town.ann, "bob") == "online"
    await attendance.heard(place, "desk", "desk", 600.0, idle=True)
    assert await seen(town.ann, "bob") == "away"
    await town.bob.ask("PUT", "/presence", {"state": "busy"})
    assert await seen(town.ann, "bob") == "busy"
    await attendance.gone(place, "desk")
    await attendance.heard(place, "desk", "desk", 600.0, idle=False)
    assert await attendance.devices(place) == ["phone"], "what closed stays closed"


async def test_c18_without_a_socket_it_is_said_again_or_lapses(town: Served) -> None:
    await town.room("bob")
    await town.bob.ask("PUT", "/presence", {"state": "online"})
    assert await seen(town.ann, "bob") == "online"
    town.house.clock.advance(LAPSE + 1)
    assert await seen(town.ann, "bob") == "offline"


async def test_c18_who_stays_invisible_is_not_seen_lately_either(town: Served) -> None:
    await town.room("bob")
    bob = town.bob
    await bob.ask("PUT", "/presence", {"state": "invisible"})
    before = (await town.ann.ask("GET", "/presence/bob")).body["seen_at"]
    town.house.clock.advance(600)
    await bob.ask("PUT", "/presence", {"state": "invisible"})
    await (await open_socket(town.house, "bob"))()
    assert (await town.ann.ask("GET", "/presence/bob")).body["seen_at"] == before


async def test_c18_a_circle_is_told_of_whom_it_may_see(town: Served) -> None:
    await town.room("bob", "cy")
    await open_socket(town.house, "bob")
    await town.cy.ask("PATCH", "/preferences", {"presence": "nobody"})
    await open_socket(town.house, "cy")
    ann = await follow(town.house, "ann")
    assert (ann.state("bob"), ann.state("cy"), ann.state("dora")) == (
        "online",
        "offline",
        "offline",
    )
    await town.bob.ask("PUT", "/presence", {"state": "busy", "text": "writing"})
    await ann.sees("bob", "busy")
    assert ann.people["bob"].text == "writing"
    await town.cy.ask("PATCH", "/preferences", {"presence": "contacts"})
    await ann.sees("cy", "online")


@pytest.mark.parametrize(
    ("hide", "back"),
    [
        (("PATCH", "/preferences", {"presence": "nobody"}),
         ("PATCH", "/preferences", {"presence": "contacts"})),
        (("PUT", "/blocks/ann", None), ("DELETE", "/blocks/ann", None)),
        (("PUT", "/presence", {"state": "invisible"}), ("PUT", "/presence", {"state": "online"})),
    ],
    ids=["nobody", "blocked", "invisible"],
)  # fmt: skip
async def test_c18_who_hides_goes_offline_for_a_watcher_at_once(
    town: Served, hide: tuple[str, str, Any], back: tuple[str, str, Any]
) -> None:
    await town.room("bob")
    await open_socket(town.house, "bob")
    ann = await follow(town.house, "ann")
    assert ann.state("bob") == "online"
    assert (await town.bob.ask(*hide)).status < 300
    await ann.sees("bob", "offline")
    assert not ann.people["bob"].text
    assert (await town.bob.ask(*back)).status < 300
    await ann.sees("bob", "online")


async def test_c18_a_watcher_who_hides_sees_nobody(town: Served) -> None:
    await town.room("bob")
    await open_socket(town.house, "bob")
    ann = await follow(town.house, "ann")
    await town.ann.ask("PATCH", "/preferences", {"presence": "nobody"})
    await ann.sees("bob", "offline")


async def test_c18_a_circle_is_whom_one_shares_a_room_with_now(town: Served) -> None:
    await open_socket(town.house, "bob")
    ann, bob = await follow(town.house, "ann"), await follow(town.house, "bob")
    assert "bob" not in ann.people
    room = await town.room("bob")
    await ann.sees("bob", "online")
    await open_socket(town.house, "ann")
    await bob.sees("ann", "online")
    await open_socket(town.house, "cy")
    assert (await town.ann.ask("PUT", f"/rooms/{room}/members/cy", {})).status == 200
    await ann.sees("cy", "online")
    await bob.sees("cy", "online")
    assert (await town.ann.ask("DELETE", f"/rooms/{room}/members/bob")).status < 300
    await ann.sees("bob", "offline")
    await bob.sees("ann", "offline")
    assert ann.state("cy") == "online"


async def test_c18_an_administrator_is_nobody_special(town: Served) -> None:
    room = await town.room("root", "bob")
    await open_socket(town.house, "bob")
    root = await follow(town.house, "root")
    assert root.state("bob") == await seen(town.root, "bob") == "online"
    await town.bob.ask("PATCH", "/preferences", {"presence": "nobody"})
    await root.sees("bob", "offline")
    assert await seen(town.root, "bob") == "offline"
    who = town.house.chatting.presences.who
    assert await who(APP, "root", ["bob"]) == []
    within = town.house.chatting.bystanders
    assert await within(APP, "root", ("bob", "ann"), signed_in=True) == ("ann",)
    assert room


async def test_c18_who_is_in_a_room_is_named_as_they_wish(town: Served) -> None:
    await town.room("bob", "cy")
    within = town.house.chatting.bystanders
    everybody = ("ann", "bob", "dora", "robot-7")
    assert await within(APP, "ann", everybody, signed_in=True) == ("ann", "bob", "robot-7")
    # A token that reads the room stands for somebody in it.
    assert await within(APP, "", everybody, signed_in=False) == everybody
    await town.bob.ask("PATCH", "/preferences", {"presence": "nobody"})
    assert await within(APP, "ann", everybody, signed_in=True) == ("ann", "robot-7")
    assert await within(APP, "", everybody, signed_in=False) == ("ann", "dora", "robot-7")
    await town.bob.ask("PATCH", "/preferences", {"presence": "everyone"})
    assert (await town.bob.ask("PUT", "/blocks/cy")).status < 300
    assert "bob" not in await within(APP, "cy", everybody, signed_in=False)
    assert "bob" not in await within(APP, "cy", everybody, signed_in=True)
    await town.bob.ask("PUT", "/presence", {"state": "invisible"})
    assert "bob" not in await within(APP, "", everybody, signed_in=False)


async def test_c18_a_socket_that_flaps_floods_nobody(memory: Ground) -> None:
    house = House(memory)
    house.chatting.presences.attendance.linger = 0.0
    async with serving(memory, house=house) as town:
        await town.room("bob", "cy", "dora")
        ann = await follow(house, "ann")
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(300):
            for name in ("bob", "cy", "dora"):
                await (await open_socket(house, name))()
            await asyncio.sleep(0)
        took = loop.time() - began
        most = 2 + int(took / circles.PACE)
        assert len(ann.frames) <= most, (len(ann.frames), took)
        stay = await open_socket(house, "bob")
        await ann.sees("bob", "online")
        await stay()
        await ann.sees("bob", "offline")


async def test_c18_two_processes_on_one_bus_tell_each_others_watchers(memory: Ground) -> None:
    one = hurried(House(memory))
    other = hurried(House(memory, one.bus))
    async with serving(memory, house=one) as here, serving(memory, house=other) as there:
        room = await here.room("bob")
        ann = await follow(other, "ann")
        close = await open_socket(one, "bob")
        await ann.sees("bob", "online")
        await here.bob.ask("PUT", "/presence", {"state": "busy"})
        await ann.sees("bob", "busy")
        await here.bob.ask("PATCH", "/preferences", {"presence": "nobody"})
        await ann.sees("bob", "offline")
        await there.bob.ask("PATCH", "/preferences", {"presence": "contacts"})
        await ann.sees("bob", "busy")
        await open_socket(one, "cy")
        assert (await here.ann.ask("PUT", f"/rooms/{room}/members/cy", {})).status == 200
        await ann.sees("cy", "online")
        await close()
        await ann.sees("bob", "offline")


async def test_c18_what_lapses_in_silence_is_found_by_looking(
    town: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that died says nothing of its sockets, and a status ends by itself."""
    monkeypatch.setattr(circles, "LOOK_SECONDS", QUICK)
    await town.room("bob")
    await open_socket(town.house, "bob")
    ann = await follow(town.house, "ann")
    town.house.clock.advance(31)
    looking = asyncio.create_task(town.house.chatting.circles.run())
    await ann.sees("bob", "offline")
    looking.cancel()


async def test_c18_nothing_of_who_is_there_is_stored(embedded: Ground) -> None:
    async with serving(embedded, house=hurried(House(embedded))) as town:
        await town.room("bob")
        ann = await follow(town.house, "ann")
        before = await embedded.store.meta.scan(APP, "chat.status", limit=10)
        close = await open_socket(town.house, "bob")
        await ann.sees("bob", "online")
        await close()
        await ann.sees("bob", "offline")
        assert await embedded.store.meta.scan(APP, "chat.status", limit=10) == before == []


async def test_c18_nobody_follows_any_more_and_nothing_is_left(town: Served) -> None:
    await town.room("bob")
    ann = await follow(town.house, "ann")
    ann.stop()
    await open_socket(town.house, "bob")
    assert ann.frames == []
    made = town.house.chatting.circles
    assert (made._circles, made._watched, made._facts) == ({}, {}, {})


def test_c18_that_somebody_was_seen_a_moment_later_is_no_news(memory: Ground) -> None:
    from signaling.chat.sealing import from_ms

    one = Shown(account="bob", state=State.ONLINE, seen_at=from_ms(1000))
    later = Shown(account="bob", state=State.ONLINE, seen_at=from_ms(2000))
    assert not later.differs(one)
    assert Shown(account="bob", state=State.ONLINE).differs(one)
