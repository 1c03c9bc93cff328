"""A server with calls on a store in a file, and grounds for several processes on every store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.signaling.access.rig import Ground, ground
from tests.signaling.calls.rig import Calls, calling
from tests.signaling.storage import places
from tests.signaling.storage.conftest import stand_in

__all__ = ["stand_in"]


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(places.EmbeddedPlace(tmp_path / "store"), tmp_path) as made:
        yield made


@pytest.fixture(params=["embedded", "mongo"])
async def lasting(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    stand_in: Callable[[], int],
) -> AsyncIterator[Ground]:
    place = places.make(request.param, tmp_path / "store", stand_in)
    async with ground(place, tmp_path) as made:
        yield made
    await place.clear()


@pytest.fixture
async def served(embedded: Ground) -> AsyncIterator[Calls]:
    async with calling(embedded) as made:
        yield made
