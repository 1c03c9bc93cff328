"""Which events by a JSONPath (RFC 9535): those of which it selects anything. Pure.

Short, strict, without the functions that take patterns (`match`, `search`), and with one descendant
segment at most; so many nodes are looked at for one event, and what needs more selects nothing.
Its library is loaded by who has such a filter.
"""

from __future__ import annotations

import functools
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError, JSONPathMatch
from jsonpath.token import TOKEN_DDOT

# Of an envelope, which has a few dozen nodes.
MOST_NODES = 1000
FUNCTIONS = frozenset({"length", "count", "value"})


class _Costly(Exception):  # noqa: N818 - names what happened
    """Too many nodes were looked at."""


class _Node(JSONPathMatch):
    """Counts itself. `left` is of the evaluation that runs now: none waits for anything."""

    __slots__ = ()
    left = 0

    def __init__(self, **given: Any) -> None:
        _Node.left -= 1
        if _Node.left < 0:
            raise _Costly
        super().__init__(**given)


class _Environment(JSONPathEnvironment):
    match_class = _Node

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        for name in set(self.function_extensions) - FUNCTIONS:
            del self.function_extensions[name]


_ENVIRONMENT = _Environment(strict=True)


@functools.lru_cache(maxsize=256)
def compiled(text: str) -> JSONPath:
    """Raises ValueError for what is no such path."""
    try:
        if sum(token.kind == TOKEN_DDOT for token in _ENVIRONMENT.lexer.tokenize(text)) > 1:
            raise ValueError("one descendant segment (`..`) is the most")
        found = _ENVIRONMENT.compile(text)
    except (JSONPathError, RecursionError) as error:
        # What the library says of it may hold all of it.
        raise ValueError(f"no JSONPath: {type(error).__name__}") from None
    if not isinstance(found, JSONPath):
        raise ValueError("one JSONPath, not several")
    return found


def selects(text: str, envelope: dict[str, Any]) -> bool:
    """Anything of it."""
    _Node.left = MOST_NODES
    try:
        return next(iter(compiled(text).finditer(envelope)), None) is not None
    except (_Costly, JSONPathError, RecursionError):
        return False
