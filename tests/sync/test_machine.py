"""The machine of sync finds nothing; and finds each of five bugs when they are planted."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sync.machine import SyncMachine

CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def profile(examples: int, steps: int, **more: object) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=CHECKS,
        database=None,
        **more,  # type: ignore[arg-type]
    )


def test_whatever_goes_wrong_everybody_has_the_same_in_the_end() -> None:
    examples = int(os.environ.get("SOTTO_SYNC_EXAMPLES", "60"))
    run_state_machine_as_test(SyncMachine, settings=profile(examples, 40, print_blob=True))


_ = Phase
