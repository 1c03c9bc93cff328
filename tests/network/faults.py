"""The form of a fault test: once in `make test`, twenty times in `make test-long`; p95 judged."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

# SOTTO_RUNS shortens the long form.
MANY = int(os.environ.get("SOTTO_RUNS", "20"))
RUNS = pytest.mark.parametrize("runs", [1, pytest.param(MANY, marks=pytest.mark.long)])
Measure = Callable[[Path, int], Awaitable[float]]


def spread(values: list[float]) -> str:
    ranked = sorted(values)
    middle, high = ranked[len(ranked) // 2], p95(values)
    raw = " ".join(f"{v:.2f}" for v in values)
    return f"p50 {middle:.2f}, p95 {high:.2f}, max {ranked[-1]:.2f} (all: {raw})"


def p95(values: list[float]) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]


async def repeated(
    name: str, runs: int, folder: Path, promise: float, measure: Measure, together: int = 1
) -> None:
    """`measure(folder, seed)` gives one figure; its p95 must keep the promise; all is printed.

    A run that fails by itself fails the test, after the others. `together` of them run at once,
    each in namespaces and on an event loop of its own: most of the time they wait.
    """

    def one(run: int) -> float | Exception:
        async def measured() -> float:
            return await measure(folder / str(run), run + 1)

        try:
            result: float | Exception = asyncio.run(measured())
        except Exception as error:
            result = error
        print(f"{name}, run {run + 1}: {result!r:.600}", flush=True)
        return result

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(together) as pool:
        results = await asyncio.gather(*(loop.run_in_executor(pool, one, r) for r in range(runs)))
    values = [result for result in results if isinstance(result, float)]
    failed = {run + 1: r for run, r in enumerate(results) if isinstance(r, Exception)}
    figures = f"{name}: {spread(values)}, promised {promise}" if values else name
    print(f"{figures}; {len(failed)} of {runs} failed")
    if failed:
        why = "\n".join(f"run {run}: {error!r}"[:4000] for run, error in failed.items())
        raise AssertionError(f"{figures}\n{why}") from next(iter(failed.values()))
    assert p95(values) <= promise, figures
