"""The house of sessions behind the real framework of the API, on a port of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from signaling.accounts.sessions.authenticate import Proofs, RequestAuthenticator
from signaling.compliance.audit.port import MemoryAudit
from signaling.config import Config, Limits
from signaling.http.api.cursor import Cursors
from signaling.http.api.endpoint import Ports
from signaling.http.api.idempotency import Idempotency, Kept
from signaling.http.api.operation import Operation
from signaling.http.api.rates import RateLimiter
from signaling.http.api.router import add_routes
from signaling.http.edge import origin_check
from signaling.http.middleware import Middleware
from signaling.storage.table import Table
from tests.signaling.sessions.house import APP, House

OWN = "https://meet.example.org"


class Served:
    """`client` speaks to it; `audit` is what was recorded."""

    def __init__(self, client: aiohttp.ClientSession, url: str, audit: MemoryAudit) -> None:
        self.client = client
        self.url = url
        self.audit = audit


def authenticator(house: House, proofs: Proofs | None = None) -> RequestAuthenticator:
    made = RequestAuthenticator(
        house.service, lambda request: APP, lambda request: frozenset({OWN}), proofs=proofs
    )
    house.revocations.listen(made.forget)
    return made


def ports(house: House, audit: MemoryAudit, who: RequestAuthenticator) -> Ports:
    return Ports(
        app=APP,
        authenticator=who,
        audit=audit,
        rates=RateLimiter(house.bus, 1000.0),
        idempotency=Idempotency(Table(house.store, "idempotency", Kept), house.clock),
        cursors=Cursors(bytes(32), house.entropy.token),
        clock=house.clock,
        limits=Limits(),
        reauth_seconds=300,
        client_address=lambda request: "192.0.2.77",
        check_transport=lambda request: None,
        check_origin=origin_check(OWN, []),
    )


@contextlib.asynccontextmanager
async def served(
    house: House,
    operations: Sequence[Operation],
    who: RequestAuthenticator | None = None,
    audit: MemoryAudit | None = None,
    more: Callable[[web.Application], None] = lambda app: None,
) -> AsyncIterator[Served]:
    audit = audit or MemoryAudit()
    middleware = Middleware(Config(), hsts=False)
    app = web.Application(middlewares=middleware.chain())
    app.on_response_prepare.append(middleware.finish)
    more(app)
    add_routes(app, operations, ports(house, audit, who or authenticator(house)))
    server = TestServer(app)
    await server.start_server()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
            yield Served(client, str(server.make_url("")).rstrip("/"), audit)
    finally:
        await server.close()
