"""The page of clients speaks of tests that exist, and shows no failure."""

from __future__ import annotations

from pathlib import Path

from tests.interop.table import PAGE, rows


def test_every_test_in_the_table_exists() -> None:
    here = Path(__file__).parent
    for row in rows():
        for name in {t for tests in row.tests.values() for t in tests}:
            file, _, test = name.partition("::")
            assert f"def {test.partition('[')[0]}(" in (here / file).read_text(), name


def test_the_page_names_every_client() -> None:
    text = PAGE.read_text()
    assert all(f"| {row.client} |" in text for row in rows())
