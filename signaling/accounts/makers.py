"""Whoever made a link must still be allowed to give what it gives when somebody follows it.

Asked at each use, so that a link ends with the rights of its maker and comes back with them; one
that its maker could not make today is answered like one that never was.
"""

from __future__ import annotations

from signaling.accounts.links import invalid
from signaling.accounts.model import Account, Link, Purpose
from signaling.accounts.principal import Role
from signaling.accounts.registry import Registry
from signaling.accounts.roles import require_give, require_manage
from signaling.errors import Refused

SYSTEM, MAIL, OPERATOR = "system", "mail", "operator"
_NOBODY = frozenset({SYSTEM, MAIL, OPERATOR})
"""Not accounts: the server itself, a letter to whom it is about, and the command line."""


async def require_maker(
    registry: Registry, app: str, link: Link, about: Account | None = None
) -> None:
    """`about`: whom a reset is for. Raises ClientError 404."""
    if link.maker in _NOBODY:
        return
    maker = await registry.get(app, link.maker)
    if maker is None or maker.disabled:
        raise invalid()
    try:
        if about is not None:
            require_manage(maker.roles, about.roles)
        else:
            gives = () if link.purpose is Purpose.GUEST else link.roles
            require_give(maker.roles, (), gives or (Role.MEMBER,))
    except Refused:
        raise invalid() from None
