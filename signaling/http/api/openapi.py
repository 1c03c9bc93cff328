"""OpenAPI 3.1 out of the operations: the schemas are those that validate the requests. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from signaling.errors import Code
from signaling.http.api.explanations import EXPLANATIONS
from signaling.http.api.operation import PARAMETER, Auth, Operation
from signaling.http.api.other_routes import OTHER
from signaling.http.api.rates import RATES
from signaling.http.problem import TITLES

REFERENCE = "#/components/schemas/{name}"
INFO = {
    "title": "Sotto",
    "version": "1",
    "summary": "The HTTP API of a Sotto server.",
    "description": (
        "Errors are `application/problem+json` (RFC 9457); their `type` leads to a page that "
        "explains the code. Clients must ignore members of answers that they do not know."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
# The status of every code that the framework itself answers, and for whom.
ALWAYS: dict[str, int] = {
    Code.BAD_REQUEST: 400,
    Code.TLS_REQUIRED: 400,
    Code.PARAMETER_DUPLICATED: 400,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.FIELDS_INVALID: 422,
    Code.RATE_LIMITED: 429,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
}
SESSION: dict[str, int] = {
    Code.TOKEN_MISSING: 401,
    Code.TOKEN_INVALID: 401,
    Code.TOKEN_EXPIRED: 401,
    Code.TOKEN_REVOKED: 401,
    Code.ORIGIN_REFUSED: 403,
}
# The credentials of which one will do (OpenAPI 3.1, section 4.8.30).
SECURITY: dict[Auth, tuple[tuple[str, ...], ...]] = {
    Auth.NONE: (),
    Auth.OPTIONAL: ((), ("bearer",), ("cookie",), ("access",)),
    Auth.EITHER: (("bearer",), ("cookie",), ("access",)),
    Auth.TICKET: (("bearer",), ("cookie",), ("access",), ("ticket",)),
    Auth.MANAGED: (("bearer",), ("cookie",), ("access",)),
    Auth.ACCESS: (("access",),),
    Auth.SIGNED: (("signature",),),
    Auth.SESSION: (("bearer",), ("cookie",)),
    Auth.ROLE: (("bearer",), ("cookie",)),
}
BODY: dict[str, int] = {
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
}
IDEMPOTENT: dict[str, int] = {
    Code.IDEMPOTENCY_IN_FLIGHT: 409,
    Code.IDEMPOTENCY_MISMATCH: 422,
}


class FieldProblem(msgspec.Struct, frozen=True):
    """One field at fault: a JSON Pointer (RFC 6901) into the body, or to a parameter."""

    pointer: str
    code: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457. `code` is stable; `detail` is for people and may change."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str = ""
    errors: tuple[FieldProblem, ...] = ()


class OAuthRefusal(msgspec.Struct, frozen=True):
    """RFC 6749 section 5.2, of the endpoints that it describes."""

    error: str
    error_description: str


def codes_of(operation: Operation) -> dict[str, int]:
    """Every code that the operation may answer, with its status."""
    found: dict[str, int] = dict(ALWAYS)
    if operation.reads_credentials:
        found.update(SESSION)
    if operation.unsafe and not operation.any_origin:
        found[Code.ORIGIN_REFUSED] = 403
    if operation.auth is Auth.ROLE:
        found[Code.NOT_PERMITTED] = 403
    if operation.scope is not None:
        found[Code.INSUFFICIENT_SCOPE] = 403
    if operation.reauth:
        found[Code.REAUTHENTICATION_REQUIRED] = 403
    if operation.body is not None or (operation.raw and operation.unsafe):
        found.update(BODY)
    if operation.method == "POST" and operation.idempotent:
        found.update(IDEMPOTENT)
    if operation.paged:
        found[Code.CURSOR_INVALID] = 400
    if operation.if_match:
        found |= {Code.PRECONDITION_FAILED: 412, Code.PRECONDITION_REQUIRED: 428}
    for code in operation.errors:
        found.setdefault(code, EXPLANATIONS[code].statuses[0] if code in EXPLANATIONS else 422)
    return {str(code): status for code, status in found.items()}


def document(operations: Sequence[Operation], server: str = "/") -> dict[str, Any]:
    """The whole document. `server` is what the paths are relative to."""
    kinds = [*_types(operations), Problem, OAuthRefusal]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    by_type = dict(zip(map(_name, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        at = paths.setdefault(operation.route, {})
        at[operation.method.lower()] = _operation(operation, by_type, components)
    for operation in operations:
        # Shown as parameters; nothing refers to the type itself.
        components.pop(getattr(operation.query, "__name__", ""), None)
    tags = sorted({operation.tag for operation in operations if operation.tag})
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": server}],
        "tags": [{"name": tag} for tag in tags],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-sotto"},
                "access": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the Access Manager, am_...",
                },
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
                "signature": {"type": "apiKey", "in": "query", "name": "signature"},
            },
        },
        "x-sotto-rates": {name: _rate(name) for name in RATES},
        "x-sotto-other-routes": {
            path: {"methods": sorted(methods), "specification": what}
            for path, (methods, what) in OTHER.items()
        },
    }


def _rate(name: str) -> dict[str, Any]:
    rate = RATES[name]
    return {"requests": rate.count, "seconds": rate.seconds, "burst": rate.burst, "for": rate.why}


def _types(operations: Iterable[Operation]) -> list[Any]:
    found: dict[str, Any] = {}
    for operation in operations:
        for kind in (operation.body, operation.query, operation.answer):
            if kind is not None:
                found[_name(kind)] = kind
    return list(found.values())


def _name(kind: Any) -> str:
    """Two types of one name and module would be one schema; msgspec refuses that itself."""
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', kind)!s}"


def _operation(
    operation: Operation, by_type: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": _parameters(operation, by_type, components),
        "responses": _responses(operation, by_type),
        "x-sotto-access": {
            "auth": operation.auth.value,
            "roles": sorted(role.value for role in operation.roles),
            "scope": operation.scope,
            "reauthentication": operation.reauth,
        },
        "x-sotto-rate": operation.rate,
    }
    if operation.raw:
        shown["x-sotto-raw"] = True
    if operation.description:
        shown["description"] = operation.description
    if operation.tag:
        shown["tags"] = [operation.tag]
    shown["security"] = [{name: [] for name in one} for one in SECURITY[operation.auth]]
    if operation.body is not None:
        kind = "application/x-www-form-urlencoded" if operation.form else "application/json"
        content = {kind: {"schema": by_type[_name(operation.body)]}}
        shown["requestBody"] = {"required": True, "content": content}
    return shown


def _parameters(
    operation: Operation, by_type: dict[str, Any], components: dict[str, Any]
) -> list[dict[str, Any]]:
    text = {"type": "string", "minLength": 1}
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in PARAMETER.findall(operation.route)
    ]
    if operation.query is not None:
        schema = by_type[_name(operation.query)]
        schema = components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        required = schema.get("required", ())
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": part}
            for name, part in schema.get("properties", {}).items()
        ]
    if operation.paged:
        limit = {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}
        found.append({"name": "limit", "in": "query", "schema": limit})
        found.append({"name": "cursor", "in": "query", "schema": {"type": "string"}})
    if operation.if_match:
        found.append({"name": "If-Match", "in": "header", "required": True, "schema": text})
    if operation.method == "POST" and operation.idempotent:
        key = {"type": "string", "pattern": '^"?[!#-\\[\\]-~]{1,128}"?$'}
        found.append({"name": "Idempotency-Key", "in": "header", "schema": key})
    return found


def _responses(operation: Operation, by_type: dict[str, Any]) -> dict[str, Any]:
    title = TITLES.get(operation.status, "Done")
    answer: dict[str, Any] = {"description": title if operation.status >= 400 else "Done"}
    if operation.answer is not None:
        schema = by_type[_name(operation.answer)]
        shown = _envelope(schema) if operation.paged else schema
        answer["content"] = {operation.answer_type: {"schema": shown}}
    elif operation.answer_type != "application/json":
        answer["content"] = {operation.answer_type: {}}
    found: dict[str, Any] = {str(operation.status): answer}
    if operation.again:
        found[str(operation.again)] = {**answer, "description": "It was there already"}
    by_status: dict[int, list[str]] = {}
    for code, status in codes_of(operation).items():
        # One that the operation names itself may come with each of its statuses.
        own = EXPLANATIONS[Code(code)].statuses if code in operation.errors else ()
        for each in {status, *own}:
            by_status.setdefault(each, []).append(code)
    problem = {"$ref": REFERENCE.format(name="Problem")}
    reference: dict[str, Any] = {"schema": problem}
    if operation.problem_type == "application/json":  # what comes before OAuth is ours
        refusal = {"$ref": REFERENCE.format(name="OAuthRefusal")}
        reference = {"schema": {"anyOf": [refusal, problem]}}
    for status, codes in sorted(by_status.items()):
        found[str(status)] = {
            "description": f"{TITLES.get(status, 'Refused')}: {', '.join(sorted(codes))}",
            "content": {operation.problem_type: reference},
        }
    return found


def _envelope(item: dict[str, Any]) -> dict[str, Any]:
    cursor = {"type": ["string", "null"]}
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": item},
            "next_cursor": cursor,
            "prev_cursor": cursor,
        },
        "required": ["items", "next_cursor", "prev_cursor"],
    }
