"""What stands around a server in the dump test: an OpenID provider and a mail server that talk.

Both are small and of our own, so that they can say canaries: the real provider of tests/peers shows
that sign-in works, this one that nothing of what it says is kept.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.proofs.canaries import Canaries
from tests.signaling.accounts.test_mail import Box, running
from tests.signaling.compliance.certificates import Pki

CLIENT = "sotto-at-the-provider"


def context(pki: Pki) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pki.certificate, pki.key)
    return made


@dataclass
class Provider:
    """Signs in whoever comes as the same person; every token that it gives is a canary."""

    canaries: Canaries
    port: int = 0
    nonces: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def document(self, request: web.Request) -> web.Response:
        ends = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        found = {name: f"{self.issuer}/{name}" for name in ends}
        return web.json_response({"issuer": self.issuer, **found})

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [self._key.as_dict(private=False)]})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        now, new = int(time.time()), self.canaries.new
        self.canaries.learn("verifier of a provider's flow", str(form["code_verifier"]))
        claims: dict[str, Any] = {
            "iss": self.issuer, "sub": new("provider.subject"), "aud": CLIENT, "iat": now,
            "exp": now + 300, "nonce": self.nonces[str(form["code"])],
            "preferred_username": new("provider.login"), "name": new("provider.name"),
            "email": f"{new('provider.mail')}@example.org", "picture": new("provider.picture"),
        }  # fmt: skip
        told = {
            "access_token": new("provider.access_token"),
            "refresh_token": new("provider.refresh_token"),
            "id_token": jwt.encode({"alg": "ES256", "kid": "one"}, claims, self._key),
            "token_type": "Bearer",
        }
        self.canaries.learn("provider.id_token", told["id_token"])
        return web.json_response(told)

    def came_back(self, location: str) -> dict[str, str]:
        """What the provider's redirect would bring to our page."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        for name in ("state", "nonce", "code_challenge"):
            self.canaries.learn(f"{name} of a provider's flow", query[name])
        code = self.canaries.new(f"provider.code.{len(self.nonces)}")
        self.nonces[code] = query["nonce"]
        return {"state": query["state"], "code": code}


@contextlib.asynccontextmanager
async def provider(pki: Pki, canaries: Canaries) -> AsyncIterator[Provider]:
    made = Provider(canaries)
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", made.document)
    app.router.add_get("/jwks_uri", made.keys)
    app.router.add_post("/token_endpoint", made.token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context(pki))
    await site.start()
    try:
        assert runner.addresses
        made.port = runner.addresses[0][1]
        yield made
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def mail(pki: Pki) -> AsyncIterator[tuple[Box, int]]:
    box = Box(context(pki))
    async with running(box, implicit=True) as port:
        yield box, port
