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


# Whom the table asks about, and the roles that they have. None: no session that holds; the last one
# brings a token of the Access Manager instead.
PEOPLE: Mapping[str, frozenset[Role] | None] = {
    "anonymous": None,
    "guest": frozenset({Role.GUEST}),
    "member": frozenset({Role.MEMBER}),
    "auditor": frozenset({Role.AUDITOR}),
    "compliance": frozenset({Role.COMPLIANCE}),
    "administrator": frozenset({Role.ADMINISTRATOR}),
    "owner": frozenset({Role.OWNER}),
    "revoked": None,
    "access token": None,
}


BEARER = "access token"
# Where an access token is as good as a session, or the only way in.
_BY_TOKEN = frozenset({Auth.OPTIONAL, Auth.EITHER, Auth.TICKET, Auth.MANAGED, Auth.ACCESS})
_PLANE = frozenset({Auth.MANAGED, Auth.ACCESS})  # nobody is 403 there (row B23)


def cell(access: Mapping[str, Any], person: str) -> Cell:
    """`access` is `x-sotto-access` of the OpenAPI document."""
    auth, roles = Auth(access["auth"]), PEOPLE[person]
    if auth is Auth.SIGNED:
        return Cell.SIGNED
    if auth is Auth.NONE:
        return Cell.ADMITTED
    if person == BEARER:
        return Cell.ADMITTED if auth in _BY_TOKEN else Cell.UNKNOWN
    if person == "anonymous" and auth in _PLANE:
        return Cell.DENIED
    if roles is None:
        # A credential that is there must hold, also where none is needed.
        optional = auth is Auth.OPTIONAL and person == "anonymous"
        return Cell.ADMITTED if optional else Cell.UNKNOWN
    if auth is Auth.ACCESS or (auth is Auth.ROLE and roles.isdisjoint(access["roles"])):
        return Cell.DENIED
    return Cell.ADMITTED


# Of one's own, or open to everybody: the path names a person, not a thing of theirs. Or it holds
# what opens it: who was erased has no account to ask with, only the id of the erasure.
ABOUT = (
    "/api/v1/blocks/{account_id}", "/api/v1/presence/{account_id}",
    "/api/v1/erasures/{erasure_id}", "/api/v1/erasures/{erasure_id}/certificate",
)  # fmt: skip


def others(path: str, access: Mapping[str, Any]) -> str:
    """A member asks for what is another's: refused like everybody without the role, told that it
    is not there, or there is nothing in the path that could be another's."""
    open_to_all = Auth(access["auth"]) in (Auth.NONE, Auth.SIGNED)
    if open_to_all or "{" not in path or path in ABOUT:
        return ""
    return "403" if cell(access, "member") is Cell.DENIED else "as nobody's"


# What is no operation: LiveKit's sockets and server API, WHIP and WHEP. Cells by the token that
# somebody brings there: a call token of their own, for the room that it names.
CALLS: Mapping[str, str] = {
    "GET /rtc": "socket", "GET /rtc/v1": "socket", "GET /rtc/validate": "socket",
    "GET /rtc/v1/validate": "socket", "POST /whip/{room}": "socket", "POST /whep/{room}": "socket",
    "PATCH /whip/{room}/{session}": "session", "DELETE /whip/{room}/{session}": "session",
    "PATCH /whep/{room}/{session}": "session", "DELETE /whep/{room}/{session}": "session",
    "POST /twirp/livekit.RoomService/*": "server",
}  # fmt: skip
# With a call token; without one; with one that was taken back; for a room or session that is
# another's; with a session's token instead.
CALL_CELLS: Mapping[str, tuple[str, str, str, str, str]] = {
    "socket": ("yes", "401", "401", "401", "401"),
    "session": ("yes", "401", "401", "404", "401"),
    "server": ("401", "401", "401", "401", "401"),
}

CALL_HEAD = """
## Calls

LiveKit's sockets, its server API, WHIP and WHEP read neither cookies nor session tokens: a call
token says who comes into which room. Guests get one for the room of their link, everybody else who
may join calls (`POST /api/v1/calls/tokens`), whatever their role. Every door asks whether the token
still stands, and what its owner may now. Twirp takes tokens that the operator's application signs
with grants of its own, and for the one room that of who may moderate it now
(`tests/signaling/sessions/test_call_rights.py`). Checked by `tests/proofs/test_roles.py`.

| surface | anonymous | guest | every other role | other's | revoked | session token |
|---|---|---|---|---|---|---|
"""


def calls_table() -> str:
    rows = []
    for surface, kind in CALLS.items():
        own, none, revoked, other, session = CALL_CELLS[kind]
        cells = (f"`{surface}`", none, own, own, other, revoked, session)
        rows.append("| " + " | ".join(cells) + " |")
    return CALL_HEAD + "\n".join(rows) + "\n"


HEAD = """# Endpoint by role

Made by `python -m signaling.http.api.pages` from what the operations declare; every cell is checked
against a server by `tests/signaling/http/test_roles.py`. `yes`: admitted to the operation, which
then decides by whose object it is. `signature`: signed with a key set's secret, whoever sends it.
`access token`: a bearer of one of the Access Manager's, with every permission.
`other's`: a member asks for what another has; `as nobody's`, the answer for an id that nothing has,
is checked by `tests/proofs/test_roles.py`.
A first-party session has every scope; tokens of other clients also meet 403 `insufficient_scope`.
"proved": a person, and no program for them, must have signed in within `api.reauth_seconds`.
"""


def table(document: Mapping[str, Any]) -> str:
    rows = [
        "| operation | " + " | ".join(PEOPLE) + " | other's | scope | |",
        "|---|" + "---|" * (len(PEOPLE) + 3),
    ]
    for path, methods in document["paths"].items():
        for method, operation in sorted(methods.items()):
            access = operation["x-sotto-access"]
            cells = [_shown(cell(access, person)) for person in PEOPLE]
            scope = f"`{access['scope']}`" if access["scope"] else ""
            proved = "proved" if access["reauthentication"] else ""
            name = f"`{method.upper()} {path}`"
            rows.append(
                "| " + " | ".join([name, *cells, others(path, access), scope, proved]) + " |"
            )
    return HEAD + "\n" + "\n".join(rows) + "\n" + calls_table()


def _shown(found: Cell) -> str:
    return "yes" if found is Cell.ADMITTED else found.value


def operations_of(document: Mapping[str, Any]) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
