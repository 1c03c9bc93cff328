"""The TypeScript client, in a Node process, beside the Python client on a whole server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.signaling.files.rig import Person, There
from tests.sync.house import device, room_of, served
from tests.sync.relay import Relay
from tests.sync.seats import NodeSeat, PythonSeat, Seen


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    async with served(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def node(there: There, person: Person, url: str = "") -> AsyncIterator[NodeSeat]:
    account = await there.account_of(person)
    seat = await NodeSeat.open(url or there.house.http, person.token, account, None)
    try:
        yield seat
    finally:
        await seat.stop()


async def until(holds: Callable[[Any], bool], seat: NodeSeat, do: str, **words: Any) -> Any:
    async with asyncio.timeout(120):
        while not holds(found := await seat.ask(do, **words)):
            await asyncio.sleep(0.05)
    return found


async def both(room: str, *seats: NodeSeat | PythonSeat) -> list[Seen]:
    for seat in (*seats, *seats):
        await seat.synced(room, 120)
    return [await seat.seen(room) for seat in seats]


async def test_python_and_typescript_come_to_the_same_view(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    async with node(there, there.ana) as ana, device_of(there, there.bob) as bob:
        await ana.start(room)
        await bob.start(room)
        first = await ana.ask("post", room=room, text="hello")
        await both(room, ana, bob)
        bob.client.room(room).react(first, "+1")
        bob.client.room(room).edit(first, "not mine to edit")
        poll = {"type": "post", "id": bob.client.new_id(), "kind": "poll",
                "body": {"format": "m.plain.v1", "text": "When?", "options": ["Mon", "Tue"]},
                "poll": {"options": 2}}  # fmt: skip
        bob.client.make(f"room:{room}", poll)
        await both(room, ana, bob)
        path = f"room:{room}"
        await ana.ask("make", path=path, op={"type": "vote", "id": poll["id"], "choices": [1]})
        await ana.ask("make", path=path, op={"type": "set", "topic": "Leaves"})
        await ana.ask("make", path=path, op={"type": "pin", "id": first})
        await bob.post(room, "what \N{TEACUP WITHOUT HANDLE}?")
        one, other = await both(room, ana, bob)
        assert one.texts == ["hello", "When?", "what \N{TEACUP WITHOUT HANDLE}?"]
        assert one.view == other.view
        assert one.view["state"]["topic"] == "Leaves"
        assert one.view["messages"][0]["pinned"]


@contextlib.asynccontextmanager
async def device_of(there: There, person: Person) -> AsyncIterator[PythonSeat]:
    seat = PythonSeat(device(there.house.client, there.house.http, person))
    try:
        yield seat
    finally:
        await seat.stop()


async def test_what_was_written_while_away_arrives_once_after_every_cut(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    relay = Relay(int(there.house.http.rpartition(":")[2]))
    await relay.start()
    url = there.house.http.replace(str(relay.target), str(relay.port))
    try:
        async with node(there, there.ana, url) as ana:
            for number in range(30):
                await ana.post(room, f"m{number}")
            assert (await ana.seen(room)).texts == [f"m{number}" for number in range(30)]
            await ana.start(room)
            await ana.synced(room, 120)
            for number in range(30, 60):
                await ana.post(room, f"m{number}")
                if number % 10 == 0:
                    relay.cut()
            await ana.synced(room, 120)
            found = await ana.seen(room)
            assert found.connections > 1 and not found.pending
        async with device_of(there, there.bob) as bob:
            await bob.start(room)
            await bob.synced(room, 120)
            assert (await bob.seen(room)).texts == [f"m{number}" for number in range(60)]
    finally:
        await relay.stop()


async def test_a_refused_change_comes_back_as_such(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    async with node(there, there.bob) as bob:
        await bob.start(room)
        await bob.synced(room, 120)
        path = f"room:{room}"
        await bob.ask("make", path=path, op={"type": "set", "name": "Mine"})
        await bob.post(room, "after")
        await bob.synced(room, 120)
        found = await bob.ask("seen", path=path)
        assert found["view"]["state"]["name"] == "Tea"
        assert [refused["client_version"] for refused in found["refused"]] == [1]


async def test_who_left_a_room_is_told_and_who_signed_out_is_not_let_in(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    async with node(there, there.bob) as bob:
        await bob.start(room)
        await bob.synced(room, 120)
        account = await there.account_of(there.bob)
        left = await there.bob.ask("DELETE", f"/rooms/{room}/members/{account}")
        assert left.status < 300, left.body

        def says(code: int) -> Callable[[Any], bool]:
            return lambda lines: any(f"error {code}" in line["text"] for line in lines)

        await until(says(228), bob, "log")
        out = await there.bob.ask("DELETE", "/session")
        assert out.status < 300, out.body
        assert await until(bool, bob, "trouble") == "token_revoked"


async def test_a_room_that_one_was_let_into_again_is_followed_again(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    account = await there.account_of(there.bob)
    member = f"/rooms/{room}/members/{account}"
    async with node(there, there.bob) as bob:
        await bob.start(room)
        await bob.synced(room, 120)
        assert (await there.bob.ask("DELETE", member)).status < 300
        await until(lambda lines: any("error 228" in line["text"] for line in lines), bob, "log")
        assert (await there.ana.ask("PUT", member, {})).status < 300
        await bob.ask("follow", path=f"room:{room}")
        await bob.post(room, "back")
        await bob.synced(room, 120)
        assert (await bob.seen(room)).texts == ["back"]
