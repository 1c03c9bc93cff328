"""The one record of a session, and what is true of it at a time. Pure.

Everything that a session's tokens depend on stands in one document, so that each step is a single
compare-and-set: ending it ends all of its tokens, rotating a refresh token cannot half happen.

    ALIVE --idle or absolute lifetime--> EXPIRED        (found by whoever looks)
          --ended, reuse, sign-out-----> deleted
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import msgspec

from signaling.accounts.principal import Kind, Principal, Via
from signaling.accounts.signin import AccountView
from signaling.errors import Code, Refused
from signaling.storage.table import Row

T = TypeVar("T")
MOST_ACCESS = 4
"""Access tokens of one session that live at once; a newer one pushes out the oldest."""
Rests = Callable[[str, str], float | None]
"""How long an account's sessions may rest at most; None as policy says."""
KEPT_AFTER_END = 86400.0
"""Records outlive their session by a day at most, so that the sweep can see off guests."""


class Lifetimes(msgspec.Struct, frozen=True, kw_only=True):
    """Policy, in seconds. `idle` slides with use; `absolute` does not."""

    idle: float = 2 * 3600.0
    absolute: float = 30 * 86400.0
    guest: float = 86400.0
    access: float = 3600.0
    refresh_idle: float = 30 * 86400.0
    refresh_absolute: float = 90 * 86400.0
    service: float = 3600.0
    code: float = 60.0
    device_code: float = 600.0
    ticket: float = 20.0


class Access(msgspec.Struct, frozen=True, array_like=True):
    """One access token, by its id."""

    id: str
    expires_at: float
    scopes: frozenset[str] | None = None
    """None: the session's."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """`access` are the tokens that open it now; `refresh` the one refresh token that is good."""

    id: str
    kind: Kind
    account: str | None
    device: str | None
    client: str | None
    label: str
    scopes: frozenset[str]
    created_at: float
    used_at: float
    idle: float
    ends_at: float
    authenticated_at: float
    mfa: bool
    amr: tuple[str, ...] = ()
    access: tuple[Access, ...] = ()
    refresh: str | None = None
    replaced: tuple[str, ...] = ()
    """Access tokens in whose place others came: they open nothing, what they opened stays open."""
    thumbprint: str | None = None
    """Of the key that its tokens are bound to (DPoP, RFC 9449 section 6.1)."""

    @property
    def expires_at(self) -> float:
        return min(self.used_at + self.idle, self.ends_at)


def slack(session: Session) -> float:
    """`used_at` may lag so far behind, to spare a write for every request."""
    return min(60.0, session.idle / 20)


def resting(row: Row[Session] | None, app: str, rests: Rests) -> Session | None:
    """The session, which may rest no longer than something else than policy says."""
    if row is None:
        return None
    most = rests(app, row.value.account or "")
    if most is None or most >= row.value.idle:
        return row.value
    return msgspec.structs.replace(row.value, idle=most)


class Ended(Refused):
    """Its token is ours, and there is no such session any more."""

    def __init__(self) -> None:
        super().__init__(Code.TOKEN_INVALID, 401, "The session is over.")


def require_alive(session: Session | None, now: float) -> Session:
    """Raises Refused (401)."""
    if session is None:
        raise Ended
    if session.expires_at <= now:
        raise Refused(Code.TOKEN_EXPIRED, 401, "The session has expired.")
    return session


@functools.lru_cache(maxsize=1024)
def shared(members: frozenset[T]) -> frozenset[T]:
    """One object for equal sets: each socket keeps its principal, and thousands have the same."""
    return members


def principal_of(
    session: Session, app: str, token: str | None, view: AccountView | None, now: float, via: Via
) -> Principal:
    """Who holds this token of this session now. `token` None: whatever is held without one (a
    socket, a call). Raises Refused (401)."""
    valid_until, scopes = session.expires_at, session.scopes
    if token is not None:
        access = next((item for item in session.access if item.id == token), None)
        if access is None:
            raise Refused(Code.TOKEN_INVALID, 401, "The token is not valid.")
        if access.expires_at <= now:
            raise Refused(Code.TOKEN_EXPIRED, 401, "The token has expired.")
        valid_until = min(valid_until, access.expires_at)
        scopes = session.scopes if access.scopes is None else access.scopes & session.scopes
    if session.account is not None and (view is None or view.disabled):
        raise Refused(Code.TOKEN_INVALID, 401, "The session is over.")
    return Principal(
        app=app,
        kind=session.kind,
        account=session.account,
        device=session.device,
        session=session.id,
        client=session.client,
        token=token,
        roles=shared(view.roles if view is not None else frozenset()),
        scopes=shared(scopes),
        authenticated_at=session.authenticated_at,
        mfa=session.mfa,
        via=via,
        valid_until=valid_until,
    )


def principal_again(
    session: Session, before: Principal, view: AccountView | None, now: float
) -> Principal:
    """The same holder, looked at later. What a token opened may outlive it, with no more rights
    than it had; a token that was taken back before its time closes what it opened. Raises Refused.
    """
    token = before.token
    if token is None or any(a.id == token and a.expires_at > now for a in session.access):
        return principal_of(session, before.app, token, view, now, before.via)
    if now < before.valid_until and token not in session.replaced:
        raise Refused(Code.TOKEN_INVALID, 401, "The token was taken back.")
    after = principal_of(session, before.app, None, view, now, before.via)
    return msgspec.structs.replace(after, token=token, scopes=after.scopes & before.scopes)


def with_access(session: Session, access: Access, now: float) -> Session:
    """One more access token; what has expired, and the oldest beyond the bound, go."""
    kept = [item for item in session.access if item.expires_at > now]
    return msgspec.structs.replace(session, access=(*kept[-(MOST_ACCESS - 1) :], access))


def rotated(session: Session, old: str | None, new: str, now: float) -> Session:
    """All access tokens go; `new` takes the place of `old`, with its scopes and its end."""
    living = [item for item in session.access if item.expires_at > now]
    before = next((item for item in living if item.id == old), None)
    if before is None:
        raise Refused(Code.TOKEN_INVALID, 401, "The token is not valid.")
    gone = (*session.replaced, *(item.id for item in living))[-2 * MOST_ACCESS :]
    access = (Access(new, before.expires_at, before.scopes),)
    return msgspec.structs.replace(session, access=access, replaced=gone)


def terms(session: Session) -> list[str]:
    """Under which it is found: its account, its client, and guests among all."""
    found = []
    if session.account is not None:
        found.append(f"account:{session.account}")
    if session.client is not None:
        found.append(f"client:{session.client}")
    if session.kind is Kind.GUEST:
        found.append("guest")
    return found


def as_policy(app: str, account: str) -> float | None:
    """`Rests` of nobody in particular."""
    return None
