"""The OAuth server, served, with a few clients, and a person in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from signaling.accounts.oauth.build import OAuthServer, make_dpop, make_oauth
from signaling.accounts.oauth.clients import Client, GrantType
from signaling.accounts.oauth.dpop import token_hash
from signaling.accounts.oauth.pkce import challenge
from signaling.accounts.sessions import operations as session_operations
from signaling.compliance.audit.port import MemoryAudit
from signaling.compliance.audit.requests import RequestAudit
from signaling.config import Limits
from tests.signaling.http.api.behind import ADDRESS
from tests.signaling.sessions.conftest import house
from tests.signaling.sessions.house import APP, House
from tests.signaling.sessions.served import OWN, Served, authenticator, served

__all__ = ["auth", "house"]

BACK = "https://app.example/back?keep=1"
VERIFIER = "v" * 43
CHALLENGE = challenge(VERIFIER)
SCOPES = frozenset({"account:read", "messages:read", "messages:write"})


@dataclass
class Auth:
    """What a test holds."""

    house: House
    server: OAuthServer
    api: Served
    secrets: dict[str, str]
    ids: dict[str, str]

    async def add(self, name: str, *grants: GrantType, secret: bool = False, **more: Any) -> str:
        client = self.house.ids.new()
        token = self.server.clients.new_secret(APP, client)
        values: dict[str, Any] = {
            "redirect_uris": (BACK,), "scopes": SCOPES, "grants": frozenset(grants or GrantType),
        }  # fmt: skip
        record = Client(
            id=client, name=name, created_at=0.0, secrets=(token.id,) if secret else (),
            **{**values, **more},
        )  # fmt: skip
        await self.server.clients.rows.create(APP, client, record)
        self.ids[name] = client
        if secret:
            self.secrets[client] = token.text
        return client

    async def post(self, path: str, client: str = "", **form: str) -> tuple[int, Any]:
        status, body, _ = await self.send(path, form, client)
        return status, body

    async def send(
        self, path: str, form: Any, client: str = "", **headers: str
    ) -> tuple[int, Any, Any]:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if client:
            secret = self.secrets.get(client)
            if secret is None:
                form = {"client_id": client, **form}
            else:
                fields["Authorization"] = basic(client, secret)
        data = urlencode(form)
        fields.setdefault("Content-Type", "application/x-www-form-urlencoded")
        async with self.api.client.post(self.api.url + path, data=data, headers=fields) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None, answer.headers

    def query(self, client: str, **changes: str | None) -> str:
        values: dict[str, str | None] = {
            "response_type": "code", "client_id": client, "redirect_uri": BACK, "state": "s&t=1",
            "code_challenge": CHALLENGE, "code_challenge_method": "S256", "scope": "messages:read",
            "nonce": "ignored",
        }  # fmt: skip
        values |= changes
        return urlencode({name: value for name, value in values.items() if value is not None})

    async def visit(self, query: str, cookie: str = "") -> tuple[int, str, str]:
        """Status, location, page."""
        headers = {"Cookie": f"__Host-sotto={cookie}"} if cookie else {}
        url = f"{self.api.url}/oauth/authorize?{query}"
        async with self.api.client.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status == 200:
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def decide(
        self, page: str, cookie: str, decision: str = "allow", **headers: str
    ) -> tuple[int, str]:
        """Press a button of the consent page."""
        found = re.search(r'name="request" value="([^"]*)"', page)
        assert found is not None
        form = urlencode({"request": unescape(found[1]), "decision": decision})
        fields = {
            "Cookie": f"__Host-sotto={cookie}",
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/x-www-form-urlencoded",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.api.url + "/oauth/authorize"
        async with self.api.client.post(
            url, data=form, headers=fields, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers.get("Location", "")

    async def code(self, client: str, **changes: str | None) -> str:
        """A code, with consent."""
        cookie = await self.house.sign_in()
        status, location, page = await self.visit(self.query(client, **changes), cookie)
        if status == 200:
            status, location = await self.decide(page, cookie)
        assert status == 303
        return answer_of(location)["code"]

    async def exchange(self, client: str, code: str, /, **changes: str) -> tuple[int, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
            "code_verifier": VERIFIER,
        }  # fmt: skip
        return await self.post("/oauth/token", client, **{**form, **changes})

    async def tokens(self, client: str, **changes: str | None) -> Any:
        status, body = await self.exchange(client, await self.code(client, **changes))
        assert status == 200, body
        return body

    async def session(self, token: str, scheme: str = "Bearer", **headers: str) -> tuple[int, Any]:
        """The token used on the API."""
        fields = {"Authorization": f"{scheme} {token}", **headers}
        async with self.api.client.get(self.api.url + "/api/v1/session", headers=fields) as answer:
            return answer.status, await answer.json(content_type=None)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def answer_of(location: str) -> dict[str, str]:
    """The query of a redirect to the app."""
    assert location.startswith("https://app.example/back?")
    found = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert found["keep"] == "1" and found["iss"] == OWN
    return found


class Prover:
    """A client that holds a key (DPoP)."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        self.count = 0

    @property
    def thumbprint(self) -> str:
        text = json.dumps(
            {name: self.jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":")
        )
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:43]

    def proof(
        self, method: str, url: str, now: float, token: str | None = None, **changes: Any
    ) -> str:
        self.count += 1
        claims: dict[str, Any] = {
            "jti": f"proof-{id(self)}-{self.count}", "htm": method, "htu": url, "iat": int(now),
        }  # fmt: skip
        if token is not None:
            claims["ath"] = token_hash(token)
        header = {"typ": "dpop+jwt", "jwk": self.jwk} | changes.pop("header", {})
        claims |= changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="ES256", headers=header)


@pytest.fixture
async def auth(house: House) -> AsyncIterator[Auth]:
    dpop = make_dpop(house.store, house.service, lambda request: frozenset({OWN}))
    who, audit = authenticator(house, dpop), MemoryAudit()
    visits = RequestAudit(audit, house.clock, APP, lambda request: ADDRESS)
    server = make_oauth(
        house.store, house.bus, house.service, house.accounts, who, dpop, house.ids, Limits(), OWN,
        lambda request: APP, visits, ("https://listed.example",),
    )  # fmt: skip
    deps = session_operations.Deps(house.service, house.tickets)
    every = [*server.operations, *session_operations.operations(deps)]
    async with served(house, every, who, audit, more=server.add_routes) as api:
        yield Auth(house, server, api, {}, {})
