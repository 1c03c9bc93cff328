"""Who is asking: what every decision about a request, a socket or a call starts from.

Not the evaluation of what they may do (`signaling.access`), and not the sign-in. Pure: made by an
`Authenticator` out of the store, handed to handlers, never changed; a later look makes a new one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from signaling.errors import Code, Refused

if TYPE_CHECKING:
    from aiohttp import web


class Role(StrEnum):
    """What an account is in its app; an account may have several."""

    OWNER = "owner"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    COMPLIANCE = "compliance"
    MEMBER = "member"
    GUEST = "guest"
    BOT = "bot"


class Kind(StrEnum):
    ANONYMOUS = "anonymous"
    ACCOUNT = "account"
    GUEST = "guest"
    BOT = "bot"
    SERVICE = "service"
    """An OAuth client that acts for itself (client credentials); it has no account."""


class Via(StrEnum):
    """How the credential came. Only a cookie is sent by browsers unasked."""

    NOTHING = "nothing"
    COOKIE = "cookie"
    BEARER = "bearer"
    DPOP = "dpop"
    TICKET = "ticket"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """`token` is the id of the credential (a hash, fit for logs), never the credential."""

    app: str
    kind: Kind = Kind.ANONYMOUS
    account: str | None = None
    device: str | None = None
    session: str | None = None
    client: str | None = None
    token: str | None = None
    roles: frozenset[Role] = frozenset()
    scopes: frozenset[str] = frozenset()
    authenticated_at: float = 0.0
    """When a person last proved who they are, Unix time; 0 for who never did."""
    mfa: bool = False
    """They did so with a second factor, or with a passkey that verified its user."""
    via: Via = Via.NOTHING
    valid_until: float = 0.0
    """The credential says nothing about later than this, Unix time."""

    @property
    def known(self) -> bool:
        return self.kind is not Kind.ANONYMOUS

    def has_role(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)


class InsufficientScope(Refused):
    """403 with `insufficient_scope` (RFC 6750 section 3.1); names the scope that was missing."""

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        super().__init__(
            Code.INSUFFICIENT_SCOPE,
            403,
            f"The token lacks the scope {scope}.",
            headers={"WWW-Authenticate": challenge},
        )
        self.scope = scope


def require_session(principal: Principal) -> Principal:
    """Raises Refused (401) for who is anonymous."""
    if not principal.known:
        raise Refused(Code.TOKEN_MISSING, 401, "Sign in first.")
    return principal


def require_either(principal: Principal) -> None:
    """Raises Refused (401) for who has neither a session nor an access token."""
    if not principal.known and principal.token is None:
        raise Refused(Code.TOKEN_MISSING, 401, "Sign in first, or use an access token.")


def require_scope(principal: Principal, scope: str) -> None:
    """Raises Refused: 401 without a session, 403 `insufficient_scope` with one that lacks it."""
    require_session(principal)
    if scope not in principal.scopes:
        raise InsufficientScope(scope)


def require_role(principal: Principal, *roles: Role) -> None:
    require_session(principal)
    if not principal.has_role(*roles):
        raise Refused(Code.NOT_PERMITTED, 403, "Your role does not allow this.")


def require_recent(principal: Principal, now: float, seconds: float) -> None:
    """For sensitive acts: the person proved who they are within `seconds`, and it is they who act.

    A program that they let in has their proof from when they did so: it counts for nothing here.
    """
    require_session(principal)
    if principal.client is not None:
        message = "Only a person who signed in here may do this, and no program for them."
        raise Refused(Code.NOT_PERMITTED, 403, message)
    if principal.authenticated_at + seconds < now:
        raise Refused(Code.REAUTHENTICATION_REQUIRED, 403, "Prove again who you are.")


class Authenticator(Protocol):
    """Of the session plane. Anonymous when the request carries no credential at all.

    Raises Refused: 401 for a credential that does not hold, 403 for a cookie sent across sites.
    Raises Unavailable when the store cannot be asked: nobody is let in on a guess.
    """

    async def authenticate(self, request: web.Request) -> Principal: ...
