"""The shop, open."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.signaling.http.api.shop import Open, opened


@pytest.fixture
async def shop() -> AsyncIterator[Open]:
    async with opened() as made:
        yield made
