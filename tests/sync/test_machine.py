"""The machine of sync finds nothing; and finds each of five bugs when they are planted.

SOTTO_SYNC_EXAMPLES says how many histories are tried; `make test-long` tries many more.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sync.machine import SyncMachine
from tests.sync.planted import BUGS, Plant

CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def search(examples: int, steps: int, *phases: Phase, derandomize: bool = False) -> None:
    """Without shrinking: under load that takes minutes, and the steps are printed anyway."""
    tried = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=CHECKS,
        database=None,
        print_blob=True,
        phases=phases or (Phase.generate,),
        derandomize=derandomize,
    )
    run_state_machine_as_test(SyncMachine, settings=tried)


def test_whatever_goes_wrong_everybody_has_the_same_in_the_end() -> None:
    search(int(os.environ.get("SOTTO_SYNC_EXAMPLES", "100")), 40)


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same histories each time: whether they find it is no matter of luck."""
    plant(monkeypatch)
    with pytest.raises(Exception) as caught:
        search(1500, 40, derandomize=True)
    print(f"{plant.__name__}: {caught.value!r}"[:300])


@pytest.mark.long
@pytest.mark.part("sync")
def test_many_histories() -> None:
    search(5000, 60)
