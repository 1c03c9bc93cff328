"""Runs last: what the tests before it showed is what docs/features.md says."""

from __future__ import annotations

from tests.features.features import every
from tests.features.page import PAGE, places, stale
from tests.features.recorder import kept


def test_every_noun_has_the_test_that_is_named_after_it() -> None:
    nouns = [feature.test for feature in every()]
    assert len(set(nouns)) == len(nouns)
    assert set(nouns) == set(places())


def test_the_page_says_what_was_shown() -> None:
    assert not stale(PAGE.read_text(), kept()), "make test ONLY=features, tests.features.page"
