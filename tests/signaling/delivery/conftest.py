"""Grounds on every store, and rooms whose events are delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.signaling.access.rig import Ground, ground
from tests.signaling.delivery.house import Post, delivering
from tests.signaling.storage import places
from tests.signaling.storage.conftest import stand_in

__all__ = ["stand_in"]


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
