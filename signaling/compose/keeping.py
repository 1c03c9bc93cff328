"""What runs and answers for keys and audit over the core: upkeep, receivers, HTTP operations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiohttp import web

from signaling.clock import Clock, SystemClock
from signaling.compliance.audit import operations as audit_operations
from signaling.compliance.audit.calls import CallAudit
from signaling.compliance.audit.forward.forwarder import Forwarder
from signaling.compliance.audit.open import forwarders, retention
from signaling.compliance.audit.port import Audit, MemoryAudit
from signaling.compliance.audit.reader import Reader
from signaling.compliance.audit.requests import RequestAudit
from signaling.compliance.audit.retention import Retention
from signaling.compliance.audit.signer import Signers
from signaling.compliance.audit.writer import audited_apps
from signaling.compliance.pseudonyms.names import Pseudonyms
from signaling.compose.core import DEFAULT_APP, Core
from signaling.errors import ClientError, Unavailable
from signaling.http.api.operation import Operation
from signaling.http.middleware import client_address, parse_networks
from signaling.keys import operations as key_operations
from signaling.keys.custodian import Custodian
from signaling.keys.keeper import Keeper
from signaling.keys.port import Sealer
from signaling.keys.rewrap import Rewrap
from signaling.rtc.services import Hooks
from signaling.storage.memory import MemoryStore
from signaling.storage.port import Conflict, Store

log = logging.getLogger(__name__)

# Records leave whole days late or not at all: an hour is often enough to look.
RETENTION_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """`run` until cancelled; `operations` for the API."""

    store: Store
    keeper: Keeper
    forwarders: list[Forwarder]
    retention: Retention | None
    listed: list[Operation]

    def operations(self) -> list[Operation]:
        return self.listed

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.keeper.run())
            group.create_task(self._retain())
            for forwarder in self.forwarders:
                group.create_task(forwarder.run())

    async def _retain(self) -> None:
        while self.retention is not None:
            try:
                for app in await audited_apps(self.store.meta):
                    await self.retention.apply(app)
            except (Unavailable, ClientError, Conflict) as error:
                log.warning("audit: nothing was removed: %s", error)
            await asyncio.sleep(RETENTION_SECONDS)


def make_keeping(core: Core) -> Keeping:
    """Raises ConfigError for a receiver whose certificates cannot be read."""
    reader = Reader(core.store.log, core.sealer)
    keys = core.keyring
    audit: Audit = core.audit
    return Keeping(
        store=core.store,
        keeper=keys.keeper,
        forwarders=forwarders(core.config, core.store, reader, audit, core.clock, core.ids.new()),
        retention=retention(core.config, core.store, audit, core.clock),
        listed=_operations(
            core.store,
            reader,
            audit,
            core.signers,
            core.clock,
            keys.custodian,
            keys.rewrap,
            Pseudonyms(core.store, core.sealer, core.clock, core.entropy).veil,
        ),
    )


def make_call_audit(core: Core, hooks: Hooks | None) -> CallAudit:
    """Between the rooms and the webhooks."""
    return CallAudit(core.audit, core.clock, core.app, _addresses(core), hooks)


def make_request_audit(core: Core) -> RequestAudit:
    return RequestAudit(core.audit, core.clock, core.app, _addresses(core))


def _addresses(core: Core) -> Callable[[web.Request], str]:
    proxies = parse_networks(core.config.http.trusted_proxies)
    return lambda request: client_address(request, proxies)


def _operations(
    store: Store,
    reader: Reader,
    audit: Audit,
    signers: Signers,
    clock: Clock,
    custodian: Custodian,
    rewrap: Rewrap,
    veil: audit_operations.Veil | None = None,
) -> list[Operation]:
    read = audit_operations.Deps(store.meta, store.log, reader, audit, signers, clock, veil)
    manage = key_operations.Deps(custodian, rewrap, DEFAULT_APP)
    return [*key_operations.operations(manage), *audit_operations.operations(read)]


def described_keeping() -> list[Operation]:
    """For the documents: handlers that nobody calls, over a store in memory."""
    store, clock = MemoryStore(), SystemClock()
    reader = Reader(store.log, cast("Sealer", None))
    nothing = cast("Custodian", _Described())
    return _operations(
        store, reader, MemoryAudit(), cast("Signers", None), clock, nothing, cast("Rewrap", None)
    )


class _Described:
    """Has every verb that an operation binds when it is declared."""

    def __getattr__(self, name: str) -> object:
        return getattr(Custodian, name)
