"""A ground on SQLite, and one stand-in for MongoDB that has change streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.peers.mongo.stand_in import StandIn
from tests.signaling.access.rig import Ground, ground
from tests.signaling.storage import places


@pytest.fixture(scope="session")
def server() -> Iterator[StandIn]:
    running = StandIn.start("oplog")
    yield running
    running.stop()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(places.EmbeddedPlace(tmp_path / "store"), tmp_path) as made:
        yield made
