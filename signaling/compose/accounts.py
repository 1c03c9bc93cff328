"""Accounts over the core: the directory that sessions ask, then sign-in, administration, letters.

Two steps, since sessions stand between them: `make_registry` first, `open_accounts` when sessions
are there. The outbound guard is made here too and lent to whoever else calls out.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import cast

from signaling.accounts import opening
from signaling.accounts.operations import operations
from signaling.accounts.parts import Parts, no_mail
from signaling.accounts.passwords.blocklist import shipped
from signaling.accounts.passwords.hashing import Cost, HashPool
from signaling.accounts.registry import Registry
from signaling.accounts.service import Service
from signaling.accounts.sessions.port import Revoker
from signaling.accounts.settings import Settings
from signaling.accounts.signin import Sessions
from signaling.accounts.tables import Tables
from signaling.bus.local import LocalBus
from signaling.clock import SystemClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.compose.core import Core
from signaling.egress import Egress
from signaling.http.api.operation import Operation
from signaling.ids import SystemEntropy, SystemIds
from signaling.keys.port import Sealer
from signaling.storage.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Accounts:
    """`setup_link` is None once there is an owner. Print it, never log it."""

    service: Service
    egress: Egress
    setup_link: str | None

    def operations(self) -> list[Operation]:
        return operations(self.service)


def make_registry(core: Core) -> Registry:
    """The `Directory` of sessions."""
    return Registry(Tables(core.store, core.sealer), core.clock)


async def open_accounts(
    core: Core,
    registry: Registry,
    sessions: Sessions,
    revoker: Revoker,
    stack: contextlib.AsyncExitStack,
    public_url: str = "",
) -> Accounts:
    """`public_url` where the configuration has none. Raises ConfigError, Unavailable."""
    config = core.config
    settings = opening.settings_of(config, public_url)
    pool = stack.enter_context(contextlib.closing(opening.hash_pool(config, core.entropy)))
    egress = opening.egress(config)
    stack.push_async_callback(egress.close)
    mailer = opening.mailer(config, settings.product)
    if mailer is not None:
        task = asyncio.create_task(mailer.run(), name="mail")
        stack.callback(task.cancel)
    parts = Parts(
        tables=registry.tables,
        bus=core.bus,
        hashes=pool,
        clock=core.clock,
        ids=core.ids,
        entropy=core.entropy,
        audit=core.audit,
        settings=settings,
        blocked=shipped(),
        mail=mailer.hand if mailer is not None else no_mail,
        mail_works=mailer is not None,
    )
    providers = opening.providers(config, egress, core.clock)
    service = Service(parts, registry, sessions, revoker, providers)
    return Accounts(service, egress, await service.joining.setup_link(core.app))


def described_accounts() -> list[Operation]:
    """The operations without a server; their handlers are never called."""
    clock, entropy = SystemClock(), SystemEntropy()
    store, nothing = MemoryStore(clock), object()
    tables = Tables(store, cast(Sealer, nothing))
    pool = HashPool(Cost(memory_kib=8, passes=1), entropy, workers=1, waiting=1)
    pool.close()
    parts = Parts(
        tables=tables,
        bus=LocalBus(clock),
        hashes=pool,
        clock=clock,
        ids=SystemIds(clock),
        entropy=entropy,
        audit=MemoryAudit(),
        settings=Settings(),
        blocked=frozenset(),
    )
    registry = Registry(tables, clock)
    return operations(Service(parts, registry, cast(Sessions, nothing), cast(Revoker, nothing)))
