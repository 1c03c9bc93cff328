"""Scopes: what a token may be used for, at most; roles and grants narrow it further. Pure.

A token of a first-party sign-in has all of them. `ADMINISTRATION` is never given to a client that
did not ask for it by name, and never to client credentials without its being registered with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SCOPES: dict[str, str] = {
    "account:read": "See your profile, devices and sessions",
    "account:write": "Change your profile, devices and sessions",
    "rooms:read": "See your rooms and their members",
    "rooms:write": "Create and change rooms and their members",
    "messages:read": "Read messages in your rooms",
    "messages:write": "Send, edit and delete messages as you",
    "files:read": "Download files of your rooms",
    "files:write": "Upload files as you",
    "presence:read": "See who is there",
    "presence:write": "Say whether you are there",
    "calls:join": "Join calls as you",
    "access:manage": "Manage key sets and access grants",
    "audit:read": "Read the audit log",
    "admin": "Administer this installation with your roles",
}
"""Each with the sentence that consent pages show."""

ALL = frozenset(SCOPES)
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)  # RFC 6749 appendix A.4
MOST = 64


class UnknownScope(ValueError):  # noqa: N818 - names what happened
    """A scope that does not exist or is not the client's to ask for: `invalid_scope`."""


def parse(text: str, allowed: frozenset[str]) -> frozenset[str]:
    """A space-separated list (RFC 6749 section 3.3). Raises UnknownScope; an empty one too."""
    wanted = text.split(" ")
    if len(wanted) > MOST or not all(_SCOPE.fullmatch(scope) for scope in wanted):
        raise UnknownScope
    if not allowed.issuperset(wanted):
        raise UnknownScope
    return frozenset(wanted)


def spell(scopes: Iterable[str]) -> str:
    return " ".join(sorted(scopes))
