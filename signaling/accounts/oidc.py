"""OpenID Connect as a relying party: what a provider is sent, and what of its answers is believed.

Authorization code with PKCE S256, state and nonce (OpenID Connect Core section 3.1, RFC 9700).
Documents and keys come through the egress guard. Pure checks; the exchange itself is `Provider`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from signaling.clock import Clock
from signaling.egress import Answer, Egress, EgressFailed, EgressRefused
from signaling.errors import Code, Refused, Unavailable
from signaling.secret import Secret

# Signatures by a key of the provider only: a shared secret or `none` proves nothing (RFC 8725
# sections 3.1 and 3.2).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
SKEW = 60
DOCUMENT_BYTES = 262_144
DOCUMENT_LIVES = 3600.0
KEYS_AGAIN = 60.0  # a token with a new key makes us look again this often at most
SECONDS = 10.0


class Registration(Struct, frozen=True, kw_only=True):
    """How this server is known at a provider."""

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ("openid", "profile")
    sign_up: bool = False
    trust_mfa: bool = False


class Metadata(Struct, frozen=True):
    """What is used of OpenID Connect Discovery section 3."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Flow(Struct, frozen=True, kw_only=True):
    """One trip to a provider, kept under the hash of its ticket. `account`: to be linked to it."""

    provider: str
    state: str
    nonce: str
    verifier: str
    account: str = ""


class Who(Struct, frozen=True, kw_only=True):
    """A verified identity. `mfa`: the provider says that it saw two factors."""

    issuer: str
    subject: str
    login: str = ""
    name: str = ""
    mfa: bool = False


def refused(why: str) -> Refused:
    """`why` never has anything that the provider or the browser sent."""
    return Refused(Code.PROVIDER_REFUSED, 401, f"The provider's answer is not valid: {why}.")


def challenge(verifier: str) -> str:
    """RFC 7636 section 4.2, S256."""
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def location(known: Registration, metadata: Metadata, flow: Flow, redirect: str) -> str:
    query = {
        "response_type": "code",
        "client_id": known.client_id,
        "redirect_uri": redirect,
        "scope": " ".join(known.scopes),
        "state": flow.state,
        "nonce": flow.nonce,
        "code_challenge": challenge(flow.verifier),
        "code_challenge_method": "S256",
    }
    mark = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
    return f"{metadata.authorization_endpoint}{mark}{urlencode(query)}"


def check_one_of_several(metadata: Metadata) -> None:
    """All come back to one redirect, so only `iss` tells whose answer it is (RFC 9700, 4.4.2)."""
    if not metadata.authorization_response_iss_parameter_supported:
        raise refused("it promises no iss (RFC 9207), which several providers need")


def check_return(flow: Flow, metadata: Metadata, state: str, iss: str | None) -> None:
    """State binds the answer to this browser; `iss` to this provider (RFC 9207 section 2.4)."""
    if not hmac.compare_digest(flow.state.encode(), state.encode()):
        raise refused("state")
    if iss is None and metadata.authorization_response_iss_parameter_supported:
        raise refused("issuer")
    if iss is not None and iss != metadata.issuer:
        raise refused("issuer")


