"""A house of sessions on each store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.clock import FakeClock
from tests.signaling.sessions.house import House, a_store


@pytest.fixture(params=["memory", "embedded"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    clock = FakeClock()
    async with a_store(request.param, tmp_path, clock) as store:
        house = House(store, clock=clock)
        house.revocations.start(house.service.look_again)
        yield house
        await house.revocations.stop()
