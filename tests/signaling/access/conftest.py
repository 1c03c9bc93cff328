"""The Access Manager on each store, and a client that signs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.bus.local import LocalBus
from tests.signaling.access.rig import Client, Ground, Process, ground, serving
from tests.signaling.storage.conftest import place, stand_in
from tests.signaling.storage.places import Place

__all__ = ["place", "stand_in"]  # fixtures, found here by their names


@pytest.fixture
async def base(place: Place, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(place, tmp_path) as made:
        yield made


@pytest.fixture
async def client(base: Ground) -> AsyncIterator[Client]:
    async with serving(Process(base, LocalBus(base.clock))) as made:
        yield made
