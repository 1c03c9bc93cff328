"""Sessions: begun, used, proved again, refreshed, listed, ended. Implements `signin.Sessions`.

The store is the authority; `Revoker` tells who holds something open. Every step is one
compare-and-set on the session's record. Time, ids and randomness are arguments; this knows neither
HTTP nor the event loop. Owned by the composition root.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import cast

import msgspec

from signaling.accounts.principal import Kind, Principal, Via
from signaling.accounts.sessions import records
from signaling.accounts.sessions.cookies import session_cookie
from signaling.accounts.sessions.granted import Grant, Tokens
from signaling.accounts.sessions.port import Change, Revocation, Revoker, SessionView
from signaling.accounts.sessions.records import Access, Lifetimes, Session
from signaling.accounts.sessions.scopes import ALL
from signaling.accounts.sessions.tokens import Prefix, TagKeys, Token, mint, read, refused
from signaling.accounts.signin import AccountView, Directory, Opened, SignedIn
from signaling.clock import Clock
from signaling.errors import Code, Refused, Unavailable
from signaling.ids import Entropy, Ids
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import ATTEMPTS, Missing, Row, Table

KIND = "session"
PAGE = 100


def table(store: Store, sealer: Sealer | None) -> Table[Session]:
    """An account's sessions are sealed with the account's data key, and shredded with it."""
    return Table(store, KIND, Session, sealer, scope=_scope, terms=records.terms)


def _scope(app: str, key: str, session: Session) -> str:
    return "meta" if session.account is None else f"account:{session.account}"


class Reused(Refused):
    """A refresh token came a second time: the session and all of its tokens are gone."""


class SessionService:
    """See the module."""

    def __init__(
        self,
        rows: Table[Session],
        directory: Directory,
        revoker: Revoker,
        keys: TagKeys,
        clock: Clock,
        ids: Ids,
        entropy: Entropy,
        lifetimes: Lifetimes,
    ) -> None:
        self.rows = rows
        self.keys = keys
        self.clock = clock
        self.entropy = entropy
        self._directory = directory
        self._revoker = revoker
        self._ids = ids
        self.lifetimes = lifetimes
        self.rests: records.Rests = records.as_policy

    # Beginning

    async def open(self, signed: SignedIn, *, cookie: bool) -> Opened:
        """A first-party sign-in: one token, which slides. Never a session that existed before."""
        now = self.clock.unix()
        guest = signed.kind is Kind.GUEST
        policy = self.lifetimes
        ends_at = now + (policy.guest if guest else policy.absolute)
        session = Session(
            id=self._ids.new(),
            kind=signed.kind,
            account=signed.account,
            device=signed.device,
            client=signed.client,
            label="",
            scopes=ALL,
            created_at=now,
            used_at=now,
            idle=policy.guest if guest else policy.idle,
            ends_at=min(ends_at, signed.lives_until or ends_at),
            authenticated_at=signed.at,
            mfa=signed.mfa,
            amr=signed.amr,
        )
        token = self._mint(signed.app, Prefix.SESSION, session.id)
        session = records.with_access(session, Access(token.id, session.ends_at), now)
        await self._create(signed.app, session)
        # Whoever ends all sessions of the account finds this one, or changed the account before.
        view = await self._view(signed.app, session)
        if view is None or view.disabled or view.epoch != signed.epoch:
            await self.end_session(signed.app, session.id)
            raise Refused(Code.SIGN_IN_FAILED, 401, "That did not work.")
        return self._opened(session, token, cookie=cookie)

    def _opened(self, session: Session, token: Token, *, cookie: bool) -> Opened:
        if not cookie:
            return Opened(
                session=session.id, expires_at=session.expires_at, access_token=token.text
            )
        header = session_cookie(token.text, session.ends_at - self.clock.unix())
        return Opened(session=session.id, expires_at=session.expires_at, headers=(header,))

    def _mint(self, app: str, prefix: Prefix, subject: str) -> Token:
        return mint(self.keys, app, prefix, subject, self.entropy)

    async def _create(self, app: str, session: Session) -> Row[Session]:
        kept = session.ends_at + records.KEPT_AFTER_END
        return await self.rows.create(app, session.id, session, expires=kept)

    async def grant(self, app: str, grant: Grant) -> Tokens:
        """A session for an OAuth client: a short access token, and a refresh token beside it."""
        now, policy = self.clock.unix(), self.lifetimes
        life = policy.refresh_absolute if grant.refresh else policy.service
        session = Session(
            id=self._ids.new(),
            kind=grant.kind,
            account=grant.account,
            device=self._ids.new(),
            client=grant.client,
            label=grant.label,
            scopes=grant.scopes,
            created_at=now,
            used_at=now,
            idle=policy.refresh_idle if grant.refresh else life,
            ends_at=now + life,
            authenticated_at=grant.authenticated_at,
            mfa=grant.mfa,
            amr=grant.amr,
            thumbprint=grant.thumbprint,
        )
        tokens = self._issue(app, session, None, refresh=grant.refresh)
        await self._create(app, tokens.session)
        return tokens

    def _issue(
        self, app: str, session: Session, scopes: frozenset[str] | None, *, refresh: bool
    ) -> Tokens:
        now = self.clock.unix()
        access = self._mint(app, Prefix.SESSION, session.id)
        again = self._mint(app, Prefix.REFRESH, session.id) if refresh else None
        expires = min(now + self.lifetimes.access, session.ends_at)
        after = records.with_access(session, Access(access.id, expires, scopes), now)
        after = msgspec.structs.replace(
            after, refresh=again.id if again is not None else None, used_at=now
        )
        return Tokens(
            session=after,
            access=access,
            refresh=again,
            expires_in=max(0, int(expires - now)),
            scopes=session.scopes if scopes is None else scopes,
        )

    # Going on

    async def refresh(
        self,
        app: str,
        text: str,
        client: str,
        scopes: Callable[[frozenset[str]], frozenset[str] | None],
        thumbprint: str | None,
    ) -> Tokens:
        """Rotates: the token given is spent. Raises Refused; `Reused` when it was spent before.

        `scopes` narrows what was granted (None: all of it) and may raise.
        """
        token = read(self.keys, app, text, Prefix.REFRESH)
        for _ in range(ATTEMPTS):
            row = await self.rows.get(app, token.subject)
            session = records.require_alive(row.value if row else None, self.clock.unix())
            if session.client != client or session.thumbprint not in (None, thumbprint):
                raise refused()
            if session.refresh != token.id:
                await self._reused(app, session)
            await self._require_account(app, session)
            tokens = self._issue(app, session, scopes(session.scopes), refresh=True)
            try:
                await self.rows.replace(app, cast("Row[Session]", row), tokens.session)
            except Conflict:
                continue  # its use was noted in between, or somebody spent the token: look again
            return tokens
        raise Unavailable("the session is being changed by others")

    async def _reused(self, app: str, session: Session) -> None:
        await self.end_session(app, session.id, reason="refresh_reused")
        raise Reused(refused().code, 401, "The token was used before; its session is over.")

    async def _require_account(self, app: str, session: Session) -> AccountView | None:
        if session.account is None:
            return None
        view = await self._directory.view(app, session.account)
        if view is None or view.disabled:
            raise refused()
        return view

    async def again(self, principal: Principal, signed: SignedIn) -> Opened:
        """Proved again. The session stays; who has it is known to be the same person. It gets a
        new token, and those that it had open nothing more (ASVS 7.2.4).
        """
        if principal.session is None or principal.account != signed.account:
            raise refused()
        token = self._mint(principal.app, Prefix.SESSION, principal.session)

        def renew(session: Session) -> Session:
            after = records.rotated(session, principal.token, token.id, self.clock.unix())
            return msgspec.structs.replace(
                after, authenticated_at=signed.at, mfa=session.mfa or signed.mfa, amr=signed.amr
            )

        try:
            row = await self.rows.change(principal.app, principal.session, renew)
        except Missing:
            raise refused() from None
        await self.tell_changed(principal.app, principal.session)
        return self._opened(row.value, token, cookie=principal.via is Via.COOKIE)

    # Looking

    async def look(self, app: str, token: Token, via: Via) -> tuple[Principal, Session]:
        """Who holds this token now, straight from the store. Raises Refused (401)."""
        now = self.clock.unix()
        row = await self.rows.get(app, token.subject)
        session = records.require_alive(records.resting(row, app, self.rests), now)
        view = await self._view(app, session)
        principal = records.principal_of(session, app, token.id, view, now, via)
        if row is not None and session.used_at + records.slack(session) <= now:
            session = await self._touch(app, row, now)
        return principal, session

    async def look_again(self, principal: Principal) -> Principal | None:
        """The rights now of who opened something; None when it may not stay open.

        The token with which it was opened may have been replaced since; its session decides.
        """
        if principal.session is None:
            return principal
        now = self.clock.unix()
        row = await self.rows.get(principal.app, principal.session)
        try:
            session = records.require_alive(records.resting(row, principal.app, self.rests), now)
            view = await self._view(principal.app, session)
            return records.principal_again(session, principal, view, now)
        except Refused:
            return None

    async def is_alive(self, app: str, session: str) -> bool:
        """Whether nobody ended it, nor its time."""
        row = await self.rows.get(app, session)
        found = records.resting(row, app, self.rests)
        return found is not None and found.expires_at > self.clock.unix()

    async def _view(self, app: str, session: Session) -> AccountView | None:
        if session.account is None:
            return None
        return await self._directory.view(app, session.account)

    async def _touch(self, app: str, row: Row[Session], now: float) -> Session:
        used = msgspec.structs.replace(row.value, used_at=now)
        # Conflict: somebody else touched it, or ended it, and the next look sees that. Unavailable:
        # a store that can be read but not written keeps serving who is signed in.
        with contextlib.suppress(Conflict, Unavailable):
            await self.rows.replace(app, row, used)
        return used

    async def touch(self, app: str, session: str) -> None:
        """Something of it is open: it is in use."""
        row = await self.rows.get(app, session)
        now = self.clock.unix()
        if row is not None and row.value.expires_at > now:
            await self._touch(app, row, now)

    async def list(self, app: str, account: str) -> list[SessionView]:
        """The newest first."""
        now = self.clock.unix()
        found = [row.value for row in await self._all(app, f"account:{account}")]
        alive = sorted((s for s in found if s.expires_at > now), key=lambda s: -s.created_at)
        return [
            SessionView(
                id=session.id,
                device=session.device or "",
                label=session.label,
                client=session.client,
                created_at=session.created_at,
                last_used_at=session.used_at,
                ends_at=session.expires_at,
                mfa=session.mfa,
            )
            for session in alive
        ]

    async def _all(self, app: str, term: str) -> Sequence[Row[Session]]:
        rows: list[Row[Session]] = []
        while True:
            page = await self.rows.scan(
                app, term=term, after=rows[-1].key if rows else "", limit=PAGE
            )
            rows += page
            if len(page) < PAGE:
                return rows

    # Ending

    async def end_session(
        self, app: str, session: str, *, account: str | None = None, reason: str = "ended"
    ) -> bool:
        """False when there is none, or it is not of `account` (when given)."""
        row = await self.rows.get(app, session)
        if row is None or (account is not None and row.value.account != account):
            return False
        if not await self.rows.delete(app, session):
            return False
        await self._revoker.revoke(Revocation(app=app, session=session, reason=reason))
        await self._farewell(app, row.value)
        return True

    async def _farewell(self, app: str, session: Session) -> None:
        if session.kind is not Kind.GUEST or session.account is None:
            return
        if not await self._all(app, f"account:{session.account}"):
            await self._directory.guest_left(app, session.account)

    async def end(
        self, app: str, account: str, *, device: str | None = None, keep: str | None = None
    ) -> None:
        await self.end_all(app, account, device=device, keep=keep)

    async def end_all(
        self, app: str, account: str, *, device: str | None = None, keep: str | None = None
    ) -> int:
        """How many sessions of the account ended."""
        ended = 0
        for row in await self._all(app, f"account:{account}"):
            if row.key == keep or (device is not None and row.value.device != device):
                continue
            ended += await self.end_session(app, row.key, account=account)
        return ended

    async def end_client(self, app: str, client: str, account: str | None = None) -> int:
        """Sessions that a client holds: of everybody, or of one account (consent withdrawn)."""
        ended = 0
        for row in await self._all(app, f"client:{client}"):
            if account is None or row.value.account == account:
                ended += await self.end_session(app, row.key, reason="client_revoked")
        return ended

    async def drop_access(self, app: str, session: str, token: str) -> None:
        """One access token ends; its session stays (RFC 7009 section 2.1)."""

        def without(value: Session) -> Session:
            kept = tuple(item for item in value.access if item.id != token)
            return msgspec.structs.replace(value, access=kept)

        try:
            await self.rows.change(app, session, without)
        except Missing:
            return
        await self._revoker.revoke(Revocation(app=app, token=token, reason="revoked"))

    async def tell_changed(self, app: str, session: str) -> None:
        """Its rights or tokens changed: whoever holds something looks again, and asks the store."""
        await self._revoker.revoke(changed(app, session=session))

    async def sweep_guests(self, app: str) -> int:
        """Guests whose session ran out leave, and their account with them."""
        now, left = self.clock.unix(), 0
        for row in await self._all(app, "guest"):
            if row.value.expires_at <= now:
                left += await self.end_session(app, row.key, reason="expired")
        return left


def changed(app: str, *, account: str | None = None, session: str | None = None) -> Revocation:
    """Rights changed: whoever holds something looks again."""
    return Revocation(app=app, account=account, session=session, change=Change.CHANGED)
