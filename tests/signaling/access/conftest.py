"""The Access Manager on each store that needs no server, and a client that signs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.bus.local import LocalBus
from tests.signaling.access.rig import Client, Ground, Process, ground, serving


@pytest.fixture(params=["memory", "embedded"])
async def base(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def client(base: Ground) -> AsyncIterator[Client]:
    async with serving(Process(base, LocalBus(base.clock))) as made:
        yield made
