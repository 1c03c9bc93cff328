"""Row C12: what a client sees of an outage: a refusal that says when, and nothing lost after it.

Kills of servers, of Redis and of the link to MongoDB under load are in tests/sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sotto_client import Backoff, Client, Local
from tests.peers.mongo.stand_in import StandIn
from tests.rows.conftest import on_mongo
from tests.rows.house import House, Visit
from tests.rows.rightful import Person, people, until
from tests.signaling.delivery.served import kill, living
from tests.slack import SLACK
from tests.sync.relay import Relay

RECOVERED = 30.0


@pytest.fixture
async def link(stand_in: StandIn) -> AsyncIterator[Relay]:
    """The way to MongoDB, which can be cut."""
    made = Relay(stand_in.port)
    await made.start()
    yield made
    await made.stop()


@contextlib.asynccontextmanager
async def behind(link: Relay, stand_in: StandIn, folder: Path) -> AsyncIterator[Visit]:
    settings = on_mongo(stand_in) | {
        "store.url": f"mongodb://127.0.0.1:{link.port}/?directConnection=true",
        "store.timeout_seconds": "4",
    }
    async with living(House(folder, settings)) as there:
        yield there


async def test_c12_what_cannot_be_written_is_503_and_comes_when_it_can(
    link: Relay, stand_in: StandIn, tmp_path: Path
) -> None:
    async with behind(link, stand_in, tmp_path) as there:
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        said = [f"m{number}" for number in range(8)]
        for text in said[:4]:
            await ann.post(room, text)
        link.closed = True
        link.cut()
        path = f"/rooms/{room}/messages"
        for number, text in enumerate(said[4:6]):
            headers = {"Idempotency-Key": f"key-{number}"}
            refused = await ann.ask("POST", path, {"text": text}, headers=headers)
            assert (refused.status, refused.code) == (503, "unavailable")
            assert int(refused.headers["Retry-After"]) >= 1
            assert "127.0.0.1" not in refused.text and "Traceback" not in refused.text
        assert (await there.send("GET", there.house.operator + "/readyz")).status == 503
        assert (await there.send("GET", there.house.operator + "/healthz")).status == 200
        link.closed = False

        async def again() -> bool:
            return (await there.send("GET", there.house.operator + "/readyz")).status == 200

        await until(again, 120)
        # As it was told: the same requests once more, with the same keys.
        for number, text in enumerate(said[4:6]):
            await say(ann, room, text, f"key-{number}")
        for text in said[6:]:
            await ann.post(room, text)
        assert await bob.texts(room) == said


async def say(who: Person, room: str, text: str, key: str) -> None:
    """With one key, until it is acknowledged."""
    headers = {"Idempotency-Key": key}
    async with asyncio.timeout(120):
        while True:
            path = f"/rooms/{room}/messages"
            answer = await who.ask("POST", path, {"text": text}, headers=headers)
            if answer.status == 201:
                return
            assert answer.status in (409, 503), answer.text
            await asyncio.sleep(0.2)


def device(who: Person, port: int) -> Client:
    async def token() -> str:
        return who.token

    return Client(
        f"https://localhost:{port}", Local(":memory:"), token, http=who.there.client,
        backoff=Backoff(lambda: 0.5, first=0.05),
    )  # fmt: skip


async def test_c12_a_client_comes_back_by_itself_after_a_kill(tmp_path: Path) -> None:
    """The process dies with messages on their way; both devices have each once, in order, within
    the 30 s that the row gives.
    """
    async with living(House(tmp_path)) as there:
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        # Where clients connect stays, as behind a load balancer; the server comes up elsewhere.
        front = Relay(there.house.facts["https"])
        await front.start()
        try:
            async with device(ann, front.port) as writer, device(bob, front.port) as reader:
                for client in (writer, reader):
                    await client.room(room).synced()
                for number in range(40):
                    writer.room(room).post(f"m{number}")
                front.closed = True  # its port may be another program's before it is back
                await asyncio.to_thread(kill, there.house)
                began = time.monotonic()
                for number in range(40, 60):
                    writer.room(room).post(f"m{number}")
                assert len(writer.room(room).messages()) == 60, "one's own are shown meanwhile"
                await asyncio.to_thread(there.house.start)
                front.target = there.house.facts["https"]
                front.closed = False
                for client in (writer, reader):
                    await client.room(room).synced(180)
                took = time.monotonic() - began
                print(f"recovered in {took:.1f} s")
                assert took < RECOVERED + SLACK
                wanted = [f"m{number}" for number in range(60)]
                for client in (writer, reader):
                    seen = [getattr(m.body, "text", "") for m in client.room(room).messages()]
                    assert seen == wanted
                assert writer.connections >= 2 and not writer.room(room).replica.pending()
        finally:
            await front.stop()
        assert await bob.texts(room) == wanted
