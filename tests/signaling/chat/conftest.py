"""A server with rooms on each store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.signaling.access.rig import Ground, ground
from tests.signaling.chat.rig import Served, serving
from tests.signaling.storage.places import EmbeddedPlace, MemoryPlace


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(MemoryPlace(), tmp_path) as made:
        yield made


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(EmbeddedPlace(tmp_path / "store"), tmp_path) as made:
        yield made


@pytest.fixture
async def served(embedded: Ground) -> AsyncIterator[Served]:
    async with serving(embedded) as made:
        yield made
