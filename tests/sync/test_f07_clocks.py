"""F7: the time of day jumps at the server, or is wrong on a device: nobody is cut off, nothing
changes places, and what counts seconds goes on counting them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import pytest

from sotto_client import Backoff, Client, Local
from tests.rows.house import API_SECRET, House, Visit, faketime
from tests.rows.rightful import Person, people
from tests.signaling.delivery.served import living
from tests.signaling.files.rig import Person as Member
from tests.signaling.files.rig import There
from tests.sync.house import device, room_of, served
from tests.sync.seats import NodeSeat, Seen

HOUR, DAY = 3600, 86400
JUMPS = pytest.mark.parametrize("seconds", [HOUR, -HOUR, 31 * DAY], ids=["+1 h", "-1 h", "+31 d"])
OFF = pytest.mark.parametrize(
    "seconds", [HOUR, -HOUR, 31 * DAY, -31 * DAY], ids=["+1 h", "-1 h", "+31 d", "-31 d"]
)
# What ends a session by the calendar is rows C04 and C05's.
SETTINGS = {
    "sessions.absolute_seconds": str(365 * DAY),
    "sessions.idle_seconds": str(90 * DAY),
    "sync.ping_seconds": "1",
    "sync.pong_seconds": "5",
}


def client_of(there: Visit, who: Person) -> Client:
    async def token() -> str:
        return who.token

    backoff = Backoff(lambda: 0.5, first=0.05)
    return Client(there.house.url, Local(":memory:"), token, http=there.client, backoff=backoff)


def texts(client: Client, room: str) -> list[str]:
    return [getattr(m.body, "text", "") for m in client.room(room).messages()]


@JUMPS
async def test_f07_a_jump_of_the_servers_clock_cuts_nobody_off(
    seconds: int, tmp_path: Path
) -> None:
    async with living(House(tmp_path, SETTINGS, clock=True)) as there:
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        await ann.must("PUT", f"/rooms/{room}/members/{bob.id}", {"part": "moderator"})
        async with client_of(there, ann) as hers, client_of(there, bob) as his:
            await both(room, hers, his)
            said: list[str] = []
            for turn in range(6):
                if turn == 2:
                    there.house.move_on(seconds)
                for client, name in ((hers, "ann"), (his, "bob")):
                    text = f"{name} {turn}"
                    client.room(room).post(text)
                    assert texts(client, room)[-1] == text, "one's own is shown at once"
                    client.make(f"room:{room}", {"type": "set", "topic": text})
                    await both(room, hers, his)
                    said.append(text)
                await asyncio.sleep(1)  # pings go on
            for client in (hers, his):
                assert texts(client, room) == said
                assert client.room(room).view().state.topic == said[-1]
                assert client.connections == 1, client.log.read()
                seqs = [entry["seq"] for entry in client.room(room).replica.entries()]
                assert seqs == list(range(1, len(seqs) + 1))
            assert hers.room(room).view() == his.room(room).view()
            assert await bob.texts(room) == said


async def both(room: str, *clients: Client) -> None:
    for client in (*clients, *clients):
        await client.room(room).synced(120)


async def test_f07_a_call_token_may_be_a_minute_off(tmp_path: Path) -> None:
    """Signed by another machine, whose clock is ahead of the server's, or behind it."""
    async with living(House(tmp_path, clock=True)) as there:

        async def status() -> int:
            now = int(time.time())
            claims = {
                "iss": "rows", "sub": "ann", "nbf": now, "exp": now + 600,
                "video": {"room": "lobby", "roomJoin": True},
            }  # fmt: skip
            token = jwt.encode(claims, API_SECRET, algorithm="HS256")
            answer = await there.send("GET", "/rtc/validate", params={"access_token": token})
            return answer.status

        for moved, wanted in ((-50, 200), (-20, 401), (70 + 600 + 50, 200), (20, 401)):
            there.house.move_on(moved)
            assert await status() == wanted, there.house.offset


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    async with served(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def node(there: There, who: Member, seconds: int) -> AsyncIterator[NodeSeat]:
    """A TypeScript device that takes now for so much later than it is."""
    off = {
        "LD_PRELOAD": faketime(), "FAKETIME": f"{seconds:+d}", "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    account = await there.account_of(who)
    seat = await NodeSeat.open(there.house.http, who.token, account, None, off)
    try:
        yield seat
    finally:
        await seat.stop()


@OFF
async def test_f07_a_device_whose_clock_is_off_is_one_like_the_others(
    seconds: int, there: There
) -> None:
    """A Python and a TypeScript device of Ana's are off, Bob's is right; each follows the others
    in turn, and each word is the last until the next one."""
    room = await room_of(there.ana, there.bob)
    bobs = await there.account_of(there.bob)
    risen = await there.ana.ask("PUT", f"/rooms/{room}/members/{bobs}", {"part": "moderator"})
    assert risen.status == 200, risen.body
    path, http, url = f"room:{room}", there.house.client, there.house.http
    off = device(http, url, there.ana, now=lambda: time.time() + seconds)
    async with (
        off as ana,
        device(http, url, there.bob) as bob,
        node(there, there.ana, seconds) as ts,
    ):
        await ts.start(room)
        await both(room, ana, bob)
        await ts.synced(room, 120)
        said: list[str] = []
        for turn in range(4):
            for name in ("python", "typescript", "right"):
                text = f"{name} {turn}"
                topic = {"type": "set", "topic": text}
                if name == "typescript":
                    await ts.post(room, text)
                    await ts.ask("make", path=path, op=topic)
                    assert await topic_of(ts, path) == text, "one's own is shown at once"
                else:
                    client = ana if name == "python" else bob
                    client.room(room).post(text)
                    client.make(path, topic)
                    assert client.room(room).view().state.topic == text
                said.append(text)
                for _ in range(2):
                    await both(room, ana, bob)
                    await ts.synced(room, 120)
                shown: Seen = await ts.seen(room)
                assert shown.texts == texts(ana, room) == texts(bob, room) == said
                topics = {client.room(room).view().state.topic for client in (ana, bob)}
                assert topics | {await topic_of(ts, path)} == {text}
        assert (ana.connections, bob.connections, shown.connections) == (1, 1, 1)
        assert not (ana.room(room).replica.refused or bob.room(room).replica.refused)
        now = time.time()
        page = (await there.bob.ask("GET", f"/rooms/{room}/messages?limit=100")).json["items"]
        assert [m["body"]["text"] for m in reversed(page)] == said
        times = [datetime.fromisoformat(m["at"]).timestamp() for m in page]
        assert all(abs(at - now) < 300 for at in times), "the server says when"


async def topic_of(seat: NodeSeat, path: str) -> Any:
    return (await seat.ask("seen", path=path))["view"]["state"].get("topic")
