"""Tokens of bots: `bot_` and 76 characters, each a session of its own, so that it is looked up,
scoped, noted and ended like any other; the record has the token's hash only.

Made, rotated and revoked by administrators (`accounts.operations.bots`). Never renewed by its own
use, never in a browser: `authenticate` refuses one that comes with a page's headers. Knows neither
HTTP nor the event loop.
"""

from __future__ import annotations

import msgspec

from signaling.accounts.principal import Kind
from signaling.accounts.sessions import records
from signaling.accounts.sessions.records import Access, Session
from signaling.accounts.sessions.scopes import ALL
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.sessions.tokens import Prefix, Token, mint
from signaling.errors import ClientError, Code
from signaling.ids import Ids
from signaling.storage.table import Missing

# What administers, or changes a person's own account, is for people.
SCOPES = ALL - {"admin", "account:write", "access:manage", "audit:read"}
# Of one bot. More than one, so that several programs need not share one.
MOST_TOKENS = 10


class BotTokens:
    """Owned by the composition root. A token is named by its session's id."""

    def __init__(self, service: SessionService, ids: Ids) -> None:
        self._service = service
        self._ids = ids

    async def make(
        self, app: str, bot: str, label: str, scopes: frozenset[str], seconds: float
    ) -> tuple[Session, Token]:
        """Raises ClientError (409) beyond `MOST_TOKENS`."""
        if len(await self.list(app, bot)) >= MOST_TOKENS:
            message = f"A bot may have {MOST_TOKENS} tokens."
            raise ClientError(Code.CONFLICT, 409, message)
        now = self._service.clock.unix()
        session = Session(
            id=self._ids.new(),
            kind=Kind.BOT,
            account=bot,
            device=self._ids.new(),
            client=None,
            label=label,
            scopes=scopes & SCOPES,
            created_at=now,
            used_at=now,
            idle=seconds,
            ends_at=now + seconds,
            authenticated_at=0.0,
            mfa=False,
        )
        token = self._mint(app, session.id)
        session = records.with_access(session, Access(token.id, session.ends_at), now)
        kept = session.ends_at + records.KEPT_AFTER_END
        await self._service.rows.create(app, session.id, session, expires=kept)
        return session, token

    def _mint(self, app: str, session: str) -> Token:
        return mint(self._service.keys, app, Prefix.BOT, session, self._service.entropy)

    async def rotate(self, app: str, bot: str, ident: str, overlap: float) -> tuple[Session, Token]:
        """A new token; those before it are good for `overlap` seconds more. The end stays what it
        was. Raises ClientError (404).
        """
        token, now = self._mint(app, ident), self._service.clock.unix()

        def change(session: Session) -> Session:
            if session.account != bot or session.kind is not Kind.BOT or session.ends_at <= now:
                raise no_token()
            before = [
                Access(item.id, min(item.expires_at, now + overlap), item.scopes)
                for item in session.access
            ]
            after = msgspec.structs.replace(
                session,
                access=tuple(item for item in before if item.expires_at > now),
                replaced=tuple(item.id for item in before)[-records.MOST_ACCESS :],
            )
            return records.with_access(after, Access(token.id, session.ends_at), now)

        try:
            row = await self._service.rows.change(app, ident, change)
        except Missing:
            raise no_token() from None
        await self._service.tell_changed(app, ident)
        return row.value, token

    async def revoke(self, app: str, bot: str, ident: str) -> None:
        """Its sockets and calls end within a second. Raises ClientError (404)."""
        if not await self._service.end_session(app, ident, account=bot, reason="revoked"):
            raise no_token()

    async def list(self, app: str, bot: str) -> list[Session]:
        """Those that are good, the newest first."""
        now = self._service.clock.unix()
        rows = await self._service.rows.scan(app, term=f"account:{bot}")
        alive = [row.value for row in rows if row.value.expires_at > now]
        return sorted(alive, key=lambda session: -session.created_at)


def no_token() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "The bot has no such token.")
