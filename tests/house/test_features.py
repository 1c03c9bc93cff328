"""The page of features lists every noun and its test, and each was shown."""

from __future__ import annotations

from tests.features.page import PAGE, stale


def test_the_page_of_features_lists_every_noun_and_its_test() -> None:
    assert not stale(PAGE.read_text(), {}), "run make test ONLY=features, then tests.features.page"


def test_every_noun_was_shown() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if "::" in line]
    assert len(lines) >= 10
    assert not [line for line in lines if "**" in line]
