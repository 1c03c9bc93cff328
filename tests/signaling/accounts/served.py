"""Accounts and real sessions behind the real framework of the API, on a port of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from signaling.accounts.oidc import Provider
from signaling.accounts.operations import bots, operations
from signaling.accounts.service import Service
from signaling.accounts.sessions import operations as session_operations
from signaling.accounts.sessions.authenticate import RequestAuthenticator
from signaling.accounts.sessions.bots import BotTokens
from signaling.accounts.sessions.records import Lifetimes
from signaling.accounts.sessions.revocation import Revocations
from signaling.accounts.sessions.service import SessionService, table
from signaling.accounts.sessions.tickets import Tickets
from signaling.accounts.sessions.tokens import derived_keys
from signaling.ids import SystemIds
from tests.signaling.accounts.rig import APP, PASSWORD, Rig, secret_of
from tests.signaling.http.api.behind import ADDRESS, answering, application, ports_of

OWN = "http://localhost"


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any


class Served:
    """`ask` speaks to it; `address` is where requests come from."""

    def __init__(self, rig: Rig, service: Service, client: aiohttp.ClientSession, url: str) -> None:
        self.rig = rig
        self.service = service
        self.client = client
        self.url = url

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "", **headers: str
    ) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            fields["Authorization"] = f"Bearer {token}"
        url = f"{self.url}/api/v1{path}"
        async with self.client.request(method, url, json=body, headers=fields) as response:
            data = await response.read()
            parsed = await response.json(content_type=None) if data else None
            return Answer(response.status, parsed, response.headers)

    async def owner(self) -> str:
        """A token of the first administrator, from the printed link."""
        link = await self.service.joining.setup_link(APP)
        assert link is not None
        return await self.join("root.ana", secret_of(link))

    async def join(self, login: str, link: str) -> str:
        body = {"login": login, "password": PASSWORD, "link": link}
        answer = await self.ask("POST", "/sign-up", body)
        assert answer.status == 200, answer.body
        return str(answer.body["access_token"])

    async def invite(self, token: str, *roles: str) -> str:
        answer = await self.ask("POST", "/invitations", {"roles": list(roles)}, token)
        assert answer.status == 201, answer.body
        return secret_of(answer.body["url"])

    async def member(self, owner: str, login: str, *roles: str) -> str:
        return await self.join(login, await self.invite(owner, *roles))

    async def sign_in(self, login: str, password: str = PASSWORD) -> Answer:
        return await self.ask("POST", "/sign-in/password", {"login": login, "password": password})


@contextlib.asynccontextmanager
async def served(rig: Rig, providers: Sequence[Provider] = ()) -> AsyncIterator[Served]:
    revocations = Revocations(rig.store, rig.bus, SystemIds(rig.clock))
    sessions = SessionService(
        table(rig.store, rig.tables.sealer),
        rig.registry,
        revocations,
        derived_keys(rig.tables.sealer.blind),
        rig.clock,
        SystemIds(rig.clock),
        rig.entropy,
        Lifetimes(),
    )
    service = Service(rig.parts, rig.registry, sessions, revocations, providers)
    who = RequestAuthenticator(sessions, lambda request: APP, lambda request: frozenset({OWN}))
    revocations.listen(who.forget)
    ports = ports_of(
        APP, who, rig.audit, rig.store, rig.clock, bus=rig.bus, entropy=rig.entropy, own=OWN,
        client_address=lambda request: request.headers.get("X-Test-Address", ADDRESS),
    )  # fmt: skip
    tokens = BotTokens(sessions, SystemIds(rig.clock))
    of_bots = bots.Deps(rig.registry, tokens, rig.clock, SystemIds(rig.clock))
    own = session_operations.Deps(sessions, Tickets(rig.store, sessions, SystemIds(rig.clock)))
    every = [*operations(service), *bots.operations(of_bots), *session_operations.operations(own)]
    revocations.start(sessions.look_again)
    try:
        async with answering(application(every, ports)) as (client, url):
            yield Served(rig, service, client, url)
    finally:
        await revocations.stop()
