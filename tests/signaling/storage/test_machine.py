"""The state machine, over every adapter; more of it in `make test-long`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.seeds import run_seed
from tests.signaling.storage import places
from tests.signaling.storage.machine import StoreMachine

EXAMPLES = {"memory": 80, "embedded": 80, "mongo": 12, "mongodb": 12}


@pytest.fixture
def directory() -> Iterator[Callable[[], Path]]:
    """A new one for every example."""
    with tempfile.TemporaryDirectory() as root:
        yield lambda: Path(tempfile.mkdtemp(dir=root))


def run(
    name: str,
    factor: int,
    steps: int,
    directory: Callable[[], Path],
    stand_in: Callable[[], int],
) -> None:
    class Machine(StoreMachine):
        make = staticmethod(lambda: places.make(name, directory(), stand_in))

    run_state_machine_as_test(
        seed(run_seed())(Machine),
        settings=settings(
            max_examples=EXAMPLES[name] * factor,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("name", places.NAMES)
def test_a_store_answers_like_the_model(
    name: str, directory: Callable[[], Path], stand_in: Callable[[], int]
) -> None:
    run(name, 1, 40, directory, stand_in)


@pytest.mark.long
@pytest.mark.parametrize("name", places.NAMES)
def test_a_store_answers_like_the_model_for_long(
    name: str, directory: Callable[[], Path], stand_in: Callable[[], int]
) -> None:
    run(name, 20, 60, directory, stand_in)
