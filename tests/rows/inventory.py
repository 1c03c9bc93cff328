"""docs/security/field-inventory.md: every field that is stored, read off the types that store it.

`python -m tests.rows.inventory` writes it. A field that is new makes tests/house fail until
somebody looked at the page and wrote it anew; a store with a kind that is not in it fails row C27.
"""

from __future__ import annotations

import ast
import importlib
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeGuard

import msgspec

from signaling.chat.account_ops import AccountEntry
from signaling.chat.ops import Entry
from signaling.compliance.audit.entry import Record, SignedHead
from signaling.compliance.audit.forward.forwarder import Cursors
from signaling.compliance.audit.signer import Pair
from signaling.http.api.classification import TABLE, Kept
from signaling.keys.lifecycle import KeySet
from signaling.storage.apart import Mark
from tests.rows.recorder import ROOT

PAGE = ROOT / "docs" / "security" / "field-inventory.md"
HEAD = """# Field inventory

Made by `python -m tests.rows.inventory` from the types that are stored; tests fail when a field or
a kind is missing here (row C27). What protects each kind and how long it stays is in
[data-classification.md](data-classification.md). `[]`: of each in a list; `{}`: of each by name.

"""
# Kinds that are no rows of a `Table`: their type, or what they hold in words.
OTHERS: dict[str, Any] = {
    "key": KeySet, "audit_signer": Pair, "audit_head": SignedHead, "audit_sink": Cursors,
    "key_app": "name of an app", "audit_app": "name of an app", "audit_floor": "a number",
    "lease": "name of a process", "acme_challenge": "the authority's challenge",
    "access.nonce": "a digest", "keys_apart": Mark, "key_pair": Mark,
}  # fmt: skip
LOGS: dict[str, tuple[str, Any]] = {
    "Log of a room": ("Messages, and what happened to them and to the room", Entry),
    "Log of an account": ("What is an account's own, the same on its devices", AccountEntry),
    "Log of the audit": ("Who did what", Record),
}


@dataclass
class Stored:
    """One kind. `type` is its row's, or words."""

    type: Any
    fields: list[str] = field(default_factory=list)
    kept: Kept | None = None


def inventory() -> dict[str, Stored]:
    """By kind."""
    found = {kind: Stored(row) for kind, row in (*_tables(), *OTHERS.items())}
    about = {kind: kept for kept in TABLE for kind in kept.kinds}
    for kind, stored in found.items():
        stored.kept = about.get(kind)
        stored.fields = fields_of(stored.type)
    return dict(sorted(found.items()))


def fields_of(type: Any) -> list[str]:  # noqa: A002 - what it is
    if isinstance(type, str):
        return [type]
    return list(dict.fromkeys(_leaves("", msgspec.inspect.type_info(type), ())))


def _tables() -> Iterator[tuple[str, Any]]:
    """Of every `Table(store, kind, type, ...)` below signaling."""
    for path in sorted((ROOT / "signaling").rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if _is_table(node)]
        if not calls:
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = importlib.import_module(name)
        for call in calls:
            yield str(_value(module, call.args[1])), _value(module, call.args[2])


def _is_table(node: ast.AST) -> TypeGuard[ast.Call]:
    called = getattr(node, "func", None)
    named = getattr(getattr(called, "value", called), "id", None)
    return isinstance(node, ast.Call) and named == "Table" and len(node.args) >= 3


def _value(module: ModuleType, node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Attribute):
        return getattr(_value(module, node.value), node.attr)
    assert isinstance(node, ast.Name), ast.dump(node)
    return getattr(module, node.id)


def _leaves(at: str, found: Any, above: tuple[Any, ...]) -> Iterator[str]:
    """What lies in a value, by name; `above` are the types that it is inside of."""
    kinds = msgspec.inspect
    if isinstance(found, kinds.Metadata):
        yield from _leaves(at, found.type, above)
    elif isinstance(found, kinds.UnionType):
        for one in found.types:
            yield from _leaves(at, one, above)
    elif isinstance(found, kinds.StructType | kinds.DataclassType):
        if found.cls in above:
            return
        for member in found.fields:
            below = f"{at}.{member.name}" if at else member.name
            yield from _leaves(below, member.type, (*above, found.cls))
    elif isinstance(found, kinds.CollectionType):
        yield from _leaves(f"{at}[]", found.item_type, above)
    elif isinstance(found, kinds.TupleType):
        for one in found.item_types:
            yield from _leaves(f"{at}[]", one, above)
    elif isinstance(found, kinds.DictType):
        yield from _leaves(f"{at}{{}}", found.value_type, above)
    elif not isinstance(found, kinds.NoneType):
        yield at


def render() -> str:
    parts = []
    for kind, stored in inventory().items():
        kept = stored.kept
        said = f"{kept.what} (*{kept.level.value}*)." if kept else "Not classified."
        parts.append(_part(f"`{kind}`", said, stored.fields))
    for name, (what, type_) in LOGS.items():
        parts.append(_part(name, f"{what}.", fields_of(type_)))
    return HEAD + "\n".join(parts)


def _part(title: str, said: str, fields: list[str]) -> str:
    listed = ", ".join(f"`{name}`" if " " not in name else name for name in fields)
    lines = textwrap.fill(listed, 118, break_long_words=False, break_on_hyphens=False)
    return f"## {title}\n\n{said}\n\n{lines}\n"


if __name__ == "__main__":
    PAGE.write_text(render())
