"""It must show 1: 10,000 messages while everything is killed; a short one at each change.

The seed is printed and can be given (`tests/seeds.py`). `make test-long` makes SOTTO_SYNC_RUNS runs
on each store, in parts (`.ci/suites.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.seeds import run_seed
from tests.signaling.storage.conftest import stand_in
from tests.sync.convergence import converge
from tests.sync.stages import on_mongodb, on_sqlite

__all__ = ["stand_in"]

RUNS = int(os.environ.get("SOTTO_SYNC_RUNS", "20"))
MIXED = (1, 3)
"""Where TypeScript devices sit in every other run: one of Ana's two, and Cy's."""


STOPPED = 1.5
"""Seconds that a process stands still at each change; ten in the long runs."""


async def test_everybody_has_everything_after_kills_on_sqlite(tmp_path: Path) -> None:
    seed = run_seed()
    async with on_sqlite(tmp_path, seed, STOPPED) as stage:
        await converge(stage, tmp_path, seed, 400, 1.0)


async def test_everybody_has_everything_after_kills_on_mongodb(
    tmp_path: Path, stand_in: Callable[[], int]
) -> None:
    seed = run_seed()
    async with on_mongodb(tmp_path, stand_in(), seed, STOPPED) as stage:
        await converge(stage, tmp_path, seed, 400, 1.0, MIXED)


@pytest.mark.long
@pytest.mark.part("sync-sqlite")
@pytest.mark.parametrize("turn", range(RUNS))
async def test_ten_thousand_messages_on_sqlite(tmp_path: Path, turn: int) -> None:
    seed = run_seed() + turn
    async with on_sqlite(tmp_path, seed, 10.0) as stage:
        await converge(stage, tmp_path, seed, 10_000, 2.0, MIXED if turn % 2 else ())


@pytest.mark.long
@pytest.mark.part("sync-mongodb")
@pytest.mark.parametrize("turn", range(RUNS))
async def test_ten_thousand_messages_on_mongodb(
    tmp_path: Path, stand_in: Callable[[], int], turn: int
) -> None:
    seed = run_seed() + turn
    async with on_mongodb(tmp_path, stand_in(), seed, 10.0) as stage:
        await converge(stage, tmp_path, seed, 10_000, 2.0, MIXED if turn % 2 else ())
