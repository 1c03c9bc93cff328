"""A row of the page of promises, and how names of tests and rows become each other."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """`missing`: what is not shown here, and what it would need."""

    row: str
    words: str
    missing: str = ""
    elsewhere: tuple[str, ...] = ()


def word_of(row: str) -> str:
    """As it stands in names of tests: A5 is `a05`, 5.A is `s5a`, 1.E Users is `s1e_users`."""
    if found := re.fullmatch(r"([A-Z])(\d{1,2})", row):
        return f"{found[1].lower()}{int(found[2]):02d}"
    word = re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_")
    return f"s{re.sub(r'_(?=[a-e](_|$))', '', word, count=1)}" if word[0].isdigit() else word


def tests_in(path: str, *names: str) -> tuple[str, ...]:
    """Of one file below tests/, without what all their names begin with."""
    return tuple(f"tests/{path}.py::test_{name}" for name in names)
