"""What a code or a device's grant rests on: a session in which a person said yes, and their account
as it was then.

Looked at when the grant has become a session, before anybody is told of its tokens: whoever ends
everything finds that session, or is found here. So nothing outlives a reset, a sign-out everywhere
or a consent that was withdrawn.
"""

from __future__ import annotations

import msgspec

from signaling.accounts.oauth import redirects
from signaling.accounts.oauth.clients import Client
from signaling.accounts.oauth.consents import Consents
from signaling.accounts.principal import Principal
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.signin import Directory


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Who said yes, in which session, at which epoch of their account."""

    account: str
    session: str
    epoch: int
    authenticated_at: float
    mfa: bool


class Approvals:
    """See the module."""

    def __init__(self, service: SessionService, directory: Directory, consents: Consents) -> None:
        self._service = service
        self._directory = directory
        self._consents = consents

    async def are_given(
        self, principal: Principal, client: Client, scopes: frozenset[str], redirect_uri: str
    ) -> bool:
        """Without asking: the operator's own client, or consent that was given before. Who has no
        secret and answers where other programs could is asked about always (RFC 8252, 8.6).
        """
        if not client.confidential and redirects.is_open(redirect_uri):
            return False
        if client.trusted:
            return True
        account = principal.account or ""
        return await self._consents.covers(principal.app, account, client.id, scopes)

    async def give(self, principal: Principal, client: Client, scopes: frozenset[str]) -> Approval:
        """The principal is an account, signed in here."""
        app, account = principal.app, principal.account or ""
        view = await self._directory.view(app, account)
        if not client.trusted:
            await self._consents.give(app, account, client.id, scopes)
        return Approval(
            account=account,
            session=principal.session or "",
            epoch=-1 if view is None else view.epoch,
            authenticated_at=principal.authenticated_at,
            mfa=principal.mfa,
        )

    async def stands(
        self, app: str, approval: Approval, client: Client, scopes: frozenset[str]
    ) -> bool:
        view = await self._directory.view(app, approval.account)
        if view is None or view.disabled or view.epoch != approval.epoch:
            return False
        if not await self._service.is_alive(app, approval.session):
            return False
        return client.trusted or await self._consents.covers(
            app, approval.account, client.id, scopes
        )
