"""It must show 1: 10,000 messages while everything is killed; a short one at each change.

The seed is printed and can be given (`tests/seeds.py`). `make test-long` makes SOTTO_SYNC_RUNS runs
on each store, in parts (`.ci/suites.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.peers.redis_server import USER, WORD, RedisServer
from tests.proofs.server import Installation
from tests.seeds import run_seed
from tests.signaling.storage.conftest import stand_in
from tests.signaling.storage.places import fresh_database
from tests.sync.convergence import Site, Stage, converge
from tests.sync.losses import lossy
from tests.sync.relay import Relay
from tests.sync.watched import Watched

__all__ = ["stand_in"]

RUNS = int(os.environ.get("SOTTO_SYNC_RUNS", "20"))
MIXED = (1, 3)
"""Where TypeScript devices sit in every other run: one of Ana's two, and Cy's."""


def site(folder: Path, seed: int, redis: RedisServer, **settings: str) -> Site:
    """A process whose hints to others go astray, over a Redis that is killed."""
    client = redis.directory / "ca" / "client.pem"
    more = {
        "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")),
        **{name.replace("__", "."): value for name, value in settings.items()},
    }  # fmt: skip
    counts, watched = folder / "losses", Watched(folder / "frames")
    environment = {**lossy(seed, counts), **watched.environment, "SOTTO_BUS__PASSWORD": WORD}
    return Site(Installation(folder, more, environment=environment), counts, watched)


async def embedded(
    tmp_path: Path, seed: int, count: int, pause: float, typescript: Collection[int] = ()
) -> None:
    """The store in SQLite, which is one process's."""
    redis = RedisServer.new(tmp_path / "redis")
    try:
        sites = [site(tmp_path / "home", seed, redis)]
        await converge(Stage(sites, redis), tmp_path, seed, count, pause, typescript)
    finally:
        redis.stop()


async def elsewhere(
    tmp_path: Path,
    mongo: int,
    seed: int,
    count: int,
    pause: float,
    typescript: Collection[int] = (),
) -> None:
    """The store behind a link that is cut, and two processes on it that hear of each other by
    what is left of their hints."""
    redis = RedisServer.new(tmp_path / "redis")
    link = Relay(mongo)
    await link.start()
    shared = {
        "store__url": f"mongodb://127.0.0.1:{link.port}/", "store__database": fresh_database(),
        "store__insecure_without_auth": "true", "store__timeout_seconds": "8",
        "kms__directory": str(tmp_path / "keys"),
    }  # fmt: skip
    try:
        sites = [site(tmp_path / f"home{n}", seed + n, redis, **shared) for n in range(2)]
        stage = Stage(sites, redis, link)
        await converge(stage, tmp_path, seed, count, pause, typescript)
    finally:
        redis.stop()
        await link.stop()


async def test_everybody_has_everything_after_kills_on_sqlite(tmp_path: Path) -> None:
    await embedded(tmp_path, run_seed(), 400, 1.0)


async def test_everybody_has_everything_after_kills_on_mongodb(
    tmp_path: Path, stand_in: Callable[[], int]
) -> None:
    await elsewhere(tmp_path, stand_in(), run_seed(), 400, 1.0, MIXED)


@pytest.mark.long
@pytest.mark.part("sync-sqlite")
@pytest.mark.parametrize("turn", range(RUNS))
async def test_ten_thousand_messages_on_sqlite(tmp_path: Path, turn: int) -> None:
    await embedded(tmp_path, run_seed() + turn, 10_000, 2.0, MIXED if turn % 2 else ())


@pytest.mark.long
@pytest.mark.part("sync-mongodb")
@pytest.mark.parametrize("turn", range(RUNS))
async def test_ten_thousand_messages_on_mongodb(
    tmp_path: Path, stand_in: Callable[[], int], turn: int
) -> None:
    await elsewhere(tmp_path, stand_in(), run_seed() + turn, 10_000, 2.0, MIXED if turn % 2 else ())
