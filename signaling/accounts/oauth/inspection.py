"""What a token is (RFC 7662) and its end (RFC 7009), asked by clients that authenticated.

A client learns of its own tokens; of all tokens of the app only with `introspects`. What is not
active, not there or not the client's to know is `{"active": false}` and nothing else.
"""

from __future__ import annotations

from typing import Any

from signaling.accounts.oauth.clients import Client
from signaling.accounts.principal import Via
from signaling.accounts.sessions import records
from signaling.accounts.sessions.records import Session
from signaling.accounts.sessions.scopes import spell
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.sessions.tokens import Prefix, Token, read
from signaling.accounts.signin import Directory
from signaling.errors import Refused

INACTIVE: dict[str, Any] = {"active": False}


class Inspection:
    """See the module."""

    def __init__(self, service: SessionService, directory: Directory, issuer: str) -> None:
        self._service = service
        self._directory = directory
        self._issuer = issuer

    async def _find(self, app: str, text: str) -> tuple[Token, Session] | None:
        try:
            token = read(self._service.keys, app, text, Prefix.SESSION, Prefix.REFRESH)
        except Refused:
            return None
        row = await self._service.rows.get(app, token.subject)
        return None if row is None else (token, row.value)

    async def introspect(self, app: str, client: Client, text: str) -> dict[str, Any]:
        """RFC 7662 section 2.2."""
        found = await self._find(app, text)
        if found is None:
            return INACTIVE
        token, session = found
        if session.client != client.id and not client.introspects:
            return INACTIVE
        now = self._service.clock.unix()
        try:
            records.require_alive(session, now)
            view = None
            if session.account is not None:
                view = await self._directory.view(app, session.account)
            if token.prefix is Prefix.REFRESH and session.refresh != token.id:
                return INACTIVE
            held = token.id if token.prefix is Prefix.SESSION else None
            who = records.principal_of(session, app, held, view, now, Via.BEARER)
        except Refused:
            return INACTIVE
        answer: dict[str, Any] = {
            "active": True,
            "scope": spell(who.scopes),
            "client_id": session.client or "",
            "sub": session.account or session.client or "",
            "iss": self._issuer,
            "iat": int(session.created_at),
            "exp": int(who.valid_until),
            "sid": session.id,
            "auth_time": int(session.authenticated_at),
        }
        if session.thumbprint is not None:
            answer["cnf"] = {"jkt": session.thumbprint}  # RFC 9449 section 6.2
        if token.prefix is Prefix.SESSION:
            answer["token_type"] = "Bearer" if session.thumbprint is None else "DPoP"
        return answer

    async def revoke(self, app: str, client: Client, text: str) -> None:
        """RFC 7009 section 2.1: a refresh token takes its session with it, an access token goes
        alone. Nothing happens for a token that is not the client's."""
        found = await self._find(app, text)
        if found is None or found[1].client != client.id:
            return
        token, session = found
        if token.prefix is Prefix.REFRESH:
            if session.refresh == token.id:
                await self._service.end_session(app, session.id, reason="revoked")
        else:
            await self._service.drop_access(app, session.id, token.id)
