"""The two buses as fixtures; one real redis-server for a session, another for who breaks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from signaling.bus.local import LocalBus
from signaling.bus.open import open_bus
from signaling.bus.port import Bus, Reach
from tests.peers.redis_server import RedisServer


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer.new(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One to break."""
    server = RedisServer.new(tmp_path)
    yield server
    server.stop()


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def shared(server: RedisServer, **changes: object) -> Bus:
    """A bus that has reached its Redis. Patient: on a busy machine it would go on without."""
    bus = await open_bus(server.settings(**{"timeout_seconds": 10.0, **changes}))
    await until(lambda: bus.state().reach is Reach.SHARED)
    return bus


@pytest.fixture(params=["local", "redis"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Bus, Bus]]:
    """Two servers' buses; the local one reaches itself only, so it is both."""
    if request.param == "local":
        local = LocalBus()
        yield local, local
        return
    server = request.getfixturevalue("shared_redis")
    buses = await shared(server), await shared(server)
    yield buses
    for bus in buses:
        await bus.close()
