"""It must show 1: 10,000 messages while everything is killed; a short one at each change.

The seed is printed and can be given: SOTTO_SYNC_SEED.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.peers.redis_server import USER, WORD, RedisServer
from tests.proofs.server import Installation
from tests.signaling.storage.conftest import stand_in
from tests.signaling.storage.places import fresh_database
from tests.sync.convergence import Stage, converge, lossy
from tests.sync.relay import Relay

__all__ = ["stand_in"]


def seed_of(turn: int = 0) -> int:
    return int(os.environ.get("SOTTO_SYNC_SEED", str(int(time.time()) % 1_000_000))) + turn


async def embedded(
    tmp_path: Path, seed: int, count: int, pause: float, typescript: Collection[int] = ()
) -> None:
    there = Installation(tmp_path / "home", environment=lossy(seed))
    await converge(Stage(there, Relay(0)), tmp_path, seed, count, pause, typescript)


async def elsewhere(tmp_path: Path, mongo: int, seed: int, count: int, pause: float) -> None:
    """The store behind a link that is cut, the bus a Redis that is killed."""
    redis = RedisServer.new(tmp_path / "redis")
    link = Relay(mongo)
    await link.start()
    client = tmp_path / "redis" / "ca" / "client.pem"
    more = {
        "store.url": f"mongodb://127.0.0.1:{link.port}/", "store.database": fresh_database(),
        "store.insecure_without_auth": "true", "store.timeout_seconds": "8",
        "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")),
    }  # fmt: skip
    there = Installation(tmp_path / "home", more, environment={"SOTTO_BUS__PASSWORD": WORD})
    try:
        await converge(Stage(there, Relay(0), link, redis), tmp_path, seed, count, pause)
    finally:
        redis.stop()
        await link.stop()


async def test_everybody_has_everything_after_kills_on_a_bus_that_loses(tmp_path: Path) -> None:
    await embedded(tmp_path, seed_of(), 400, 1.0)


async def test_everybody_has_everything_after_kills_of_redis_and_the_mongo_link(
    tmp_path: Path, stand_in: Callable[[], int]
) -> None:
    await elsewhere(tmp_path, stand_in(), seed_of(), 200, 1.0)


@pytest.mark.long
@pytest.mark.part("sync")
@pytest.mark.parametrize("turn", range(20))
async def test_ten_thousand_messages_on_a_bus_that_loses(tmp_path: Path, turn: int) -> None:
    """Every other time one of Ana's devices, and Cy's, are TypeScript."""
    await embedded(tmp_path, seed_of(turn), 10_000, 2.0, typescript=(1, 3) if turn % 2 else ())


@pytest.mark.long
@pytest.mark.part("sync")
@pytest.mark.parametrize("turn", range(20))
async def test_ten_thousand_messages_on_mongodb_and_redis(
    tmp_path: Path, stand_in: Callable[[], int], turn: int
) -> None:
    await elsewhere(tmp_path, stand_in(), seed_of(turn), 10_000, 2.0)
