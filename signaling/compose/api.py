"""The HTTP API: its ports, the operations of every room, and its routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from signaling.accounts.principal import Authenticator
from signaling.compose.core import Core
from signaling.config import Config
from signaling.http.api import asyncapi
from signaling.http.api.cursor import Cursors
from signaling.http.api.documents import Documents, Facts
from signaling.http.api.endpoint import Ports
from signaling.http.api.idempotency import Idempotency, Kept
from signaling.http.api.operation import Operation
from signaling.http.api.rates import RateLimiter
from signaling.http.api.router import add_routes
from signaling.http.api.secret import shared_secret
from signaling.http.edge import origin_check, transport_check
from signaling.http.middleware import client_address, parse_networks
from signaling.storage.table import Table


@dataclass(slots=True)
class Collected:
    """What the rooms brought. Complete before the routes are made."""

    operations: list[Operation] = field(default_factory=list)
    channels: list[asyncapi.Channel] = field(default_factory=list)
    features: dict[str, bool] = field(default_factory=dict)
    sync_versions: Sequence[str] = ()


def documents(config: Config, collected: Collected) -> Documents:
    """Their operations are appended to those that they describe."""
    facts = Facts(
        public_url=config.http.public_url,
        contact=config.api.security_contact,
        related_origins=config.api.related_origins,
        apple_apps=config.native.apple,
        android_apps={app.package: app.fingerprints for app in config.native.android},
        # The page asks strangers to sign in where they may not join.
        features={"guest_join": config.calls.guest_join, **collected.features},
        sync_versions=collected.sync_versions,
    )
    made = Documents(facts, lambda: collected.operations, lambda: collected.channels)
    collected.operations += made.operations()
    return made


async def make_ports(core: Core, authenticator: Authenticator, *, development: bool) -> Ports:
    config = core.config
    proxies = parse_networks(config.http.trusted_proxies)
    kept = Table(core.store, "idempotency", Kept, core.sealer, scope=_whose)
    secret = await shared_secret(core.store, core.sealer, core.entropy, "cursors")
    return Ports(
        app=core.app,
        authenticator=authenticator,
        audit=core.audit,
        rates=RateLimiter(
            core.bus, config.api.rate_factor, lambda caller: core.sealer.blind(core.app, caller)
        ),
        idempotency=Idempotency(kept, core.clock, core.ids.new(), alone=not config.store.url),
        cursors=Cursors(secret, core.entropy.token),
        clock=core.clock,
        limits=config.limits,
        reauth_seconds=config.api.reauth_seconds,
        client_address=lambda request: client_address(request, proxies),
        check_transport=transport_check(config.http.public_url, proxies, development=development),
        check_origin=origin_check(config.http.public_url, config.api.origins),
    )


async def serve_api(
    app: web.Application,
    core: Core,
    collected: Collected,
    authenticator: Authenticator,
    *,
    development: bool,
) -> None:
    documents(core.config, collected)
    ports = await make_ports(core, authenticator, development=development)
    add_routes(app, collected.operations, ports)


def _whose(app: str, key: str, kept: Kept) -> str:
    return f"account:{kept.account}" if kept.account else "meta"
