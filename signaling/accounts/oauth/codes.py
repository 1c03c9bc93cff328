"""Authorization codes: a minute to live, used once; a second use ends what the first one opened.

The record outlives the code by an hour for that. RFC 6749 section 4.1.2, RFC 9700 section 2.1.
"""

from __future__ import annotations

import msgspec

from signaling.accounts.oauth.approvals import Approval
from signaling.accounts.oauth.errors import bad_grant
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.sessions.tokens import Prefix, Token, mint, read
from signaling.errors import Refused
from signaling.ids import Ids
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

KIND = "oauth_code"
KEPT_FOR_REUSE = 3600.0


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed to. `session`: opened by it, once it was used."""

    id: str
    client: str
    approval: Approval
    redirect_uri: str
    scopes: frozenset[str]
    challenge: str
    expires_at: float
    thumbprint: str | None = None
    spent: bool = False
    reused: bool = False
    session: str | None = None


class Codes:
    """See the module."""

    def __init__(self, store: Store, service: SessionService, ids: Ids) -> None:
        self._rows: Table[Code] = Table(store, KIND, Code)
        self._service = service
        self._ids = ids

    async def issue(self, app: str, code: Code) -> Token:
        """`code` comes without id and expiry."""
        service = self._service
        token = mint(service.keys, app, Prefix.CODE, self._ids.new(), service.entropy)
        expires = service.clock.unix() + service.lifetimes.code
        record = msgspec.structs.replace(code, id=token.id, expires_at=expires)
        await self._rows.create(app, token.subject, record, expires=expires + KEPT_FOR_REUSE)
        return token

    async def spend(self, app: str, text: str, client: str) -> tuple[str, Code]:
        """Its key and what it stands for. Raises OAuthError; a reused one ends its session."""
        try:
            token = read(self._service.keys, app, text, Prefix.CODE)
        except Refused:
            raise bad_grant() from None
        row = await self._rows.get(app, token.subject)
        if row is None or row.value.id != token.id or row.value.client != client:
            raise bad_grant()
        if row.value.spent:
            await self._reused(app, token.subject)
            raise bad_grant()
        if row.value.expires_at <= self._service.clock.unix():
            raise bad_grant()
        try:
            await self._rows.replace(app, row, msgspec.structs.replace(row.value, spent=True))
        except Conflict:
            await self._reused(app, token.subject)
            raise bad_grant() from None
        return token.subject, row.value

    async def _reused(self, app: str, key: str) -> None:
        """The first use may still be on its way to a session: it then finds `reused`."""
        row = await self._rows.change(
            app, key, lambda code: msgspec.structs.replace(code, reused=True)
        )
        if row.value.session is not None:
            await self._service.end_session(app, row.value.session, reason="code_reused")

    async def opened(self, app: str, key: str, session: str) -> None:
        """Remember what a second use must end. Raises OAuthError when there was one already."""
        row = await self._rows.change(
            app, key, lambda code: msgspec.structs.replace(code, session=session)
        )
        if row.value.reused:
            await self._service.end_session(app, session, reason="code_reused")
            raise bad_grant()
