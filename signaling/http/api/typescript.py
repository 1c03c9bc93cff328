"""TypeScript types for the web client out of the OpenAPI document. Pure.

`python -m signaling.http.api.pages` writes them to web/src/client/gen/api.ts; a test compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

HEAD = """// Made by `python -m signaling.http.api.pages` from the server's operations. Do not edit.
// Types only: what the HTTP API takes and answers, by operation.
"""
_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_BASIC = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def types(document: Mapping[str, Any]) -> str:
    """The whole file, as prettier would write it."""
    parts = [HEAD]
    for name, schema in document["components"]["schemas"].items():
        parts.append(_declaration(name, schema))
    parts.append(_operations(document["paths"]))
    return "\n".join(parts)


def _declaration(name: str, schema: Mapping[str, Any]) -> str:
    if schema.get("type") == "object" and schema.get("properties"):
        return f"export interface {_identifier(name)} {_object(schema, '')}\n"
    return f"export type {_identifier(name)} = {_type(schema, '')};\n"


def _identifier(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def _type(schema: Mapping[str, Any], indent: str) -> str:
    if "$ref" in schema:
        return _identifier(schema["$ref"].rpartition("/")[2])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(_type(part, indent) for part in schema[union]))
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    if "const" in schema:
        return _literal(schema["const"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_BASIC[part] for part in kind)
    if kind == "array":
        return _array(schema, indent)
    if kind == "object":
        return _object(schema, indent)
    return _BASIC.get(str(kind), "unknown")


def _literal(value: object) -> str:
    if isinstance(value, str):
        return "'" + json.dumps(value, ensure_ascii=False)[1:-1].replace("'", "\\'") + "'"
    return json.dumps(value)


def _array(schema: Mapping[str, Any], indent: str) -> str:
    if "prefixItems" in schema:
        return "readonly [" + ", ".join(_type(p, indent) for p in schema["prefixItems"]) + "]"
    items = schema.get("items")
    inner = _type(items, indent) if isinstance(items, Mapping) else "unknown"
    compound = " | " in inner or inner.startswith("readonly ")
    return f"readonly ({inner})[]" if compound else f"readonly {inner}[]"


def _object(schema: Mapping[str, Any], indent: str) -> str:
    properties = schema.get("properties")
    if not properties:
        more = schema.get("additionalProperties")
        value = _type(more, indent) if isinstance(more, Mapping) and more else "unknown"
        return f"Readonly<Record<string, {value}>>"
    required = set(schema.get("required", ()))
    inside = indent + "  "
    lines = []
    for name, part in properties.items():
        mark = "" if name in required else "?"
        shown = name if _PLAIN.fullmatch(name) else _literal(name)
        lines.append(f"{inside}readonly {shown}{mark}: {_type(part, inside)};")
    return "{\n" + "\n".join(lines) + f"\n{indent}}}"


def _operations(paths: Mapping[str, Any]) -> str:
    found: dict[str, str] = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            found[operation["operationId"]] = _operation(path, method, operation)
    lines = [f"  {name}: {shown};" for name, shown in sorted(found.items())]
    about = "/** Every operation: where it is, what it takes, what it answers. */\n"
    return about + "export interface Operations {\n" + "\n".join(lines) + "\n}\n"


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    fields = [f"method: '{method.upper()}'", f"path: '{path}'"]
    fields.append(f"body: {_content(operation.get('requestBody'))}")
    parameters = [p for p in operation["parameters"] if p["in"] == "query"]
    fields.append(f"query: {_query(parameters)}")
    good = next(r for s, r in operation["responses"].items() if s < "400")
    fields.append(f"answer: {_content(good)}")
    return "{\n" + "".join(f"    {field};\n" for field in fields) + "  }"


def _content(holder: Mapping[str, Any] | None) -> str:
    content = (holder or {}).get("content", {})
    for kind, media in content.items():
        if kind == "application/json" or kind.endswith("form-urlencoded"):
            return _type(media.get("schema", {}), "    ")
    return "undefined" if not content else "Blob"


def _query(parameters: list[Mapping[str, Any]]) -> str:
    if not parameters:
        return "undefined"
    schema = {
        "type": "object",
        "properties": {p["name"]: p["schema"] for p in parameters},
        "required": [p["name"] for p in parameters if p.get("required")],
    }
    return _object(schema, "    ")
