"""Ends a test run that used the `livekit` package without unwinding the interpreter.

Its native threads may deliver an event while Python ends. CPython 3.11 then ends such a thread by
unwinding it, which Rust does not allow across its frames: the process aborts, after all is told.
"""

from __future__ import annotations

import os
import sys

import pytest


class Leaving:
    """A pytest plugin: keeps the exit status, and leaves with it when all is printed."""

    def __init__(self) -> None:
        self._status = 0

    def pytest_sessionfinish(self, exitstatus: int | pytest.ExitCode) -> None:
        self._status = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        if "livekit.rtc" in sys.modules:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self._status)
