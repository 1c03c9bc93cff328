"""`docs/security/asvs.md` is whole, and what it points at is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security" / "asvs.md"
# The items of ASVS 5.0 by section: those of level 1 end in `a`, those of level 2 in `b`.
ITEMS = """
1.1 1b 2b
1.2 1a 2a 3a 4a 5a 6b 7b 8b 9b
1.3 1a 2a 3b 4b 5b 6b 7b 8b 9b 10b 11b
1.4 1b 2b 3b
1.5 1a 2b
2.1 1a 2b 3b
2.2 1a 2a 3b
2.3 1a 2b 3b 4b
2.4 1b
3.2 1a 2a
3.3 1a 2b 3b 4b
3.4 1a 2a 3b 4b 5b 6b
3.5 1a 2a 3a 4b 5b
3.7 1b 2b
4.1 1a 2b 3b
4.2 1b
4.3 1b 2b
4.4 1a 2b 3b 4b
5.1 1b
5.2 1a 2a 3b
5.3 1a 2a
5.4 1b 2b 3b
6.1 1a 2b 3b
6.2 1a 2a 3a 4a 5a 6a 7a 8a 9b 10b 11b 12b
6.3 1a 2a 3b 4b
6.4 1a 2a 3b 4b
6.5 1b 2b 3b 4b 5b
6.6 1b 2b 3b
6.8 1b 2b 3b 4b
7.1 1b 2b 3b
7.2 1a 2a 3a 4a
7.3 1b 2b
7.4 1a 2a 3b 4b 5b
7.5 1b 2b
7.6 1b 2b
8.1 1a 2b
8.2 1a 2a 3b
8.3 1a
8.4 1b
9.1 1a 2a 3a
9.2 1a 2b 3b 4b
10.1 1b 2b
10.2 1b 2b
10.3 1b 2b 3b 4b
10.4 1a 2a 3a 4a 5a 6b 7b 8b 9b 10b 11b
10.5 1b 2b 3b 4b 5b
10.6 1b 2b
10.7 1b 2b 3b
11.1 1b 2b
11.2 1b 2b 3b
11.3 1a 2a 3b
11.4 1a 2b 3b 4b
11.5 1b
11.6 1b
12.1 1a 2b 3b
12.2 1a 2a
12.3 1b 2b 3b 4b
13.1 1b
13.2 1b 2b 3b 4b 5b
13.3 1b 2b
13.4 1a 2b 3b 4b 5b
14.1 1b 2b
14.2 1a 2b 3b 4b
14.3 1a 2b 3b
15.1 1a 2b 3b
15.2 1a 2b 3b
15.3 1a 2b 3b 4b 5b 6b 7b
16.1 1b
16.2 1b 2b 3b 4b 5b
16.3 1b 2b 3b 4b
16.4 1b 2b 3b
16.5 1b 2b 3b
17.1 1b
17.2 1b 2b 3b 4b
17.3 1b 2b
"""
STATES = {"met", "written", "deviation", "not met", "does not apply"}
ROW = re.compile(r"\| (\d+\.\d+\.\d+) \| ([12]) \| ([a-z ]+) \| (.*) \| (.*) \|")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
WRITTEN = re.compile(r"`((?:docs|deploy|signaling)/[\w./-]+|SECURITY\.md|\.ci/[\w./-]+)`")


def items() -> dict[str, str]:
    found = {}
    for line in ITEMS.split("\n"):
        section, *numbers = line.split() or [""]
        for number in numbers:
            found[f"{section}.{number[:-1]}"] = "1" if number[-1] == "a" else "2"
    return found


def rows() -> list[tuple[str, str, str, str, str]]:
    return [match.groups() for match in map(ROW.fullmatch, PAGE.read_text().splitlines()) if match]  # type: ignore[misc]  # five groups


def test_every_item_of_levels_1_and_2_is_listed_once() -> None:
    listed = [(number, level) for number, level, *_ in rows()]
    assert len(items()) == 253
    assert sorted(listed) == sorted(items().items())


def test_every_item_says_how_and_by_which_test_or_why_not() -> None:
    wrong = []
    for number, _, state, how, shown in rows():
        needs_test = state in ("met", "deviation")
        fine = state in STATES and bool(how) and (bool(TEST.search(shown)) or not needs_test)
        if state == "written":
            fine = fine and bool(WRITTEN.search(how))
        if not fine:
            wrong.append(number)
    assert not wrong


def test_every_test_and_page_that_is_named_is_there() -> None:
    text = PAGE.read_text()
    named = set(TEST.findall(text))
    assert len(named) > 150
    missing = []
    for file, name in sorted(named):
        path = ROOT / file
        if not path.exists() or not re.search(rf"^(async )?def {name}\(", path.read_text(), re.M):
            missing.append(f"{file}::{name}")
    missing += [page for page in WRITTEN.findall(text) if not (ROOT / page).exists()]
    assert not missing


def test_the_counts_at_the_top_are_those_of_the_rows() -> None:
    states = [state for _, _, state, _, _ in rows()]
    met = states.count("met") + states.count("written")
    said = " ".join(PAGE.read_text().split())
    assert f"{met} of {len(states)} items are met, {states.count('deviation')} with" in said
    assert f"{states.count('not met')} not met, {states.count('does not apply')} do not" in said
