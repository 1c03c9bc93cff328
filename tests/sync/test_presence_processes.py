"""Presence over two `sotto serve` processes: who is at one is seen at the other, until it dies."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from sotto_client.presence import Presence
from tests.peers.mongo.stand_in import StandIn
from tests.peers.redis_server import USER
from tests.proofs.redis_dump import Monitor, keeping_redis
from tests.rows.house import House, visiting
from tests.rows.rightful import people
from tests.sync.test_transient_processes import device, houses, mongo

__all__ = ("mongo",)
CANARY = "canary-at-the-sea"


async def seen(one: House, other: House) -> None:
    """Ann's device is at one process, bob's at the other, which is killed in the end."""
    async with visiting(one) as there, visiting(other) as elsewhere:
        ann, bob = await people(there, 2)
        await ann.room(bob)
        hers, his = device(there, ann), device(elsewhere, bob)
        presence: Presence = hers.presence()

        async def sees(state: str) -> None:
            await hers.wait(lambda: presence.of(bob.id).state == state, 120)

        await hers.start()
        await hers.wait(lambda: presence.of(ann.id).state == "online", 120)
        await his.start()
        await sees("online")
        bob.there = elsewhere
        await bob.must("PUT", "/presence", {"state": "busy", "text": CANARY})
        await sees("busy")
        assert presence.of(bob.id).text == CANARY
        await bob.must("PATCH", "/preferences", {"presence": "nobody"})
        await sees("offline")
        await bob.must("PATCH", "/preferences", {"presence": "contacts"})
        await sees("busy")
        assert other.process is not None
        other.process.kill()  # nobody says that his socket is gone: its member on the bus lapses
        await sees("offline")
        await his.stop()
        await hers.stop()


async def test_c18_two_processes_show_each_others_people(tmp_path: Path, mongo: StandIn) -> None:
    redis = keeping_redis(tmp_path / "redis")
    monitor = Monitor(redis)
    client = tmp_path / "redis" / "ca" / "client.pem"
    one, other = houses(tmp_path, {
        "store.url": f"mongodb://127.0.0.1:{mongo.port}/",
        "store.database": f"two_{secrets.token_hex(4)}", "store.insecure_without_auth": "true",
        "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")), "bus.timeout_seconds": "5",
        "sync.ping_seconds": "1", "sync.pong_seconds": "1",
    })  # fmt: skip
    try:
        await asyncio.to_thread(one.start)
        await asyncio.to_thread(one.setup)
        await asyncio.to_thread(other.start)
        await seen(one, other)
    finally:
        heard = monitor.stop()
        one.stop()
        other.stop()
        redis.stop()
    assert CANARY.encode() not in heard, "on the bus goes that somebody is there, never how"
