"""The page of clients speaks of tests that exist, and shows no failure."""

from __future__ import annotations

from pathlib import Path

from tests.interop.table import FAILED, PAGE, codecs, rows


def test_every_test_in_the_table_exists() -> None:
    here = Path(__file__).parent
    named = {test for row in rows() for tests in row.tests.values() for test in tests}
    for name in named | {test for one in codecs() for test in one.tests}:
        file, _, test = name.partition("::")
        assert f"def {test.partition('[')[0]}(" in (here / file).read_text(), name


def test_the_page_names_every_client() -> None:
    text = PAGE.read_text()
    assert all(f"| {row.client} |" in text for row in rows())
    assert all(f"| {one.codec} | {one.sender} |" in text for one in codecs())


def test_the_page_shows_no_failure() -> None:
    failing = [line for line in PAGE.read_text().splitlines() if FAILED in line]
    assert failing == []
