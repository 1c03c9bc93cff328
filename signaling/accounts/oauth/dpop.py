"""Proof of possession (DPoP, RFC 9449): a token that is bound to a key is nothing without it.

`read_proof` is pure: it checks form, signature, method, address, time and token hash of one proof.
`Dpop` adds what needs memory: nonces (ours, signed, minutes to live, so nothing is kept) and the
replay list of `jti`s, which lies in the store, so that a proof counts once in all processes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import msgspec
from aiohttp import web

from signaling.accounts.sessions.authenticate import Proofs
from signaling.accounts.sessions.cookies import origin_of
from signaling.accounts.sessions.tokens import TagKeys
from signaling.clock import Clock
from signaling.errors import Code, Refused
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

HEADER = "DPoP"
NONCE = "DPoP-Nonce"
ALGORITHMS = ("ES256", "ES384", "EdDSA", "PS256", "RS256")
FRESH = 60.0
"""How far `iat` may be from now, both ways."""
NONCE_SECONDS = 300
LONGEST = 8192
KIND = "dpop_jti"
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


class BadProof(Exception):  # noqa: N818 - names what happened
    """`nonce`: a new one must be used (`use_dpop_nonce`)."""

    def __init__(self, *, nonce: bool = False) -> None:
        super().__init__("The DPoP proof is not valid.")
        self.nonce = nonce


class Proof(msgspec.Struct, frozen=True):
    """A proof whose signature holds."""

    thumbprint: str
    jti: str
    nonce: str


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638. Raises BadProof for a key type that is not one of ours."""
    members = _MEMBERS.get(str(jwk.get("kty")))
    if members is None or not all(isinstance(jwk.get(name), str) for name in members):
        raise BadProof
    text = json.dumps({name: jwk[name] for name in members}, separators=(",", ":"), sort_keys=True)
    return _b64(hashlib.sha256(text.encode()).digest())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token_hash(token: str) -> str:
    """`ath`, section 4.2."""
    return _b64(hashlib.sha256(token.encode("ascii")).digest())


def read_proof(
    text: str, method: str, urls: frozenset[str], now: float, token: str | None = None
) -> Proof:
    """Section 4.3. `urls`: how this address may be written. Raises BadProof."""
    if len(text) > LONGEST:
        raise BadProof
    try:
        header = jwt.get_unverified_header(text)
        jwk, algorithm = header.get("jwk"), header.get("alg")
        if header.get("typ") != "dpop+jwt" or algorithm not in ALGORITHMS:
            raise BadProof
        if not isinstance(jwk, dict) or _PRIVATE & jwk.keys():
            raise BadProof
        print_of_key = thumbprint(jwk)
        key = jwt.PyJWK.from_dict(jwk, algorithm=algorithm)
        claims: dict[str, Any] = jwt.decode(
            text,
            key.key,
            algorithms=[algorithm],
            options={
                "verify_exp": False,  # the claims of a proof are others, and time is given
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadProof from error
    _check_claims(claims, method, urls, now, token)
    return Proof(print_of_key, claims["jti"], str(claims.get("nonce", "")))


def _check_claims(
    claims: Mapping[str, Any], method: str, urls: frozenset[str], now: float, token: str | None
) -> None:
    issued, jti = claims.get("iat"), claims.get("jti")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise BadProof
    if not now - FRESH <= issued <= now + FRESH:
        raise BadProof
    if not isinstance(jti, str) or not 8 <= len(jti) <= 256:
        raise BadProof
    if claims.get("htm") != method or _plain_url(claims.get("htu")) not in urls:
        raise BadProof
    if token is not None:
        ath = claims.get("ath")
        if not isinstance(ath, str) or not hmac.compare_digest(
            ath.encode(), token_hash(token).encode()
        ):
            raise BadProof


def _plain_url(url: object) -> str:
    """Without query and fragment, the origin in one form."""
    if not isinstance(url, str):
        return ""
    plain = url.partition("#")[0].partition("?")[0]
    origin = origin_of(plain)
    path = plain.split("/", 3)[3] if plain.count("/") >= 3 else ""
    return f"{origin}/{path}" if origin else ""


class Jti(msgspec.Struct, frozen=True):
    """A proof that was used."""

    at: float


class Dpop(Proofs):
    """See the module. `origins`: those of this server, as a client may name it."""

    def __init__(
        self,
        store: Store,
        keys: TagKeys,
        clock: Clock,
        origins: Callable[[web.Request], frozenset[str]],
    ) -> None:
        self._used: Table[Jti] = Table(store, KIND, Jti)
        self._keys = keys
        self._clock = clock
        self._origins = origins

    # Nonces

    def nonce(self, app: str) -> str:
        """Sections 8 and 9: the second it was made, and our tag over it."""
        made = int(self._clock.unix()).to_bytes(8, "big")
        return _b64(made + self._tag(app, made))

    def _tag(self, app: str, made: bytes) -> bytes:
        return hmac.digest(self._keys(app)[0], b"dpop nonce" + made, "sha256")[:16]

    def _is_fresh(self, app: str, nonce: str) -> bool:
        try:
            data = base64.urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
        except ValueError:
            return False
        made, tag = data[:8], data[8:]
        if not hmac.compare_digest(tag, self._tag(app, made)):
            return False
        age = self._clock.unix() - int.from_bytes(made, "big")
        return -FRESH <= age <= NONCE_SECONDS

    # Proofs

    async def thumbprint(self, request: web.Request, app: str, token: str | None) -> str | None:
        """Of the key that this request proves to hold; None without a proof. Raises BadProof."""
        fields = request.headers.getall(HEADER, [])
        if not fields:
            return None
        if len(fields) > 1:
            raise BadProof
        urls = frozenset(f"{origin}{request.path}" for origin in self._origins(request))
        proof = read_proof(fields[0], request.method, urls, self._clock.unix(), token)
        if not self._is_fresh(app, proof.nonce):
            raise BadProof(nonce=True)
        await self._spend(app, proof)
        return proof.thumbprint

    async def _spend(self, app: str, proof: Proof) -> None:
        now = self._clock.unix()
        key = hashlib.sha256(f"{proof.thumbprint} {proof.jti}".encode()).hexdigest()
        try:
            await self._used.create(app, key, Jti(now), expires=now + 2 * FRESH)
        except Conflict:
            raise BadProof from None

    async def check(self, request: web.Request, app: str, text: str, thumbprint: str) -> None:
        """Section 7.1: the proof for a token that is bound to a key. Raises Refused (401)."""
        try:
            shown = await self.thumbprint(request, app, text)
            if shown is None or not hmac.compare_digest(shown, thumbprint):
                raise BadProof
        except BadProof as error:
            word = "use_dpop_nonce" if error.nonce else "invalid_dpop_proof"
            challenge = f'DPoP error="{word}", algs="{" ".join(ALGORITHMS)}"'
            headers = {"WWW-Authenticate": challenge, NONCE: self.nonce(app)}
            raise Refused(Code.TOKEN_INVALID, 401, str(error), headers=headers) from None
