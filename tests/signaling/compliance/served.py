"""The HTTP operations of keys and audit as the server makes them, with people of every role."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from signaling.accounts.principal import Kind, Principal, Role
from signaling.accounts.sessions.scopes import ALL
from signaling.bus.local import LocalBus
from signaling.compliance.audit import operations as audit_operations
from signaling.config import Config, Limits
from signaling.errors import Code, Refused
from signaling.http.api.cursor import Cursors
from signaling.http.api.endpoint import Ports
from signaling.http.api.idempotency import Idempotency, Kept
from signaling.http.api.rates import RateLimiter
from signaling.http.api.router import add_routes
from signaling.http.edge import origin_check
from signaling.http.middleware import Middleware
from signaling.keys import operations as key_operations
from signaling.storage.table import Table
from tests.signaling.compliance.rig import AuditRig


@dataclass
class Served:
    """`ask` as somebody: a role's name, perhaps with a number (`owner`, `owner2`), or `""`."""

    rig: AuditRig
    client: aiohttp.ClientSession
    url: str

    async def ask(
        self, who: str, method: str, path: str, body: object = None, **query: str
    ) -> tuple[int, Any]:
        status, data, _ = await self.raw(who, method, path, body, query)
        return status, data

    async def raw(
        self,
        who: str,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        async with self.client.request(
            method, f"{self.url}/api/v1{path}", json=body, params=query, headers=headers
        ) as response:
            if response.content_type.endswith(("/json", "+json")):
                return response.status, await response.json(), response.headers
            return response.status, await response.read(), response.headers


class People:
    """Bearer `owner` or `owner2` is an account of that name with that role; `other-...` of
    another app.
    """

    def __init__(self, rig: AuditRig) -> None:
        self._rig = rig

    async def authenticate(self, request: web.Request) -> Principal:
        scheme, _, name = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return Principal(app="one")
        app, _, role = name.rpartition("-")
        known = role.rstrip("0123456789")
        if known not in set(Role):
            raise Refused(Code.TOKEN_INVALID, 401, "The token is not one of ours.")
        return Principal(
            app=app or "one",
            kind=Kind.ACCOUNT,
            account=name,
            session=f"s-{name}",
            token=f"t-{name}",
            roles=frozenset({Role(known)}),
            scopes=ALL,
            authenticated_at=self._rig.clock.unix(),
        )


@contextlib.asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Served]:
    rig = await AuditRig(directory).start()
    # What keys do and what the API records goes into the one log here.
    rig.keys.masters._audit = rig.keys.custodian._audit = rig.keys.envelope._audit = rig.audit
    store = rig.store
    ports = Ports(
        app="one",
        authenticator=People(rig),
        audit=rig.audit,
        rates=RateLimiter(LocalBus(rig.clock), 1000.0),
        idempotency=Idempotency(Table(store, "idempotency", Kept), rig.clock),
        cursors=Cursors(bytes(32), rig.keys.entropy.token),
        clock=rig.clock,
        limits=Limits(),
        reauth_seconds=300,
        client_address=lambda request: "192.0.2.77",
        check_transport=lambda request: None,
        check_origin=origin_check("", []),
    )
    deps = audit_operations.Deps(
        store.meta, store.log, rig.reader, rig.audit, rig.signers, rig.clock
    )
    manage = key_operations.Deps(rig.keys.custodian, rig.keys.rewrap, home="one")
    middleware = Middleware(Config(), hsts=False)
    app = web.Application(middlewares=middleware.chain())
    app.on_response_prepare.append(middleware.finish)
    listed = [*audit_operations.operations(deps), *key_operations.operations(manage)]
    add_routes(app, listed, ports)
    server = TestServer(app)
    await server.start_server()
    try:
        async with aiohttp.ClientSession() as client:
            yield Served(rig, client, str(server.make_url("")).rstrip("/"))
    finally:
        await server.close()
        await rig.stop()
