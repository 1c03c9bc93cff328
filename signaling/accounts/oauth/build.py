"""Makes the OAuth server of an installation out of what it stands on. Called by the composition
root, which adds `operations` to the API and `visits` to the application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

from signaling.accounts.oauth import operations as administration
from signaling.accounts.oauth.approvals import Approvals
from signaling.accounts.oauth.authorizing import Authorizing
from signaling.accounts.oauth.clients import Clients
from signaling.accounts.oauth.codes import Codes
from signaling.accounts.oauth.consents import Consents
from signaling.accounts.oauth.cors import CrossOrigin
from signaling.accounts.oauth.devices import Devices
from signaling.accounts.oauth.dpop import Dpop
from signaling.accounts.oauth.endpoints import Endpoints
from signaling.accounts.oauth.grants import Grants
from signaling.accounts.oauth.inspection import Inspection
from signaling.accounts.oauth.visits import Visits
from signaling.accounts.principal import Authenticator
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.signin import Directory
from signaling.bus.port import Bus
from signaling.compliance.audit.requests import RequestAudit
from signaling.config import Limits
from signaling.http.api.operation import Operation
from signaling.ids import Ids
from signaling.storage.port import Store


@dataclass(frozen=True, slots=True)
class OAuthServer:
    """`operations` are its API, `visits` its two pages."""

    clients: Clients
    consents: Consents
    operations: list[Operation]
    visits: Visits
    cross_origin: CrossOrigin

    def add_routes(self, app: web.Application) -> None:
        """Those that are no operations: two pages, and preflights."""
        self.visits.add_routes(app)
        self.cross_origin.add_routes(app)
        app.on_response_prepare.append(self.cross_origin.finish)


def make_dpop(
    store: Store, service: SessionService, origins: Callable[[web.Request], frozenset[str]]
) -> Dpop:
    """First: the authenticator needs it, and the OAuth server needs the authenticator."""
    return Dpop(store, service.keys, service.clock, origins)


def make_oauth(
    store: Store,
    bus: Bus,
    service: SessionService,
    directory: Directory,
    authenticator: Authenticator,
    dpop: Dpop,
    ids: Ids,
    limits: Limits,
    issuer: str,
    app_of: Callable[[web.Request], str],
    audit: RequestAudit,
    pages: Iterable[str] = (),
) -> OAuthServer:
    """`pages`: origins that may read its answers, beside those of the clients' redirect URIs."""
    clients = Clients(store, service.keys, service.entropy)
    consents = Consents(store, service.clock)
    codes, devices = Codes(store, service, ids), Devices(store, service, ids)
    approvals = Approvals(service, directory, consents)
    endpoints = Endpoints(
        clients,
        Grants(service, approvals, codes, devices),
        devices,
        Inspection(service, directory, issuer),
        dpop,
        limits,
        service.clock,
        issuer,
    )
    deps = administration.Deps(clients, consents, service, ids, service.clock)
    authorizing = Authorizing(clients, codes, approvals, issuer)
    return OAuthServer(
        clients,
        consents,
        [*endpoints.operations(), *administration.operations(deps)],
        Visits(authenticator, authorizing, approvals, clients, devices, bus, limits, audit),
        CrossOrigin(clients, service.clock, app_of, pages),
    )
