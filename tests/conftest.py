"""For every folder of tests: what the numbered rows gave is kept for the page of promises."""

import pytest
from hypothesis import HealthCheck, settings

from tests.leaving import Leaving
from tests.rows.recorder import pytest_runtest_logreport, pytest_sessionfinish

__all__ = ["pytest_configure", "pytest_runtest_logreport", "pytest_sessionfinish"]

# How long an example takes says what else runs on the machine, and nothing about the code.
settings.register_profile(
    "sotto", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sotto")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Leaving())
