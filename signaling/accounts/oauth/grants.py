"""What the token endpoint does (RFC 6749 section 3.2): a grant in, tokens out.

Knows no HTTP: a form, the client that authenticated, the key it proved to hold. Every refusal is an
OAuthError that says no more than its class.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from signaling.accounts.oauth import pkce
from signaling.accounts.oauth.approvals import Approval, Approvals
from signaling.accounts.oauth.clients import Client, GrantType
from signaling.accounts.oauth.codes import Codes
from signaling.accounts.oauth.devices import Devices
from signaling.accounts.oauth.errors import Error, OAuthError, bad_grant, bad_request
from signaling.accounts.principal import Kind
from signaling.accounts.sessions import scopes as scopes_of
from signaling.accounts.sessions.granted import Grant, Tokens
from signaling.accounts.sessions.service import SessionService
from signaling.errors import Refused

Form = Mapping[str, str]


def wanted_scopes(form: Form, allowed: frozenset[str]) -> frozenset[str]:
    """What is asked for; without a word, all that is allowed. Raises OAuthError."""
    text = form.get("scope", "")
    if not text:
        return allowed
    try:
        return scopes_of.parse(text, allowed)
    except scopes_of.UnknownScope:
        raise OAuthError(Error.INVALID_SCOPE, "A scope does not exist or is not yours.") from None


class Grants:
    """See the module."""

    def __init__(
        self, service: SessionService, approvals: Approvals, codes: Codes, devices: Devices
    ) -> None:
        self._service = service
        self._approvals = approvals
        self._codes = codes
        self._devices = devices
        self._by_type: dict[GrantType, Callable[..., Awaitable[Tokens]]] = {
            GrantType.CODE: self._code,
            GrantType.REFRESH: self._refresh,
            GrantType.CLIENT: self._client,
            GrantType.DEVICE: self._device,
        }

    async def tokens(self, app: str, client: Client, form: Form, key: str | None) -> Tokens:
        """What the token endpoint hands out. `key`: thumbprint of the key that was proved."""
        if "grant_type" not in form:
            raise bad_request("grant_type is missing.")
        try:
            kind = GrantType(form["grant_type"])
        except ValueError:
            raise OAuthError(Error.UNSUPPORTED_GRANT_TYPE, "There is no such grant here.") from None
        if kind not in client.grants:
            raise OAuthError(Error.UNAUTHORIZED_CLIENT, "The client may not use this grant.")
        if client.dpop and key is None:
            raise OAuthError(Error.INVALID_DPOP_PROOF, "This client must prove a key.")
        return await self._by_type[kind](app, client, form, key)

    async def _code(self, app: str, client: Client, form: Form, key: str | None) -> Tokens:
        text, verifier = form.get("code", ""), form.get("code_verifier", "")
        if not text or not verifier:
            raise bad_request("code and code_verifier are needed.")
        spot, code = await self._codes.spend(app, text, client.id)
        if code.redirect_uri != form.get("redirect_uri", ""):
            raise bad_grant()
        if not pkce.fits(verifier, code.challenge) or code.thumbprint not in (None, key):
            raise bad_grant()
        tokens = await self._for(app, client, code.approval, code.scopes, key)
        await self._codes.opened(app, spot, tokens.session.id)
        return tokens

    async def _for(
        self, app: str, client: Client, approval: Approval, scopes: frozenset[str], key: str | None
    ) -> Tokens:
        """A session for who said yes, if that still stands."""
        tokens = await self._service.grant(
            app,
            Grant(
                kind=Kind.ACCOUNT,
                account=approval.account,
                client=client.id,
                scopes=scopes,
                label=client.name,
                authenticated_at=approval.authenticated_at,
                mfa=approval.mfa,
                refresh=GrantType.REFRESH in client.grants,
                thumbprint=key,
            ),
        )
        if not await self._approvals.stands(app, approval, client, scopes):
            await self._service.end_session(app, tokens.session.id, reason="approval_ended")
            raise bad_grant()
        return tokens

    async def _refresh(self, app: str, client: Client, form: Form, key: str | None) -> Tokens:
        text = form.get("refresh_token", "")
        if not text:
            raise bad_request("refresh_token is needed.")

        def narrowed(granted: frozenset[str]) -> frozenset[str] | None:
            # What the client was registered for may have become less since.
            return wanted_scopes(form, granted & client.scopes)

        try:
            return await self._service.refresh(app, text, client.id, narrowed, key)
        except Refused:
            raise bad_grant() from None

    async def _client(self, app: str, client: Client, form: Form, key: str | None) -> Tokens:
        if not client.confidential:
            raise OAuthError(Error.UNAUTHORIZED_CLIENT, "The client has no secret.")
        return await self._service.grant(
            app,
            Grant(
                kind=Kind.SERVICE,
                account=None,
                client=client.id,
                scopes=wanted_scopes(form, client.scopes),
                label=client.name,
                refresh=False,  # RFC 6749 section 4.4.3
                thumbprint=key,
            ),
        )

    async def _device(self, app: str, client: Client, form: Form, key: str | None) -> Tokens:
        text = form.get("device_code", "")
        if not text:
            raise bad_request("device_code is needed.")
        device = await self._devices.poll(app, text, client.id)
        if device.approval is None:
            raise bad_grant()
        return await self._for(app, client, device.approval, device.scopes, key)


def as_answer(tokens: Tokens) -> dict[str, Any]:
    """RFC 6749 section 5.1."""
    answer: dict[str, Any] = {
        "access_token": tokens.access.text,
        "token_type": "Bearer" if tokens.session.thumbprint is None else "DPoP",
        "expires_in": tokens.expires_in,
        "scope": scopes_of.spell(tokens.scopes),
    }
    if tokens.refresh is not None:
        answer["refresh_token"] = tokens.refresh.text
    return answer
