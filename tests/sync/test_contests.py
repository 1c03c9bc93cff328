"""Read markers and who owns a room, while everything goes wrong: one order explains all answers.

The models of reliability.md 2.3. The seed is printed and can be given (`tests/seeds.py`); `make
test-long PART=sync-orders` makes SOTTO_SYNC_RUNS long runs on each store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.seeds import run_seed
from tests.signaling.storage.conftest import stand_in
from tests.sync.contests import contest
from tests.sync.stages import on_mongodb, on_sqlite

__all__ = ["stand_in"]

RUNS = int(os.environ.get("SOTTO_SYNC_RUNS", "20"))
SECONDS, ROOMS, STOPPED, PAUSE = 12.0, 3, 1.5, 0.4
LONG_SECONDS, LONG_ROOMS, LONG_STOPPED, LONG_PAUSE = 75.0, 10, 10.0, 1.0


async def test_f02_one_order_explains_markers_and_ownership_on_sqlite(tmp_path: Path) -> None:
    seed = run_seed()
    async with on_sqlite(tmp_path, seed, STOPPED) as stage:
        await contest(stage, seed, SECONDS, ROOMS, PAUSE)


async def test_f02_one_order_explains_markers_and_ownership_on_mongodb(
    tmp_path: Path, stand_in: Callable[[], int]
) -> None:
    seed = run_seed()
    async with on_mongodb(tmp_path, stand_in(), seed, STOPPED) as stage:
        await contest(stage, seed, SECONDS, ROOMS, PAUSE)


@pytest.mark.long
@pytest.mark.part("sync-orders")
@pytest.mark.parametrize("turn", range(RUNS))
async def test_one_order_explains_long_histories_on_sqlite(tmp_path: Path, turn: int) -> None:
    seed = run_seed() + turn
    async with on_sqlite(tmp_path, seed, LONG_STOPPED) as stage:
        await contest(stage, seed, LONG_SECONDS, LONG_ROOMS, LONG_PAUSE)


@pytest.mark.long
@pytest.mark.part("sync-orders")
@pytest.mark.parametrize("turn", range(RUNS))
async def test_one_order_explains_long_histories_on_mongodb(
    tmp_path: Path, stand_in: Callable[[], int], turn: int
) -> None:
    seed = run_seed() + turn
    async with on_mongodb(tmp_path, stand_in(), seed, LONG_STOPPED) as stage:
        await contest(stage, seed, LONG_SECONDS, LONG_ROOMS, LONG_PAUSE)
