"""The Python client against a whole server: rooms that go on without it, and what it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sotto_client import Client, Refused, sign_in
from tests.signaling.accounts.rig import PASSWORD
from tests.signaling.files.rig import There
from tests.sync.house import device, room_of, served
from tests.sync.relay import Relay


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    async with served(tmp_path) as made:
        yield made


def texts(client: Client, room: str) -> list[str]:
    return [getattr(m.body, "text", "") for m in client.room(room).messages()]


async def test_what_one_writes_the_other_sees(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    http, url = there.house.client, there.house.http
    async with device(http, url, there.ana) as ana, device(http, url, there.bob) as bob:
        first = ana.room(room).post("hello")
        assert texts(ana, room) == ["hello"]
        await ana.room(room).synced()
        await bob.room(room).synced()
        bob.room(room).react(first, "+1")
        bob.room(room).post("hi")
        await bob.room(room).synced()
        await ana.room(room).synced()
        assert texts(ana, room) == texts(bob, room) == ["hello", "hi"]
        (seen, _) = ana.room(room).messages()
        assert [(r.emoji, len(r.accounts)) for r in seen.reactions] == [("+1", 1)]
        assert ana.room(room).view() == bob.room(room).view()
        assert ana.room(room).view().state.name == "Tea"


async def test_what_was_written_while_away_arrives_once(there: There, tmp_path: Path) -> None:
    room = await room_of(there.ana, there.bob)
    http, url = there.house.client, there.house.http
    place = str(tmp_path / "ana.db")
    away = device(http, url, there.ana, place)
    for number in range(50):
        away.room(room).post(f"m{number}")
    away.local.close()
    async with device(http, url, there.ana, place) as ana, device(http, url, there.bob) as bob:
        assert len(texts(ana, room)) == 50
        await ana.room(room).synced()
        await bob.room(room).synced()
        assert texts(bob, room) == [f"m{number}" for number in range(50)]
        assert not ana.room(room).replica.pending()


async def test_a_mark_that_is_lost_with_its_socket_is_asked_again(there: There) -> None:
    """The answer belongs to the session: who waits for it must ask the next one."""
    room = await room_of(there.ana, there.bob)
    relay = Relay(int(there.house.http.rpartition(":")[2]))
    await relay.start()
    url = there.house.http.replace(str(relay.target), str(relay.port))
    try:
        async with device(there.house.client, url, there.ana) as ana:
            await ana.room(room).synced()
            replica, ask = ana.room(room).replica, ana.room(room).replica.mark
            asked = []

            def mark() -> tuple[int, dict[str, Any]]:
                request, frame = ask()
                asked.append(request)
                if len(asked) == 1:
                    relay.cut()
                return request, frame

            replica.mark = mark  # type: ignore[method-assign]
            await ana.room(room).synced()
            assert len(asked) > 1 and asked[0] not in replica.marks
            assert ana.connections > 1
    finally:
        await relay.stop()


async def test_a_refused_change_comes_back_as_such(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    http, url = there.house.client, there.house.http
    async with device(http, url, there.bob) as bob:
        await bob.room(room).synced()
        bob.make(f"room:{room}", {"type": "set", "name": "Mine"})
        bob.room(room).post("after")
        await bob.room(room).synced()
        assert bob.room(room).view().state.name == "Tea"
        assert texts(bob, room) == ["after"]
        (refused,) = bob.room(room).replica.refused
        assert refused["client_version"] == 1


async def test_a_room_that_one_is_not_in_is_refused_and_one_that_is_left_ends(
    there: There,
) -> None:
    room = await room_of(there.ana, there.bob)
    http, url = there.house.client, there.house.http
    async with device(http, url, there.root) as root, device(http, url, there.bob) as bob:
        root.room(room)
        await root.wait(lambda: any("error 20" in line for line in root.log.read("warning")))
        await bob.room(room).synced()
        account = await there.account_of(there.bob)
        left = await there.bob.ask("DELETE", f"/rooms/{room}/members/{account}")
        assert left.status < 300, left.body
        await bob.wait(lambda: any("error 228" in line for line in bob.log.read("warning")))


async def test_an_accounts_own_data_is_on_all_its_devices(there: There) -> None:
    http, url = there.house.client, there.house.http
    async with device(http, url, there.ana) as phone, device(http, url, there.ana) as desk:
        phone.make("account", {"type": "block", "account": await there.account_of(there.bob)})
        await phone.synced("account")
        await desk.synced("account")
        (entry,) = desk.replica("account").entries()
        assert entry["op"]["type"] == "block"


async def test_it_signs_in_and_keeps_a_log_without_secrets(there: There) -> None:
    http, url = there.house.client, there.house.http
    bearer = await sign_in(url, "some.ana", PASSWORD, http=http)
    with pytest.raises(Refused):
        await sign_in(url, "some.ana", "wrong", http=http)
    there.ana.token = bearer
    async with device(http, url, there.ana) as ana:
        assert (await ana.api.me())["login"] == "some.ana"
        ana.log.write("error", f'token={bearer} {{"text": "my secret", "mail": "a@b.example"}}')
        await asyncio.sleep(0)
        shown = "\n".join(ana.log.read())
        for secret in (bearer, "my secret", "a@b.example"):
            assert secret not in shown
        assert len(ana.log.read("error")) == 1
        ana.log.clear()
        assert not ana.log.read()


async def test_a_message_as_long_as_may_be_fits_a_frame_in_any_script(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    http, url = there.house.client, there.house.http
    async with device(http, url, there.ana) as ana:
        for letter in ("t", "\N{CYRILLIC SMALL LETTER TE}", "\N{GRINNING FACE}"):
            ana.room(room).post(letter * 16_000)
            await ana.room(room).synced()
        assert [len(text) for text in texts(ana, room)] == [16_000] * 3


async def test_a_room_that_one_was_let_into_again_is_followed_again(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    http, url = there.house.client, there.house.http
    account = await there.account_of(there.bob)
    member = f"/rooms/{room}/members/{account}"
    async with device(http, url, there.bob) as bob:
        await bob.room(room).synced()
        assert (await there.bob.ask("DELETE", member)).status < 300
        await bob.wait(lambda: any("error 228" in line for line in bob.log.read("warning")))
        assert (await there.ana.ask("PUT", member, {})).status < 300
        first = bob.connections
        assert bob.is_connected
        bob.follow(f"room:{room}")
        bob.room(room).post("back")
        await bob.room(room).synced()
        assert texts(bob, room) == ["back"]
        assert bob.connections == first
