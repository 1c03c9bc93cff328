"""The form of a fault test: once in `make test`, twenty times in `make test-long`; p95 judged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

RUNS = pytest.mark.parametrize(
    "runs", [1, pytest.param(20, marks=[pytest.mark.long, pytest.mark.part("network")])]
)


def spread(values: list[float]) -> str:
    ranked = sorted(values)
    middle, high = ranked[len(ranked) // 2], p95(values)
    raw = " ".join(f"{v:.2f}" for v in values)
    return f"p50 {middle:.2f}, p95 {high:.2f}, max {ranked[-1]:.2f} (all: {raw})"


def p95(values: list[float]) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]


async def repeated(
    name: str,
    runs: int,
    folder: Path,
    promise: float,
    measure: Callable[[Path, int], Awaitable[float]],
) -> None:
    """`measure(folder, seed)` gives one figure; its p95 must keep the promise; all is printed."""
    values = [await measure(folder / str(run), run + 1) for run in range(runs)]
    print(f"{name}: {spread(values)}, promised {promise}")
    assert p95(values) <= promise, f"{name}: {spread(values)}, promised {promise}"
