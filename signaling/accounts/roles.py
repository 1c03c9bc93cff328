"""Who may give which role, and whose account somebody may administer (pure).

An administrator keeps accounts, not secrets: who may read the audit or hold compliance duties is
for owners to say, and no administrator can reset their way into such an account. Nobody, owners
included, gives one account roles that make, use and revoke keys together (promise A13).
"""

from __future__ import annotations

from collections.abc import Iterable

from signaling.accounts.principal import Role
from signaling.errors import Code, Refused
from signaling.keys.permissions import holds_all

STAFF = frozenset({Role.OWNER, Role.ADMINISTRATOR, Role.AUDITOR, Role.COMPLIANCE})
ADMINISTERED = frozenset({Role.ADMINISTRATOR, Role.MEMBER, Role.GUEST, Role.BOT})
GIVABLE = frozenset(Role) - {Role.GUEST, Role.BOT}  # those two are kinds of account, not gifts


def require_manage(actor: Iterable[Role], target: Iterable[Role]) -> None:
    """Raises Refused (403) unless the actor may disable, reset or delete such an account."""
    mine, theirs = set(actor), set(target)
    if Role.OWNER in mine or (Role.ADMINISTRATOR in mine and theirs <= ADMINISTERED):
        return
    raise Refused(Code.NOT_PERMITTED, 403, "Your role does not allow this.")


def require_give(actor: Iterable[Role], before: Iterable[Role], after: Iterable[Role]) -> None:
    """Raises Refused (403) unless the actor may change an account's roles so."""
    require_manage(actor, before)
    given = set(after) - set(before)
    if not given <= GIVABLE:
        raise Refused(Code.NOT_PERMITTED, 403, "This role is not given to accounts that exist.")
    require_manage(actor, after)
    if holds_all(after):
        text = "Together these roles make, use and revoke keys; give them to two accounts."
        raise Refused(Code.NOT_PERMITTED, 403, text)
