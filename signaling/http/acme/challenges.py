"""Challenges that are pending, and how the two listeners answer them.

http-01 (RFC 8555 section 8.3) is a text at a well-known path; tls-alpn-01 (RFC 8737) a self-signed
certificate shown to whoever asks for `acme-tls/1`. Written by the client's thread and read by the
loop; each access is one dict operation.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from acme import challenges
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwk import JWK

from signaling.errors import ClientError, Code
from signaling.http.acme.shared import SharedTexts
from signaling.http.hello import Hello
from signaling.http.tls_accept import ACME

PATH = "/.well-known/acme-challenge/"
# RFC 8737 section 6.1.
_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


@challenges.ChallengeResponse.register
class TlsAlpn01Response(challenges.KeyAuthorizationChallengeResponse):
    """The answer has no members of its own."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """The library dropped this challenge; a digest and a certificate are all there is to it."""

    response_cls = TlsAlpn01Response
    typ = response_cls.typ

    def validation(self, account_key: JWK, **kwargs: Any) -> str:
        return self.key_authorization(account_key)


class Pending:
    """What to answer now. Empty but for the seconds of an order. With `shared`, http-01 is answered
    for every node of the installation; tls-alpn-01 by the node that ordered alone.
    """

    def __init__(self, shared: SharedTexts | None = None) -> None:
        self._shared = shared
        self._texts: dict[str, str] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    @contextlib.contextmanager
    def text(self, token: str, authorization: str) -> Iterator[None]:
        self._texts[token] = authorization
        if self._shared is not None:
            self._shared.put(token, authorization)
        try:
            yield
        finally:
            self._texts.pop(token, None)
            if self._shared is not None:
                self._shared.drop(token)

    @contextlib.contextmanager
    def certificate(self, name: str, authorization: str, now: datetime) -> Iterator[None]:
        self._contexts[name.lower()] = challenge_context(name, authorization, now)
        try:
            yield
        finally:
            self._contexts.pop(name.lower(), None)

    def context_of(self, hello: Hello) -> ssl.SSLContext | None:
        return self._contexts.get(hello.server_name)

    async def answer(self, request: web.Request) -> web.Response:
        """Of the http-01 listener: a known token, or nothing."""
        if not request.path.startswith(PATH):
            raise ClientError(Code.TLS_REQUIRED, 400, "Use https: this was sent in the clear.")
        token = request.path.removeprefix(PATH)
        text = self._texts.get(token)
        if text is None and self._shared is not None:
            text = await self._shared.find(token)
        if text is None:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such challenge.")
        return web.Response(body=text.encode(), content_type="application/octet-stream")


def challenge_context(name: str, authorization: str, now: datetime) -> ssl.SSLContext:
    """A context that shows the digest of the key authorization and speaks nothing but ACME."""
    key = ec.generate_private_key(ec.SECP256R1())
    digest = hashlib.sha256(authorization.encode()).digest()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        # An OCTET STRING of 32 bytes in DER (RFC 8737 section 3).
        .add_extension(x509.UnrecognizedExtension(_IDENTIFIER, b"\x04\x20" + digest), critical=True)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ACME.decode()])
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Python loads keys from files only; this one is for a certificate that nobody trusts.
    descriptor, path = tempfile.mkstemp(prefix="sotto-acme-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        context.load_cert_chain(path)
    finally:
        Path(path).unlink()
    return context


def utc(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
