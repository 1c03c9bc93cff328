"""The rig on both stores that need no server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.signaling.accounts.rig import Rig


@pytest.fixture(params=["memory", "embedded"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    made = await Rig(tmp_path, request.param).start()
    try:
        yield made
    finally:
        await made.close()
