"""Who may do what with keys: three permissions, and which role holds which by default. Pure.

No role holds all three (promise A13), and no roles that do together are given to one account
(`accounts.roles`), so no one person makes, uses and revokes keys; destruction asks two people
besides. A service has no role and no part in this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from signaling.accounts.principal import Role
from signaling.errors import Code, Refused


class Permission(StrEnum):
    GENERATE = "kms:generate"  # make, activate and rotate keys
    USE = "kms:use"  # have keys wrapped anew
    REVOKE = "kms:revoke"  # disable, enable, schedule, approve and cancel destruction


DEFAULTS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset({Permission.GENERATE, Permission.REVOKE}),
    Role.ADMINISTRATOR: frozenset({Permission.GENERATE, Permission.USE}),
    Role.COMPLIANCE: frozenset({Permission.REVOKE}),
    Role.AUDITOR: frozenset(),
    Role.MEMBER: frozenset(),
    Role.GUEST: frozenset(),
    Role.BOT: frozenset(),
}
READERS = frozenset({Role.OWNER, Role.ADMINISTRATOR, Role.COMPLIANCE, Role.AUDITOR})
"""Who may see the state of keys, which shows no key."""


@dataclass(frozen=True)
class Actor:
    """Who acts: the name in the audit, and the permissions that this person has."""

    name: str
    permissions: frozenset[Permission]
    request_id: str = ""
    address: str = ""
    token_id: str = ""

    def require(self, permission: Permission) -> None:
        if permission not in self.permissions:
            raise Refused(Code.NOT_PERMITTED, 403, "Your role does not allow this.")


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    return frozenset().union(*(DEFAULTS[role] for role in roles))


def holds_all(roles: Iterable[Role]) -> bool:
    return permissions_of(roles) == frozenset(Permission)


OPERATOR = Actor("operator:shell", frozenset({Permission.GENERATE, Permission.USE}))
"""Whoever has a shell on the server. May stop everything anyhow, but is one person, and cannot
pass for two: revocation goes through accounts.
"""