def read_metadata(known: Registration, body: bytes) -> Metadata:
    """The issuer in the document is the one that was asked (Discovery section 4.3)."""
    try:
        found = msgspec.json.decode(body, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refused("metadata") from None
    if found.issuer != known.issuer:
        raise refused("issuer")
    schemes = {
        urlsplit(url).scheme
        for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
    }
    if not schemes <= {urlsplit(known.issuer).scheme}:
        raise refused("metadata")
    return found


def read_id_token(
    known: Registration, token: str, keys: Mapping[str, Any], nonce: str, now: float
) -> Who:
    """OpenID Connect Core section 3.1.3.7. Raises Refused; `UnknownKey` when no key fits."""
    from joserfc import jwt  # where nobody names a provider, nothing of it is loaded
    from joserfc.errors import JoseError

    claims = _claims(token, keys)
    try:
        jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=SKEW,
            iss={"essential": True, "value": known.issuer},
            sub={"essential": True},
            aud={"essential": True, "value": known.client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)
    except (JoseError, ValueError, TypeError):
        raise refused("claims") from None
    audience, party = claims["aud"], claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise refused("audience")
    if party is not None and party != known.client_id:
        raise refused("audience")
    if not isinstance(claims["sub"], str) or not 1 <= len(claims["sub"]) <= 255:
        raise refused("subject")
    methods = claims.get("amr")
    return Who(
        issuer=known.issuer,
        subject=claims["sub"],
        login=_text(claims, "preferred_username"),
        name=_text(claims, "name"),
        mfa=known.trust_mfa and isinstance(methods, list) and "mfa" in methods,
    )


class UnknownKey(Exception):  # noqa: N818 - names what happened
    """Nothing among the provider's keys made this signature; they may have changed."""


def _claims(token: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Keys come from the provider's own set; what a header points at is never fetched."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    header = _header(token)
    if header.get("alg") not in ALGORITHMS:
        raise refused("algorithm")
    wanted = header.get("kid")
    listed = keys.get("keys")
    for key in listed if isinstance(listed, list) else []:
        if not isinstance(key, dict) or (wanted is not None and key.get("kid") != wanted):
            continue
        if key.get("kty") == "oct" or key.get("use", "sig") != "sig":
            continue
        try:
            found = jwt.decode(
                token, KeySet.import_key_set({"keys": [key]}), algorithms=list(ALGORITHMS)
            )
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        return dict(found.claims)
    raise UnknownKey


def _header(token: str) -> dict[str, Any]:
    head, dot, _ = token.partition(".")
    if not dot or len(token) > 65536 or token.count(".") != 2:
        raise refused("token")
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        raise refused("token") from None
    if not isinstance(found, dict):
        raise refused("token")
    return found


def _text(claims: Mapping[str, Any], name: str) -> str:
    found = claims.get(name)
    return found[:64] if isinstance(found, str) else ""


class Provider:
    """One provider, with its documents as long as they keep. Shared by all sign-ins."""

    def __init__(self, known: Registration, egress: Egress, clock: Clock) -> None:
        self.known = known
        self._egress = egress
        self._clock = clock
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, dict[str, Any]] | None = None

    async def metadata(self) -> Metadata:
        """Raises Refused, Unavailable."""
        now = self._clock.monotonic()
        if self._metadata is None or self._metadata[0] + DOCUMENT_LIVES < now:
            url = self.known.issuer.rstrip("/") + "/.well-known/openid-configuration"
            answer = await self._fetch("GET", url)
            if answer.status != 200:
                raise Unavailable("The sign-in provider does not answer as it should.")
            self._metadata = (now, read_metadata(self.known, answer.body))
        return self._metadata[1]

    async def exchange(self, code: str, flow: Flow, redirect: str) -> Who:
        """Code for identity token. Raises Refused, Unavailable."""
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": flow.verifier,
        }
        headers = {"Accept": "application/json"} | self._credentials(metadata, form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form).encode()
        answer = await self._fetch("POST", metadata.token_endpoint, headers, body)
        if answer.status >= 500:
            raise Unavailable("The sign-in provider does not answer as it should.")
        if answer.status != 200:
            raise refused("code")
        token = _id_token(answer.body)
        try:
            return await self._read(token, flow, fresh=False)
        except UnknownKey:
            pass
        try:
            return await self._read(token, flow, fresh=True)
        except UnknownKey:
            raise refused("signature") from None

    async def _read(self, token: str, flow: Flow, *, fresh: bool) -> Who:
        keys = await self._key_set(fresh=fresh)
        return read_id_token(self.known, token, keys, flow.nonce, self._clock.unix())

    async def _key_set(self, *, fresh: bool) -> dict[str, Any]:
        now = self._clock.monotonic()
        lives = KEYS_AGAIN if fresh else DOCUMENT_LIVES
        if self._keys is None or self._keys[0] + lives < now:
            answer = await self._fetch("GET", (await self.metadata()).jwks_uri)
            try:
                found = msgspec.json.decode(answer.body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise refused("keys") from None
            if answer.status != 200 or not isinstance(found, dict):
                raise refused("keys")
            self._keys = (now, found)
        return self._keys[1]

    def _credentials(self, metadata: Metadata, form: dict[str, str]) -> dict[str, str]:
        """RFC 6749 section 2.3.1: Basic if the provider takes it, else in the body."""
        secret = self.known.client_secret
        form["client_id"] = self.known.client_id
        if secret is None:
            return {}
        if "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            del form["client_id"]
            pair = urlencode({self.known.client_id: secret.reveal()}).replace("=", ":", 1)
            return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        form["client_secret"] = secret.reveal()
        return {}

    async def _fetch(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        try:
            return await self._egress.fetch(
                method, url, headers=headers, body=body, most=DOCUMENT_BYTES, seconds=SECONDS
            )
        except EgressFailed:
            raise Unavailable("The sign-in provider does not answer.") from None
        except EgressRefused:
            raise refused("address or size") from None


def _id_token(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refused("token") from None
    token = found.get("id_token") if isinstance(found, dict) else None
    if not isinstance(token, str):
        raise refused("token")
    return token
