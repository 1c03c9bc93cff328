"""`docs/security/attack-classes.md` has every class, and the tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security" / "attack-classes.md"
CLASSES = (*range(1, 12), *range(13, 22), *range(25, 31))
TEST = re.compile(r"^- `(tests/[\w/]+\.py)::(test_\w+)`$", re.M)


def sections() -> dict[int, str]:
    parts = re.split(r"^## (\d+) .*$", PAGE.read_text(), flags=re.M)
    return dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))


def test_every_class_says_what_is_done_and_has_a_test() -> None:
    found = sections()
    assert tuple(found) == CLASSES
    for number, text in found.items():
        assert TEST.search(text), number
        assert re.search(r"^[A-Z_`].{40}", text, re.M), number


def test_every_test_that_is_named_is_there_and_is_run() -> None:
    named = TEST.findall(PAGE.read_text())
    assert len(named) > 50
    missing = []
    for file, name in named:
        path = ROOT / file
        if not path.exists() or not re.search(rf"^(async )?def {name}\(", path.read_text(), re.M):
            missing.append(f"{file}::{name}")
    assert not missing
    listed = [line for line in PAGE.read_text().splitlines() if line.startswith("- ")]
    assert len(listed) == len(named)
