"""Grounds on every store, and a stand-in for MongoDB."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.mongo.stand_in import StandIn
from tests.signaling.access.rig import Ground, ground
from tests.signaling.delivery.house import Post, delivering
from tests.signaling.storage import places


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
async def memory(tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(places.MemoryPlace(), tmp_path) as made:
        yield made


@pytest.fixture(params=["embedded", "mongo"])
async def lasting(
    request: pytest.FixtureRequest, tmp_path: Path, stand_in: Callable[[], int]
) -> AsyncIterator[Ground]:
    place = places.make(request.param, tmp_path / "store", stand_in)
    async with ground(place, tmp_path) as made:
        yield made
    await place.clear()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(places.EmbeddedPlace(tmp_path / "store"), tmp_path) as made:
        yield made


@pytest.fixture
async def post(embedded: Ground) -> AsyncIterator[Post]:
    async with delivering(embedded) as made:
        yield made
