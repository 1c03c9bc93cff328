"""The page of promises lists the rows and tests that there are."""

from __future__ import annotations

from tests.rows.page import PAGE, stale
from tests.rows.promises import PROMISES


def test_the_page_of_promises_lists_every_row_and_its_tests() -> None:
    assert not stale(PAGE.read_text(), PROMISES), "run make test ONLY=rows, then tests.rows.page"
