"""What stands behind the framework of the API in tests: its ports, with nothing in their way, and
the web server around the operations of a rig.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from signaling.accounts.principal import Authenticator
from signaling.bus.local import LocalBus
from signaling.bus.port import Bus
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit
from signaling.config import Config, Limits
from signaling.http.api.cursor import Cursors
from signaling.http.api.endpoint import Ports
from signaling.http.api.idempotency import Idempotency, Kept
from signaling.http.api.operation import Operation
from signaling.http.api.rates import RateLimiter
from signaling.http.api.router import add_routes
from signaling.http.edge import origin_check
from signaling.http.middleware import Middleware
from signaling.ids import Entropy, SystemEntropy
from signaling.storage.port import Store
from signaling.storage.table import Table

ADDRESS = "192.0.2.77"


def ports_of(
    app: str,
    authenticator: Authenticator,
    audit: Audit,
    store: Store,
    clock: Clock,
    *,
    bus: Bus | None = None,
    entropy: Entropy | None = None,
    factor: float = 1000.0,
    own: str = "",
    friends: Sequence[str] = (),
    client_address: Callable[[web.Request], str] = lambda request: ADDRESS,
) -> Ports:
    """`factor`: how much more than usual may be asked; `own` and `friends` are origins."""
    return Ports(
        app=app,
        authenticator=authenticator,
        audit=audit,
        rates=RateLimiter(bus or LocalBus(clock), factor),
        idempotency=Idempotency(Table(store, "idempotency", Kept), clock, "here"),
        cursors=Cursors(bytes(32), (entropy or SystemEntropy()).token),
        clock=clock,
        limits=Limits(),
        reauth_seconds=300,
        client_address=client_address,
        check_transport=lambda request: None,
        check_origin=origin_check(own, friends),
    )


def application(
    operations: Sequence[Operation],
    ports: Ports,
    more: Callable[[web.Application], None] = lambda app: None,
) -> web.Application:
    """`more` adds routes that are no operations, before these."""
    middleware = Middleware(Config(), hsts=False)
    app = web.Application(middlewares=middleware.chain())
    app.on_response_prepare.append(middleware.finish)
    more(app)
    add_routes(app, operations, ports)
    return app


@contextlib.asynccontextmanager
async def answering(app: web.Application) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A client without cookies of its own, and where it finds the server."""
    server = TestServer(app)
    # As in production, where nobody logs paths: they hold tokens and names of rooms.
    await server.start_server(access_log=None)
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
            yield client, str(server.make_url("")).rstrip("/")
    finally:
        await server.close()
