"""The page of promises lists the rows and tests that there are."""

from __future__ import annotations

from tests.rows.page import PAGE, stale
from tests.rows.promises import PROMISES


def test_the_page_of_promises_lists_every_row_and_its_tests() -> None:
    assert not stale(PAGE.read_text(), PROMISES), "run make test ONLY=rows, then tests.rows.page"


def test_every_promise_is_shown_or_says_what_it_would_need() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines[1:]]
    assert len(rows) >= 40
    assert not [row for _, row, _, said, missing, _ in rows if said != "pass" and not missing]
