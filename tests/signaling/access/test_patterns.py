"""Promises 1.D: patterns are RE2, match the whole name, and cost what they should."""

from __future__ import annotations

import time

import pytest

from signaling.access.patterns import PATTERN_BYTES, PatternError, Patterns, check, matching


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a{1001}",
        "(a{100}){100}",
        r"(a)\1",
        "(?=a)",
        "[z-a]",
        "",
        "a" * (PATTERN_BYTES + 1),
        "é" * (PATTERN_BYTES // 2 + 1),
        "\ud800",
        r"\E",
        r"(?:\p{L}{1000})",
    ],
)
def test_b22_refused_patterns(pattern: str) -> None:
    with pytest.raises(PatternError) as caught:
        check(pattern)
    assert pattern == "" or pattern not in str(caught.value) or len(pattern) < 2


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "a" * PATTERN_BYTES, "room-.*", r"\Qa", "é+", "a\x00"]
)
def test_b22_accepted_patterns(pattern: str) -> None:
    assert check(pattern) > 0


def test_b22_an_exponential_pattern_answers_at_once() -> None:
    patterns = Patterns({"^(a+)+$": 1, "(x+x+)+y": 2})
    started = time.perf_counter()
    assert patterns.mask("a" * 50_000 + "!") == 0
    assert patterns.mask("x" * 50_000) == 0
    assert patterns.mask("a" * 50_000) == 1
    assert time.perf_counter() - started < 20


def test_b22_a_quotation_swallows_nobody_else() -> None:
    """Joined carelessly, the first would quote what stands behind it and open the second."""
    patterns = Patterns({r"\Qa": 1, r"b\Q)|(?:": 1, r"\Q)|.*": 2, "c": 1})
    assert patterns.mask("a") == 1
    assert patterns.mask("b)|(?:") == 1
    assert patterns.mask(")|.*") == 2
    assert patterns.mask("c") == 1
    for name in ("anything", "a)", "b", ")", ""):
        assert patterns.mask(name) == 0


def test_b22_flags_and_groups_stay_in_their_pattern() -> None:
    patterns = Patterns({"(?i)abc": 1, "def": 1, "(?P<n>x)y": 1, "(?P<n>z)": 1, "a|b": 1, "": 0})
    for name in ("ABC", "def", "xy", "z", "a", "b"):
        assert patterns.mask(name) == 1, name
    for name in ("DEF", "ab", "xyz", "xz"):
        assert patterns.mask(name) == 0, name


def test_b22_lines_do_not_matter() -> None:
    """`$` and `(?m)` cannot make a part of a name enough."""
    patterns = Patterns({"(?m)^a$": 1, "b$": 2})
    assert patterns.mask("a\nb") == 0
    assert patterns.mask("a") == 1
    assert patterns.mask("b\n") == 0


def test_b22_more_than_one_automaton_takes_still_matches() -> None:
    """Too large together, fine one by one."""
    large = {f"{i}(?:\\p{{L}}{{40}})": 1 for i in range(10)}
    patterns = Patterns(large)
    assert patterns.mask("9" + "é" * 40) == 1
    assert patterns.mask("10" + "é" * 40) == 0
    assert patterns.mask("9" + "é" * 39) == 0


def test_explanations_name_each_pattern_that_matches() -> None:
    found = dict(matching({"room-.*": 1, ".*-1": 2, "room": 4}, "room-1"))
    assert found == {"room-.*": 1, ".*-1": 2}
