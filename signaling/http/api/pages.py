"""Writes what is generated: problem pages, the tables of docs/reference/api.md, TypeScript types.

`python -m signaling.http.api.pages` from the checkout. Tests compare what it would write with what
is there. Reads and writes files; everything else is in the modules that it asks.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from signaling.http.api import classification, openapi
from signaling.http.api.explanations import EXPLANATIONS, markdown
from signaling.http.api.operation import Auth, Operation
from signaling.http.api.rates import RATES
from signaling.http.api.role_table import table
from signaling.http.api.typescript import types

BEGIN, END = "<!-- begin {name} -->", "<!-- end {name} -->"
REFERENCE = Path("docs/reference/api.md")


def rate_table() -> str:
    rows = ["| policy | requests | in | at once | for |", "|---|---|---|---|---|"]
    for name, rate in RATES.items():
        rows.append(f"| `{name}` | {rate.count} | {rate.seconds} s | {rate.burst} | {rate.why} |")
    return "\n".join(rows)


def code_table() -> str:
    rows = ["| code | status | meaning |", "|---|---|---|"]
    for code, found in sorted(EXPLANATIONS.items()):
        statuses = ", ".join(str(status) for status in found.statuses)
        rows.append(f"| [`{code}`](../problems/{code}.md) | {statuses} | {found.meaning} |")
    return "\n".join(rows)


def operation_table(operations: Sequence[Operation]) -> str:
    rows = ["| operation | method and path | who | scope | rate |", "|---|---|---|---|---|"]
    for operation in sorted(operations, key=lambda o: (o.tag, o.route, o.method)):
        shown = f"`{operation.method} {operation.route}`"
        scope = f"`{operation.scope}`" if operation.scope else ""
        row = [f"`{operation.id}`", shown, _who(operation), scope, f"`{operation.rate}`"]
        rows.append("| " + " | ".join(row) + " |")
    return "\n".join(rows)


def unrepeated(operations: Sequence[Operation]) -> str:
    """The POST operations that ignore an Idempotency-Key."""
    ignoring = sorted(
        operation.id
        for operation in operations
        if operation.method == "POST" and (operation.raw or not operation.idempotent)
    )
    return textwrap.fill(", ".join(f"`{name}`" for name in ignoring) + ".", 120)


def _who(operation: Operation) -> str:
    who = {
        Auth.NONE: "anybody",
        Auth.OPTIONAL: "anybody; a credential that is there must be good",
        Auth.EITHER: "signed in, or with an access token",
        Auth.TICKET: "signed in, or with an access token or a ticket",
        Auth.MANAGED: "signed in, or with an access token; others 403",
        Auth.ACCESS: "with an access token; others 403",
        Auth.SIGNED: "signed with a key set's secret",
        Auth.SESSION: "signed in",
        Auth.ROLE: ", ".join(role.value for role in operation.roles),
    }[operation.auth]
    return who + ", proved again" if operation.reauth else who


def fill(text: str, parts: Mapping[str, str]) -> str:
    """Replace what stands between the marks of each part."""
    for name, part in parts.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no marks for {name}")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def files(root: Path, operations: Sequence[Operation]) -> dict[Path, str]:
    """Every generated file and what it should hold."""
    found: dict[Path, str] = {
        root / "docs" / "problems" / f"{code}.md": markdown(code, explained)
        for code, explained in EXPLANATIONS.items()
    }
    reference = root / REFERENCE
    tables = {
        "operations": operation_table(operations),
        "rates": rate_table(),
        "unrepeated": unrepeated(operations),
        "codes": code_table(),
    }
    found[reference] = fill(reference.read_text(encoding="utf-8"), tables)
    document: dict[str, Any] = openapi.document(operations)
    found[root / "docs" / "security" / "endpoint-roles.md"] = table(document)
    found[root / "docs" / "security" / "data-classification.md"] = classification.markdown()
    found[root / "web" / "src" / "client" / "gen" / "api.ts"] = types(document)
    return found


def main() -> int:
    from signaling.compose.described import described

    for path, text in files(Path.cwd(), described()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
