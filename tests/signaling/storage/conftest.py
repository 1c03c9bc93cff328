"""The adapters as fixtures; the MongoDB stand-in runs once for a session."""

from __future__ import annotations

import functools
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pymongo.common
import pytest

from signaling.clock import FakeClock
from signaling.storage.port import Store
from tests.peers.mongo.stand_in import StandIn
from tests.signaling.storage import cuts, places


@pytest.fixture(scope="session")
def stand_in() -> Iterator[Callable[[], int]]:
    """Starts it when first asked; the port."""
    running: list[StandIn] = []

    @functools.cache
    def port() -> int:
        running.append(StandIn.start())
        return running[0].port

    yield port
    for server in running:
        server.stop()


@pytest.fixture
def driver_sockets() -> Iterator[None]:
    """The driver forgets to close the socket of a failed handshake: it is told here, not later."""
    yield
    gc.collect()


@pytest.fixture
async def lanes(
    tmp_path: Path, stand_in: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[cuts.Lane]]:
    """The driver's half second between looks at a server is waited out hundreds of times."""
    monkeypatch.setattr(pymongo.common, "MIN_HEARTBEAT_INTERVAL", 0.005)
    async with cuts.lanes(tmp_path, stand_in()) as made:
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=places.NAMES)
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, stand_in: Callable[[], int]
) -> AsyncIterator[places.Place]:
    made = places.make(request.param, tmp_path, stand_in)
    yield made
    await made.clear()


@pytest.fixture
async def store(place: places.Place, clock: FakeClock) -> AsyncIterator[Store]:
    opened = await place.open(clock)
    yield opened
    await opened.close()
