"""A server started apart, and one person of every kind on it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signaling.http.api.role_table import BEARER
from tests.signaling.accounts.rig import PASSWORD, secret_of
from tests.signaling.accounts.test_server import Server

ROLES = ("member", "auditor", "compliance", "administrator", "owner")


@dataclass(frozen=True)
class People:
    """Tokens by the names of the role table; `other` is a second member."""

    server: Server
    tokens: Mapping[str, str]
    document: Mapping[str, Any]


@contextlib.asynccontextmanager
async def people(folder: Path, *settings: str) -> AsyncIterator[People]:
    async with Server(folder).running(*settings) as server:
        owner = await server.owner()
        tokens = {"anonymous": ""}
        for name in (*ROLES, "other", "revoked"):
            role = name if name in ROLES else "member"
            tokens[name] = await joined(server, owner, name, role)
        tokens["guest"] = await guest(server, owner)
        tokens[BEARER] = await granted(server, owner)
        status, _ = await server.ask("DELETE", "/session", token=tokens["revoked"])
        assert status == 204
        async with server.client.get(server.url + "/api/openapi.json") as answer:
            document = await answer.json()
        yield People(server, tokens, document)


async def joined(server: Server, owner: str, name: str, role: str) -> str:
    status, made = await server.ask("POST", "/invitations", {"roles": [role]}, owner)
    assert status == 201, made
    body = {"login": f"some.{name}", "password": PASSWORD, "link": secret_of(made["url"])}
    status, answer = await server.ask("POST", "/sign-up", body)
    assert status == 200, answer
    return str(answer["access_token"])


async def granted(server: Server, owner: str) -> str:
    """An access token with every permission."""
    status, made = await server.ask("POST", "/access/key-sets", {"name": "table"}, owner)
    assert "key_set" in made, made
    every = {"channels": {".*": 239}, "groups": {".*": 5}, "uuids": {".*": 104}}
    body = {"ttl": 60, "permissions": {"patterns": every}}
    path = f"/access/key-sets/{made['key_set']['id']}/tokens"
    status, answer = await server.ask("POST", path, body, owner)
    assert status == 201, answer
    return str(answer["token"])


async def guest(server: Server, owner: str) -> str:
    status, made = await server.ask("POST", "/guest-links", {"room": "lobby"}, owner)
    assert status == 201, made
    status, answer = await server.ask("POST", "/guests", {"link": secret_of(made["url"])})
    assert status == 200, answer
    return str(answer["access_token"])
