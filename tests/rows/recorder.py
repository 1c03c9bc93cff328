"""Keeps what tests with a row's number in their names gave: `test_a05_...` is of row A5.

The results lie in pytest's cache (`.pytest_cache`), merged over runs; `page` prints them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.merging import merge
from tests.rows.promise import word_of
from tests.rows.promises import PROMISES

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".pytest_cache" / "rows.json"
# a5 is row A5; the others (s1d, s1e_users, s5d_17, class_22) are in the table by their names.
_LETTERED = re.compile(r"[abcf]\d{1,2}")
_NAMED = {
    word_of(promise.row): promise.row
    for promise in PROMISES
    if not _LETTERED.fullmatch(word_of(promise.row))
}
_WORD = "|".join([*sorted(map(re.escape, _NAMED), key=len, reverse=True), _LETTERED.pattern])
NAME = re.compile(rf"test((?:_(?:{_WORD}))+)_[a-z]")

ELSEWHERE = {name for promise in PROMISES for name in promise.elsewhere}
_found: dict[str, str] = {}


def rows_of(name: str) -> list[str]:
    """The rows of a test function's name: `test_b22_b26_calls` is of B22 and B26."""
    if not (found := NAME.match(name)):
        return []
    return [_row(word) for word in re.findall(rf"(?<=_)(?:{_WORD})(?=_|$)", found[1])]


def _row(word: str) -> str:
    return _NAMED.get(word) or f"{word[0].upper()}{int(word[1:])}"


def function_of(nodeid: str) -> str:
    """Without parameters: a function passes when all of its cases do."""
    return nodeid.partition("[")[0]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    function = function_of(report.nodeid)
    if not rows_of(function.rpartition("::")[2]) and function not in ELSEWHERE:
        return
    if report.failed:
        _found[report.nodeid] = "fail"
    elif report.when == "call" and report.passed:
        _found.setdefault(report.nodeid, "pass")
    elif report.skipped:
        _found.setdefault(report.nodeid, "skipped")
    if report.when == "teardown":
        _save()


def pytest_sessionfinish(session: pytest.Session) -> None:
    _save()


def _save() -> None:
    """Merged into what is kept; a run that is cut short keeps what it had."""
    if not _found:
        return
    ran = {function_of(nodeid) for nodeid in _found}

    def merged() -> dict[str, str]:
        before = {nodeid: said for nodeid, said in kept().items() if function_of(nodeid) not in ran}
        return {**before, **_found}

    merge(KEPT, merged)


def kept() -> dict[str, str]:
    """Result by test and parameters."""
    try:
        found: dict[str, str] = json.loads(KEPT.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def by_function(results: Mapping[str, str]) -> dict[str, str]:
    """The worst of its cases."""
    order = ("pass", "skipped", "fail")
    found: dict[str, str] = {}
    for nodeid, said in results.items():
        name = function_of(nodeid)
        found[name] = max(found.get(name, "pass"), said, key=order.index)
    return found
