"""docs/compliance/promises.md, made from what the tests of the rows gave.

`python -m tests.rows.page` writes it. Rows have tests in many suites, and one of them is only in
`make test-long`: what was run since gets its new result, anything else keeps the one on the page.
tests/house fails when the rows or tests that it lists are not those that exist.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from tests.rows.promise import Promise
from tests.rows.promises import PROMISES
from tests.rows.recorder import ROOT, by_function, kept, rows_of

PAGE = ROOT / "docs" / "compliance" / "promises.md"
HEAD = """# Promises

Generated from the results of the tests; do not edit. `make test ONLY=rows` runs the tests below
`tests/rows`, `make test` the others too, `make test-long PART=accounts` the sign-ins of 5.C; then
`python -m tests.rows.page` writes this page. A test that was not run since keeps the result that
stands here.

Each row is a promise of Sotto with its number, in fewer words than its check has. Tests below
`tests/rows` ask a server that was started apart as a process of its own, over TLS, on SQLite and
on MongoDB's wire where the store matters; tests of other folders that stand beside them may ask
one part in their own process. *pass*: every case of the tests that are listed passed in its last
run; *not run*: it has none. It does not say that a test has every case that one can think of:
what is known to be without a test, or not built, or cannot be shown on a developer's machine, is
in the last column, with what it would need.

"""


def tests_of_rows() -> dict[str, list[str]]:
    """Test functions below tests/rows by their rows."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests" / "rows").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for row in rows_of(node.name):
                    found.setdefault(row, []).append(f"tests/rows/{path.name}::{node.name}")
    return found


def listed(promises: Sequence[Promise]) -> dict[str, list[str]]:
    """Every test of every row, in the order of the page. A test elsewhere must exist."""
    found = tests_of_rows()
    unknown = set(found) - {promise.row for promise in promises}
    if unknown:
        raise SystemExit(f"tests/rows/promises.py does not know {sorted(unknown)}")
    for promise in promises:
        for name in promise.elsewhere:
            path, _, function = name.partition("::")
            if not re.search(rf"def {function}\(", (ROOT / path).read_text()):
                raise SystemExit(f"{promise.row}: there is no {name}")
    return {p.row: [*found.get(p.row, ()), *p.elsewhere] for p in promises}


def result_of(names: Sequence[str], results: Mapping[str, str]) -> str:
    said = {results.get(name, "not run") for name in names}
    for worst in ("fail", "skipped", "not run"):
        if worst in said:
            return worst
    return "pass" if said else "not shown"


def render(promises: Sequence[Promise], results: Mapping[str, str]) -> str:
    tests = listed(promises)
    lines = [
        "| row | promise | result | not shown here, and what it would need |",
        "|---|---|---|---|",
    ]
    for promise in promises:
        said = result_of(tests[promise.row], results)
        lines.append(f"| {promise.row} | {promise.words} | {said} | {promise.missing} |")
    for promise in promises:
        lines += ["", f"## {promise.row}", "", f"{promise.words}.", ""]
        for name in tests[promise.row]:
            lines.append(f"- {results.get(name, 'not run')}: `{name}`")
    return HEAD + "\n".join(lines) + "\n"


def said(page: str) -> dict[str, str]:
    """The results that a page shows, by test."""
    return {name: result for result, name in re.findall(r"^- ([a-z ]+): `(.+)`$", page, re.M)}


def stale(page: str, promises: Sequence[Promise]) -> list[str]:
    """What the page lists and is not there, or the other way round; results apart."""
    wanted = {(row, name) for row, names in listed(promises).items() for name in names}
    wanted |= {(promise.row, "") for promise in promises}
    found, row = set(), ""
    for line in page.splitlines():
        if line.startswith("## "):
            row = line[3:]
            found.add((row, ""))
        elif match := re.match(r"- [a-z ]+: `(.+)`$", line):
            found.add((row, match[1]))
    return sorted(f"{row} {name}".strip() for row, name in wanted ^ found)


def main() -> None:
    before = said(PAGE.read_text()) if PAGE.exists() else {}
    PAGE.write_text(render(PROMISES, {**before, **by_function(kept())}))


if __name__ == "__main__":
    main()
