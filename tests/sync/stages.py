"""What a run stands on, on both stores: processes over a Redis that is killed and a bus that loses.

SQLite is one process's. On MongoDB's wire there are two, behind a link that is cut, which hear of
each other by what is left of their hints.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.peers.redis_server import USER, WORD, RedisServer
from tests.proofs.server import Answered, Api, Installation
from tests.rows.house import move, moved_by
from tests.signaling.storage.places import fresh_database
from tests.sync.losses import lossy
from tests.sync.nemesis import Site, Stage
from tests.sync.relay import Relay
from tests.sync.watched import Watched


class Patient(Api):
    """Asks again what a busy machine had no time for; before anything goes wrong."""

    async def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Answered:
        waited = False
        while (answer := await super().ask(method, path, body, token)).status == 503:
            waited = True
            await asyncio.sleep(0.5)
        if waited and path == "/sign-up" and answer.status == 404:
            # The account was there already: what had no time was its first session.
            words = {name: body[name] for name in ("login", "password")}
            return await self.ask("POST", "/sign-in/password", words)
        return answer


def _site(folder: Path, seed: int, redis: RedisServer, **settings: str) -> Site:
    """A process whose hints to others go astray, and whose clock can be moved."""
    client = redis.directory / "ca" / "client.pem"
    more = {
        "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")),
        **{name.replace("__", "."): value for name, value in settings.items()},
    }  # fmt: skip
    counts, watched, clock = folder / "losses", Watched(folder / "frames"), folder / "offset"
    move(clock, 0)
    environment = {
        **lossy(seed, counts), **watched.environment, **moved_by(clock),
        "SOTTO_BUS__PASSWORD": WORD,
    }  # fmt: skip
    return Site(Installation(folder, more, environment=environment), counts, watched, clock)


@contextlib.asynccontextmanager
async def _standing(stage: Stage) -> AsyncIterator[Stage]:
    """With relays open; what runs at the end is stopped."""
    try:
        for site in stage.sites:
            await site.front.start()
        yield stage
    finally:
        for site in stage.sites:
            await site.there.stop()
            await site.front.stop()


@contextlib.asynccontextmanager
async def on_sqlite(folder: Path, seed: int, stopped: float) -> AsyncIterator[Stage]:
    """Nothing is started yet; `stopped`: for how many seconds a process will stand still."""
    redis = RedisServer.new(folder / "redis")
    try:
        sites = [_site(folder / "home", seed, redis)]
        async with _standing(Stage(sites, redis, stopped=stopped)) as stage:
            yield stage
    finally:
        redis.stop()


@contextlib.asynccontextmanager
async def on_mongodb(folder: Path, mongo: int, seed: int, stopped: float) -> AsyncIterator[Stage]:
    """As `on_sqlite`; `mongo` is the port of the store."""
    redis = RedisServer.new(folder / "redis")
    link = Relay(mongo)
    await link.start()
    shared = {
        "store__url": f"mongodb://127.0.0.1:{link.port}/", "store__database": fresh_database(),
        "store__insecure_without_auth": "true", "store__timeout_seconds": "8",
        "kms__directory": str(folder / "keys"),
    }  # fmt: skip
    try:
        sites = [_site(folder / f"home{n}", seed + n, redis, **shared) for n in range(2)]
        async with _standing(Stage(sites, redis, link, stopped)) as stage:
            yield stage
    finally:
        redis.stop()
        await link.stop()
