"""The page of promises lists the rows and tests that there are."""

from __future__ import annotations

import pytest

from tests.rows.page import PAGE, render, result_of, said, stale
from tests.rows.promises import PROMISES


def test_the_page_of_promises_lists_every_row_and_its_tests() -> None:
    assert not stale(PAGE.read_text(), PROMISES), "run make test ONLY=rows, then tests.rows.page"


def unshown(page: str) -> list[str]:
    """Rows that did not pass. Only where there is no test at all may a reason stand for one."""
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines[1:]]
    return [
        row
        for _, row, _, result, missing, _ in rows
        if result != "pass" and not (result == "not shown" and missing)
    ]


def test_every_promise_is_shown_or_says_what_it_would_need() -> None:
    assert len(said(PAGE.read_text())) >= 300
    assert not unshown(PAGE.read_text())


@pytest.mark.parametrize("result", ["fail", "skipped", "not run"])
def test_a_reason_excuses_no_test_that_failed_or_did_not_run(result: str) -> None:
    name = "tests/rows/test_a03_volumes.py::test_a03_a_plain_volume_is_refused"
    page = render(PROMISES, {**said(PAGE.read_text()), name: result})
    [row] = [promise for promise in PROMISES if promise.row == "A3"]
    assert row.missing
    assert unshown(page) == ["A3"]


def test_a_test_that_was_not_run_keeps_its_result() -> None:
    page = PAGE.read_text()
    assert render(PROMISES, said(page)) == page
    name = next(iter(said(page)))
    changed = render(PROMISES, {**said(page), name: "fail"})
    assert f"- fail: `{name}`" in changed
    assert len(unshown(changed)) == 1


def test_the_worst_result_of_its_tests_is_that_of_a_row() -> None:
    results = {"a": "pass", "b": "fail", "c": "skipped"}
    assert [result_of(list(names), results) for names in ("a", "ab", "ac", "bc", "ad", "")] == [
        "pass", "fail", "skipped", "fail", "not run", "not shown",
    ]  # fmt: skip
