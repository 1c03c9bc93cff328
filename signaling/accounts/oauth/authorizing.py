"""The authorization request (RFC 6749 section 4.1.1): checked, consented to, and answered.

Pure but for the look-ups it is given. A wrong client or redirect URI is said to the person, never
by a redirect; everything else goes back to the client, with `iss` (RFC 9207).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from signaling.accounts.oauth import pkce, redirects
from signaling.accounts.oauth.approvals import Approvals
from signaling.accounts.oauth.clients import Client, Clients, GrantType
from signaling.accounts.oauth.codes import Code, Codes
from signaling.accounts.oauth.errors import Error, OAuthError, bad_request
from signaling.accounts.oauth.grants import wanted_scopes
from signaling.accounts.principal import Kind, Principal

LONGEST_STATE = 2048


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One that can be answered."""

    client: Client
    redirect_uri: str
    scopes: frozenset[str]
    challenge: str
    state: str
    thumbprint: str | None


class Redirected(Exception):  # noqa: N818 - names what happened
    """The client learns of `error`: `location` is where the browser goes."""

    def __init__(self, location: str, error: Error) -> None:
        super().__init__("redirected")
        self.location = location
        self.error = error


class Authorizing:
    """See the module."""

    def __init__(self, clients: Clients, codes: Codes, approvals: Approvals, issuer: str) -> None:
        self._clients = clients
        self._codes = codes
        self._approvals = approvals
        self._issuer = issuer

    async def read(self, app: str, query: Mapping[str, str]) -> Request:
        """Raises OAuthError (to be shown) or Redirected."""
        client = await self._clients.find(app, query.get("client_id", ""))
        if client is None or GrantType.CODE not in client.grants:
            raise bad_request("The app that sent you here is not known.")
        uri = query.get("redirect_uri", "")
        if not redirects.is_registered(uri, client.redirect_uris):
            raise bad_request("The app that sent you here gave an address that is not its own.")
        state = query.get("state", "")
        try:
            return self._checked(client, uri, state, query)
        except OAuthError as error:
            raise self.refusal(uri, state, error.error, error.description) from None

    def _checked(self, client: Client, uri: str, state: str, query: Mapping[str, str]) -> Request:
        if len(state) > LONGEST_STATE:
            raise bad_request("state is too long.")
        if query.get("response_type") != "code":
            raise OAuthError(Error.UNSUPPORTED_RESPONSE_TYPE, "Only response_type=code is there.")
        if query.get("response_mode", "query") != "query":
            raise bad_request("Only response_mode=query is there.")
        challenge = query.get("code_challenge", "")
        if query.get("code_challenge_method") != pkce.METHOD or not pkce.is_challenge(challenge):
            raise bad_request("A code_challenge with code_challenge_method=S256 is needed.")
        return Request(
            client=client,
            redirect_uri=uri,
            scopes=wanted_scopes(query, client.scopes),
            challenge=challenge,
            state=state,
            thumbprint=query.get("dpop_jkt"),  # RFC 9449 section 10
        )

    def _location(self, uri: str, state: str, answer: Mapping[str, str]) -> str:
        more = {"state": state} if state else {}
        return redirects.with_answer(uri, {**answer, **more, "iss": self._issuer})

    def refusal(self, uri: str, state: str, error: Error, description: str) -> Redirected:
        answer = {"error": error.value, "error_description": description}
        return Redirected(self._location(uri, state, answer), error)

    async def allow(self, principal: Principal, request: Request) -> str:
        """The location with a code. The principal is an account, signed in here."""
        if principal.account is None or principal.kind is not Kind.ACCOUNT:
            raise self.deny(request)
        approval = await self._approvals.give(principal, request.client, request.scopes)
        token = await self._codes.issue(
            principal.app,
            Code(
                id="",
                client=request.client.id,
                approval=approval,
                redirect_uri=request.redirect_uri,
                scopes=request.scopes,
                challenge=request.challenge,
                expires_at=0.0,
                thumbprint=request.thumbprint,
            ),
        )
        return self._location(request.redirect_uri, request.state, {"code": token.text})

    def deny(self, request: Request) -> Redirected:
        return self.refusal(
            request.redirect_uri, request.state, Error.ACCESS_DENIED, "It was not allowed."
        )
