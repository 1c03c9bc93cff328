"""docs/features.md, made from what the tests of the nouns showed.

`python -m tests.features.page` writes it after `make test ONLY=features`. tests/house fails when it
does not list the nouns that there are, tests/features when it says other than what was shown.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from tests.features.features import GROUPS, Feature, every
from tests.features.recorder import FOLDER, ROOT, Results, kept

PAGE = ROOT / "docs" / "features.md"
HEAD = """# What people can do, and where it is shown

Generated from the results of the tests; do not edit. `make test ONLY=features`, then
`python -m tests.features.page` writes it.

Each noun has a test named after it, which drives a server that was started apart, over TLS, with
two accounts or more. *Allowed*: what the sentence says was done. *Refused*: what may not be was
tried, and these were the answers. *A device that was offline* had gone before it happened and came
back with its cursor (the Python client, `client/`): what it then found, or was not told.

"""
COLUMNS = (
    "noun", "what a person can do", "allowed", "refused", "a device that was offline", "test"
)  # fmt: skip


def places() -> dict[str, str]:
    """Test functions of the nouns, and where they are."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / FOLDER).glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found[node.name] = f"{FOLDER}{path.name}::{node.name}"
    return found


def row(feature: Feature, where: Mapping[str, str], results: Results) -> str:
    name = where[feature.test]
    shown = results.get(name, {})
    result = shown.get("result", "not run")
    cells = [shown.get(what, "") for what in ("allowed", "refused", "offline")]
    if cells[2]:
        cells[2] = feature.back
    if result != "pass":
        cells = [f"**{result}**"] * 3
    return f"| {' | '.join((feature.noun, feature.can, *cells, f'`{name}`'))} |"


def render(results: Results) -> str:
    where, lines = places(), []
    for group, features in GROUPS.items():
        lines += [f"## {group}", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        lines += [row(feature, where, results) for feature in features]
        lines.append("")
    return HEAD + "\n".join(lines)


def rows(page: str) -> dict[str, str]:
    """The lines of a page by their tests."""
    lines = [line for line in page.splitlines() if line.startswith("| ") and "::" in line]
    return {line.rpartition("::")[2].removesuffix("` |"): line for line in lines}


def stale(page: str, results: Results) -> list[str]:
    """Nouns that are missing, gone, said in other words, or shown other than the page says."""
    found, where = rows(page), places()
    wanted = {one.test: one for one in every()}
    odd = set(found) ^ set(wanted)
    for test in set(found) & set(wanted) & set(where):
        feature, line = wanted[test], found[test]
        told = (feature.noun, feature.can, feature.back, where[test])
        ran = where[test] in results
        if not all(one in line for one in told) or (ran and row(feature, where, results) != line):
            odd.add(test)
    return sorted(odd | (set(wanted) ^ set(where)))


def main() -> None:
    PAGE.write_text(render(kept()))


if __name__ == "__main__":
    main()
