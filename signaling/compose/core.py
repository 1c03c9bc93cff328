"""Store, bus, keys and audit of one server: what every other part stands on.

`open_core` opens them in order and registers their closing on the caller's stack.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from signaling.bus.open import open_bus
from signaling.bus.port import Bus
from signaling.clock import Clock, SystemClock
from signaling.compliance.audit.signer import Signers
from signaling.compliance.audit.writer import AuditLog, Pace
from signaling.config import Config
from signaling.errors import Unavailable
from signaling.ids import Entropy, Ids, SystemEntropy, SystemIds
from signaling.keys.envelope import Envelope
from signaling.keys.open import Keys, open_keys
from signaling.storage.apart import settle
from signaling.storage.open import open_stores
from signaling.storage.port import Store

# The app that a new installation has.
DEFAULT_APP = "default"


@dataclass(frozen=True, slots=True)
class Core:
    """Owned by the app; everybody else borrows its parts."""

    config: Config
    state: Path
    clock: Clock
    ids: Ids
    entropy: Entropy
    store: Store
    bus: Bus
    sealer: Envelope
    keyring: Keys
    audit: AuditLog
    signers: Signers
    app: str = DEFAULT_APP


class Stack(Protocol):
    """Closes what was opened, in reverse."""

    def push_async_callback(self, close: Callable[[], Awaitable[Any]], /) -> Any: ...


class StoreAway(Unavailable):
    """Nobody answers where the store should be, or we are not let in."""


async def open_core(config: Config, state: Path, stack: Stack) -> Core:
    """Raises ConfigError, StoreAway, or Unavailable when the KMS does not answer."""
    clock = SystemClock()
    ids, entropy = SystemIds(clock), SystemEntropy()
    store = await open_stores(config, state, clock, entropy)
    stack.push_async_callback(store.close)
    try:
        await store.ready()
        await settle(store, entropy)
    except Unavailable as error:
        raise StoreAway(error.message, error.retry_after) from error
    bus = await open_bus(config.bus, clock, entropy)
    stack.push_async_callback(bus.close)
    audit = AuditLog(
        store.meta, store.log, clock, ids, Pace(head_seconds=config.audit.head_seconds)
    )
    keys = await open_keys(config, state, store.meta, audit, clock, entropy)
    stack.push_async_callback(keys.close)
    sealer = keys.envelope
    keys.follow(bus)
    signers = Signers(store.meta, sealer, clock, entropy)
    await signers.start()
    # What the keys noted so far waits in the queue: the audit seals with them.
    await audit.start(sealer, signers)
    stack.push_async_callback(audit.close)
    return Core(config, state, clock, ids, entropy, store, bus, sealer, keys, audit, signers)
