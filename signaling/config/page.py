"""Writes `docs/operations/configuration.md` from the tree.

`python -m signaling.config.page > ...`. Pure text.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import sys
import textwrap
from collections.abc import Iterable
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import msgspec

from signaling.config.rules import POSITIVE, RANGES
from signaling.config.section import Section
from signaling.config.tree import Config
from signaling.secret import Secret

HEAD = """# Configuration

Generated from `signaling/config/tree.py`; do not edit. `python -m signaling.config.page` writes it.

`sotto serve --config sotto.toml` reads a TOML file, then variables of the environment named
`SOTTO_SECTION__KEY` (lists with commas), then flags (`--set section.key=value`); the later wins.
An unknown key, in any of the three, stops the server and is named by its path.
`sotto config check --config sotto.toml` says everything that is wrong with a file.

A secret is never written in the file itself, only where it is: `{ file = "/path" }` or
`{ env = "NAME" }`; or the variable `SOTTO_SECTION__KEY` holds it. It prints as `***` everywhere.

A small production file:

```toml
[http]
listen = ["0.0.0.0:443"]

[tls]
certificate = "/etc/letsencrypt/live/meet.example.org/fullchain.pem"
key = "/etc/letsencrypt/live/meet.example.org/privkey.pem"

[media]
advertise = ["203.0.113.7"]

[turn]
host = "meet.example.org"
secret = { file = "/etc/sotto/turn.secret" }

[keys]
app = { file = "/etc/sotto/app.key" }
```
"""


def render() -> str:
    parts = [HEAD]
    for name, kind in get_type_hints(Config, include_extras=True).items():
        parts.append(_table(name, kind))
    return "\n".join(parts)


def _table(name: str, kind: Any) -> str:
    if dataclasses.is_dataclass(kind):
        return _foreign(name, kind)
    if isinstance(kind, type) and issubclass(kind, Section):
        lines = [
            f"## [{name}]",
            "",
            kind.__doc__ or "",
            "",
            "| key | type | default | meaning |",
            "|---|---|---|---|",
        ]
        hints = get_type_hints(kind, include_extras=True)
        for item in msgspec.structs.fields(kind):
            plain, text = _describe(hints[item.name])
            lines.append(f"| `{item.name}` | {plain} | {_default(item.default)} | {text} |")
        return "\n".join(lines) + "\n"
    _, text = _describe(kind)
    return f'## [{name}]\n\n{text} A table of `name = {{ file = "..." }}`.\n'


def _foreign(name: str, kind: Any) -> str:
    """A table that another room defines: its attribute docstrings are the meanings.

    Errors: KeyError for a key that has none.
    """
    texts = _attribute_texts(kind)
    lines = [f"## [{name}]", "", inspect.getdoc(kind) or "", ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    hints = get_type_hints(kind)
    for item in dataclasses.fields(kind):
        plain = ", ".join([_name(hints[item.name]), *_range(name, item.name)])
        lines.append(f"| `{item.name}` | {plain} | {_default(item.default)} | {texts[item.name]} |")
    return "\n".join(lines) + "\n"


def _range(section: str, key: str) -> list[str]:
    if bounds := RANGES.get(f"{section}.{key}"):
        return [f"≥ {bounds[0]}", f"≤ {bounds[1]}"]
    return ["> 0"] if section in POSITIVE else []


def _attribute_texts(kind: type) -> dict[str, str]:
    """The string after `name: type = value` (PEP 257 calls it an attribute docstring), its own and
    those of the classes it adds to.
    """
    texts: dict[str, str] = {}
    for statement, after in itertools.chain.from_iterable(map(_statements, kind.__mro__[:-1])):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            value = after.value if isinstance(after, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                texts[statement.target.id] = " ".join(value.value.split())
    return texts


def _statements(kind: type) -> Iterable[tuple[ast.stmt, ast.stmt]]:
    """Each with the one after it."""
    body = cast(ast.ClassDef, ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]).body
    return itertools.pairwise(body)


def _describe(kind: Any) -> tuple[str, str]:
    texts: list[str] = []
    bounds: list[str] = []
    while get_origin(kind) is Annotated:
        kind, *metas = get_args(kind)
        for meta in metas:
            if meta.description:
                texts.append(meta.description)
            bounds += [f"{sign} {value}" for sign, value in _bounds(meta) if value is not None]
    return ", ".join([_name(kind), *bounds]), " ".join(texts)


def _bounds(meta: msgspec.Meta) -> list[tuple[str, Any]]:
    return [("≥", meta.ge), (">", meta.gt), ("≤", meta.le)]


def _name(kind: Any) -> str:
    if kind is Secret or Secret in get_args(kind):
        return "secret"
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        tables = isinstance(item, type) and issubclass(item, Section)
        return "list of tables" if tables else "list of strings"
    names = {str: "string", int: "integer", float: "number", bool: "true or false"}
    return names.get(kind) or " or ".join(f"`{choice}`" for choice in get_args(kind))


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(render())
