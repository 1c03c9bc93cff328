"""Keeps what the tests of the nouns gave and showed, in pytest's cache, merged over runs.

A plugin of tests/features/conftest.py; `page` prints what is kept.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.merging import merge

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".pytest_cache" / "features.json"
FOLDER = "tests/features/"
Results = dict[str, dict[str, str]]

_found: Results = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Called for every test of the run: those of other folders are passed over."""
    if not report.nodeid.startswith(FOLDER):
        return
    found = _found.setdefault(report.nodeid, {})
    if report.failed:
        found["result"] = "fail"
    elif report.when == "call" and report.passed:
        found.setdefault("result", "pass")
    elif report.skipped:
        found["result"] = "skipped"
    if report.when == "teardown":
        found.update({str(name): str(said) for name, said in report.user_properties})
        _save()


def _save() -> None:
    merge(KEPT, lambda: {**kept(), **_found})


def kept() -> Results:
    """By test: its `result`, and what it showed as `allowed`, `refused` and `offline`."""
    try:
        found: Results = json.loads(KEPT.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found
