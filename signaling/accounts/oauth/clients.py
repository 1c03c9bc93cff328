"""OAuth clients of an app: what each may ask for, and how it shows that it is itself.

A confidential client has a secret (`cx_`, stored as a hash, two during a change); a public one has
none and leans on PKCE, DPoP and exact redirects. Administrators register them (`admin`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import unquote_plus

import msgspec

from signaling.accounts.oauth.errors import BadClient, Error, OAuthError
from signaling.accounts.sessions.tokens import Prefix, TagKeys, Token, mint, read
from signaling.errors import Refused
from signaling.ids import Entropy
from signaling.storage.port import Store
from signaling.storage.table import Row, Table

KIND = "oauth_client"
MOST_SECRETS = 2


class GrantType(StrEnum):
    """RFC 6749 section 1.3 without the implicit and the password grant (RFC 9700 section 2)."""

    CODE = "authorization_code"
    REFRESH = "refresh_token"
    CLIENT = "client_credentials"
    DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """`trusted`: of the operator itself, so that nobody is asked for consent; never of a client
    without a secret whose redirect is not https."""

    id: str
    name: str
    created_at: float
    secrets: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    grants: frozenset[GrantType] = frozenset({GrantType.CODE, GrantType.REFRESH})
    scopes: frozenset[str] = frozenset()
    trusted: bool = False
    introspects: bool = False
    """May ask what any token of the app is (a resource server)."""
    dpop: bool = False
    """Its tokens are always bound to a key."""
    disabled: bool = False

    @property
    def confidential(self) -> bool:
        return bool(self.secrets)


class Clients:
    """See the module."""

    def __init__(self, store: Store, keys: TagKeys, entropy: Entropy) -> None:
        self.rows: Table[Client] = Table(store, KIND, Client)
        self._keys = keys
        self._entropy = entropy

    async def find(self, app: str, client: str) -> Client | None:
        """One that may be used."""
        row = await self.rows.get(app, client)
        return None if row is None or row.value.disabled else row.value

    def new_secret(self, app: str, client: str) -> Token:
        return mint(self._keys, app, Prefix.CLIENT_SECRET, client, self._entropy)

    async def add_secret(self, app: str, client: str) -> tuple[Row[Client], Token]:
        """The one before stays good, so that a change needs no outage. Raises Missing."""
        token = self.new_secret(app, client)

        def add(value: Client) -> Client:
            kept = value.secrets[-(MOST_SECRETS - 1) :]
            return msgspec.structs.replace(value, secrets=(*kept, token.id))

        return await self.rows.change(app, client, add), token

    async def authenticate(
        self, app: str, authorization: str | None, form: Mapping[str, str]
    ) -> Client:
        """RFC 6749 section 2.3. Raises OAuthError; a client uses one way only."""
        name, secret = _credentials(authorization, form)
        client = await self.find(app, name)
        if client is None:
            raise BadClient
        if client.confidential:
            self._check_secret(app, client, secret)
        elif secret:
            raise BadClient
        return client

    def _check_secret(self, app: str, client: Client, secret: str) -> None:
        try:
            token = read(self._keys, app, secret, Prefix.CLIENT_SECRET)
        except Refused:
            raise BadClient from None
        matches = [hmac.compare_digest(token.id, known) for known in client.secrets]
        if token.subject != client.id or not any(matches):
            raise BadClient


def _credentials(authorization: str | None, form: Mapping[str, str]) -> tuple[str, str]:
    named, secret = form.get("client_id", ""), form.get("client_secret", "")
    if authorization is None:
        if not named:
            raise BadClient
        return named, secret
    if secret:
        raise OAuthError(Error.INVALID_REQUEST, "A client authenticates in one way only.")
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise BadClient
    try:
        user, colon, password = (
            base64.b64decode(text.strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, ValueError):
        raise BadClient from None
    # Both are form-encoded first (RFC 6749 section 2.3.1).
    user, password = unquote_plus(user), unquote_plus(password)
    if not colon or not user or not password or named not in ("", user):
        raise BadClient
    return user, password
