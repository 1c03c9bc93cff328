"""For every folder of tests: what the numbered rows gave is kept for the page of promises."""

import pytest

from tests.leaving import Leaving
from tests.rows.recorder import pytest_runtest_logreport, pytest_sessionfinish

__all__ = ["pytest_configure", "pytest_runtest_logreport", "pytest_sessionfinish"]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Leaving())
