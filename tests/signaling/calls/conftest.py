"""A server with calls, on a store in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.signaling.access.rig import Ground, ground
from tests.signaling.calls.rig import Calls, calling
from tests.signaling.storage.places import EmbeddedPlace


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(EmbeddedPlace(tmp_path / "store"), tmp_path) as made:
        yield made


@pytest.fixture
async def served(embedded: Ground) -> AsyncIterator[Calls]:
    async with calling(embedded) as made:
        yield made
