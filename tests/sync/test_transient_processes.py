"""A transient room on two `sotto serve` processes with MongoDB and Redis: heard, nowhere kept.

Redis runs with its log of appends on and a MONITOR beside it; both databases, all files and what
passed over Redis are looked through afterwards.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from sotto_client import Backoff, Client, Local
from tests.peers.mongo.stand_in import StandIn
from tests.peers.redis_server import USER, WORD
from tests.proofs.redis_dump import Monitor, keeping_redis, redis_files
from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import Person, people, until

CANARY = "canary-whispered"


@pytest.fixture
def mongo() -> Iterator[StandIn]:
    running = StandIn.start()
    yield running
    running.stop()


def houses(folder: Path, settings: dict[str, str]) -> tuple[House, House]:
    """Two processes of one installation: the state directory, thus the keys, are the same."""
    environment = {"SOTTO_BUS__PASSWORD": WORD}
    (folder / "one").mkdir()
    (folder / "other").mkdir()
    one = House(folder / "one", settings, environment=environment)
    given = {**settings, "process.state_dir": str(one.state)}
    return one, House(folder / "other", given, environment=environment)


def device(there: Visit, who: Person) -> Client:
    async def token() -> str:
        return who.token

    backoff = Backoff(lambda: 0.5, first=0.05)
    url = there.house.url
    return Client(url, Local(":memory:"), token, http=there.client, backoff=backoff)


def texts(client: Client, room: str) -> list[str]:
    return [getattr(m.body, "text", "") for m in client.room(room).messages()]


async def both_ways(one: House, other: House) -> str:
    """What is said to either process is heard at the other; the room."""
    async with visiting(one) as there, visiting(other) as elsewhere:
        ann, bob = await people(there, 2)
        room = await ann.room(bob, mode="transient")
        hers, his = device(there, ann), device(elsewhere, bob)
        for client in (hers, his):
            await client.start()
            await client.room(room).synced()
        # Whoever has just come hears what is said from then on.
        await asyncio.wait_for(knock(hers, his, room), 120)
        for number in range(50):
            hers.room(room).post(f"{CANARY} ann {number}")
            his.room(room).post(f"{CANARY} bob {number}")
        for name, client in (("bob", hers), ("ann", his)):
            wanted = [f"{CANARY} {name} {number}" for number in range(50)]

            def heard(client: Client = client, wanted: list[str] = wanted) -> bool:
                return [t for t in texts(client, room) if t in wanted] == wanted

            await client.wait(heard, 120)
        await ann.must("DELETE", f"/rooms/{room}/members/{bob.id}")
        bob.there = elsewhere

        async def is_out() -> bool:
            return (await bob.ask("GET", f"/rooms/{room}")).status == 404

        await until(is_out, 90)
        await hers.stop()
        await his.stop()
    return room


async def knock(one: Client, other: Client, room: str) -> None:
    number = 0
    while not (heard_another(one, room) and heard_another(other, room)):
        number += 1
        for client in (one, other):
            client.room(room).post(f"knock {number}")
        await asyncio.sleep(0.2)


def heard_another(client: Client, room: str) -> bool:
    found = [m.account for m in client.room(room).messages()]
    return any(account != client.account for account in found)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_two_processes_pass_on_what_is_said_and_keep_nothing(
    tmp_path: Path, mongo: StandIn
) -> None:
    redis = keeping_redis(tmp_path / "redis")
    monitor = Monitor(redis)
    client = tmp_path / "redis" / "ca" / "client.pem"
    url, database = f"mongodb://127.0.0.1:{mongo.port}/", f"two_{secrets.token_hex(4)}"
    one, other = houses(tmp_path, {
        "store.url": url, "store.database": database, "store.insecure_without_auth": "true",
        "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")), "bus.timeout_seconds": "5",
    })  # fmt: skip
    try:
        await asyncio.to_thread(one.start)
        await asyncio.to_thread(one.setup)
        await asyncio.to_thread(other.start)
        await both_ways(one, other)
        monitor.say("SAVE")
    finally:
        heard = monitor.stop()
        one.stop()
        other.stop()
        redis.stop()
    with MongoClient[dict[str, Any]](url) as connection:
        names = connection[database].list_collection_names()
        kept = [bson.encode(row) for name in names for row in connection[database][name].find()]
    places = {
        "MONITOR": heard, "MongoDB": b"".join(kept), **redis_files(tmp_path / "redis"),
        **files(tmp_path),
    }  # fmt: skip
    assert heard.count(b"PUBLISH") > 5 and len(kept) > 20
    assert [name for name, data in places.items() if CANARY.encode() in data] == []
