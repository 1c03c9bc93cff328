"""Requests made from the OpenAPI document alone: of every operation, with any value in any field.

So a new operation or field takes part in the proofs without being named there. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PARAMETER = re.compile(r"\{([a-z_]+)\}")
NOBODY = "01a00000-0000-7000-8000-000000000000"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
Schema = Mapping[str, Any]
Fill = Callable[[str, Schema], Any]
"""The value of a leaf, by where it stands (`/labels/0`) and its schema."""


@dataclass(frozen=True)
class Wanted:
    """One operation, and what it says of its requests."""

    id: str
    method: str
    path: str
    kind: str  # media type of its body, "" without one
    body: Schema
    query: tuple[tuple[str, Schema], ...]
    access: Mapping[str, Any]
    answers: tuple[Schema, ...]

    def at(self, parameter: str = NOBODY) -> str:
        return PARAMETER.sub(parameter, self.path)


def operations(document: Mapping[str, Any]) -> list[Wanted]:
    return [
        _wanted(method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _wanted(method: str, path: str, operation: Mapping[str, Any]) -> Wanted:
    content = operation.get("requestBody", {}).get("content", {})
    kind = next(iter(content), "")
    parameters = operation.get("parameters", ())
    return Wanted(
        id=operation["operationId"],
        method=method,
        path=path,
        kind=kind,
        body=content[kind]["schema"] if kind else {},
        query=tuple((p["name"], p["schema"]) for p in parameters if p["in"] == "query"),
        access=operation["x-sotto-access"],
        answers=tuple(
            media["schema"]
            for status, answer in operation["responses"].items()
            if status[0] == "2"
            for media in answer.get("content", {}).values()
            if "schema" in media
        ),
    )


class Shapes:
    """Follows references of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]

    def plain(self, schema: Schema) -> Schema:
        """Without references, and the first that is not null of several."""
        while True:
            if "$ref" in schema:
                schema = self._schemas[schema["$ref"].rpartition("/")[2]]
            elif several := schema.get("anyOf") or schema.get("oneOf"):
                schema = next(one for one in several if one.get("type") != "null")
            else:
                return schema

    def made(self, schema: Schema, fill: Fill, where: str = "") -> Any:
        """A whole value, every property included."""
        schema = self.plain(schema)
        kind = schema.get("type")
        if "enum" in schema or "const" in schema or kind in ("boolean", "integer", "number"):
            return fill(where, schema)
        if kind == "object" or "properties" in schema:
            properties = schema.get("properties")
            if properties is None:
                return {"x": fill(f"{where}/x", {"type": "string"})}
            return {n: self.made(s, fill, f"{where}/{n}") for n, s in properties.items()}
        if kind == "array":
            items = schema.get("items") or {"type": "string"}
            return [self.made(items, fill, f"{where}/0")]
        return fill(where, schema)

    def properties(self, schema: Schema) -> Iterator[tuple[str, Schema]]:
        """Every named property below, with its own schema."""
        yield from self._properties(schema, ())

    def _properties(self, schema: Schema, above: tuple[str, ...]) -> Iterator[tuple[str, Schema]]:
        if name := schema.get("$ref", "").rpartition("/")[2]:
            if name not in above:
                yield from self._properties(self._schemas[name], (*above, name))
            return
        items = [schema["items"]] if schema.get("items") else []
        for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *items):
            yield from self._properties(part, above)
        for name, inner in schema.get("properties", {}).items():
            yield name, inner
            yield from self._properties(inner, above)


def usual(where: str, schema: Schema) -> Any:
    """Something that fits, for what is no text of its own."""
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "boolean":
        return False
    if schema.get("type") in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    return "x" * max(1, schema.get("minLength", 1))
