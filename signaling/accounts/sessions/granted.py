"""What the OAuth server asks of sessions, and what it gets. Pure data."""

from __future__ import annotations

import msgspec

from signaling.accounts.principal import Kind
from signaling.accounts.sessions.records import Session
from signaling.accounts.sessions.tokens import Token


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What an OAuth grant opens: a session of its own, with a refresh token if `refresh`."""

    kind: Kind
    account: str | None
    client: str
    scopes: frozenset[str]
    label: str
    authenticated_at: float = 0.0
    mfa: bool = False
    amr: tuple[str, ...] = ()
    refresh: bool = True
    thumbprint: str | None = None


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a token endpoint hands out, once."""

    session: Session
    access: Token
    refresh: Token | None
    expires_in: int
    scopes: frozenset[str]
