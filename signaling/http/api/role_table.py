"""The endpoint by role table: what each kind of person meets at each operation before its handler.

Made from what the operations declare, published in docs/security/endpoint-roles.md and checked
against a server, cell by cell (`tests/signaling/http/test_roles.py`). Whose object it is comes
after that: what belongs to others is answered like what does not exist. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from signaling.accounts.principal import Role
from signaling.http.api.operation import Auth


class Cell(StrEnum):
    """The answer, by the code that it carries."""

    ADMITTED = "admitted"
    UNKNOWN = "401"
    DENIED = "403"
    SIGNED = "signature"  # a request signed with a key set's secret, whoever sends it


# Whom the table asks about, and the roles that they have. None: no session that holds.
PEOPLE: Mapping[str, frozenset[Role] | None] = {
    "anonymous": None,
    "guest": frozenset({Role.GUEST}),
    "member": frozenset({Role.MEMBER}),
    "auditor": frozenset({Role.AUDITOR}),
    "compliance": frozenset({Role.COMPLIANCE}),
    "administrator": frozenset({Role.ADMINISTRATOR}),
    "owner": frozenset({Role.OWNER}),
    "revoked": None,
}


# The Access Manager's own plane: who asks is whoever has the secret key.
SIGNED = "/v3/pam/"


def cell(path: str, access: Mapping[str, Any], person: str) -> Cell:
    """`access` is `x-sotto-access` of the OpenAPI document."""
    if path.startswith(SIGNED):
        return Cell.SIGNED
    auth, roles = Auth(access["auth"]), PEOPLE[person]
    if auth is Auth.NONE:
        return Cell.ADMITTED
    if roles is None:
        # A credential that is there must hold, also where none is needed.
        optional = auth is Auth.OPTIONAL and person == "anonymous"
        return Cell.ADMITTED if optional else Cell.UNKNOWN
    if auth is Auth.ROLE and roles.isdisjoint(access["roles"]):
        return Cell.DENIED
    return Cell.ADMITTED


HEAD = """# Endpoint by role

Made by `python -m signaling.http.api.pages` from what the operations declare; every cell is checked
against a server by `tests/signaling/http/test_roles.py`. `yes`: admitted to the operation, which
then decides by whose object it is. `signature`: signed with a key set's secret, whoever sends it.
A first-party session has every scope; tokens of other clients also meet 403 `insufficient_scope`.
"proved": the person must have signed in within `api.reauth_seconds`.
"""


def table(document: Mapping[str, Any]) -> str:
    rows = [
        "| operation | " + " | ".join(PEOPLE) + " | scope | |",
        "|---|" + "---|" * (len(PEOPLE) + 2),
    ]
    for path, methods in document["paths"].items():
        for method, operation in sorted(methods.items()):
            access = operation["x-sotto-access"]
            cells = [_shown(cell(path, access, person)) for person in PEOPLE]
            scope = f"`{access['scope']}`" if access["scope"] else ""
            proved = "proved" if access["reauthentication"] else ""
            name = f"`{method.upper()} {path}`"
            rows.append("| " + " | ".join([name, *cells, scope, proved]) + " |")
    return HEAD + "\n" + "\n".join(rows) + "\n"


def _shown(found: Cell) -> str:
    return "yes" if found is Cell.ADMITTED else found.value


def operations_of(document: Mapping[str, Any]) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
