"""For every folder of tests: what the numbered rows gave is kept for the page of promises."""

from tests.rows.recorder import pytest_runtest_logreport, pytest_sessionfinish

__all__ = ["pytest_runtest_logreport", "pytest_sessionfinish"]
