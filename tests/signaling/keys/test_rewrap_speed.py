"""10,000 data keys follow a new master within a minute, on the durable store, audited."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from signaling.clock import SystemClock
from signaling.compliance.audit.signer import Signers
from signaling.compliance.audit.writer import AuditLog
from signaling.config import Config
from signaling.ids import SystemEntropy, SystemIds
from signaling.keys.open import open_keys
from signaling.keys.permissions import OPERATOR
from signaling.storage.embedded import EmbeddedStore

KEYS = 10_000
SECONDS = 60.0


async def test_a12_ten_thousand_keys_are_wrapped_anew_within_a_minute(tmp_path: Path) -> None:
    clock, entropy = SystemClock(), SystemEntropy()
    store = EmbeddedStore(tmp_path / "store")
    audit = AuditLog(store.meta, store.log, clock, SystemIds(clock))
    keys = await open_keys(Config(), tmp_path, store.meta, audit, clock, entropy)
    signers = Signers(store.meta, keys.envelope, clock, entropy)
    await signers.start()
    await audit.start(keys.envelope, signers)
    for first in range(0, KEYS, 500):
        await asyncio.gather(
            *(keys.envelope.seal("one", f"room:{first + n}", b"aad", b"x") for n in range(500))
        )
    sealed = await keys.envelope.seal("one", "room:7", b"aad", b"x")
    await keys.custodian.rotate_master(OPERATOR)
    began = time.monotonic()
    moved = await keys.custodian.rewrap(OPERATOR, keys.rewrap)
    took = time.monotonic() - began
    print(f"{moved.done} keys in {took:.1f} s, {moved.done / took:.0f} a second")
    assert moved.done >= KEYS and moved.failed == 0 and took < SECONDS
    keys.envelope.forget_all()
    assert await keys.envelope.open("one", b"aad", sealed) == b"x"
    await audit.close()
    assert audit.healthy
    await keys.close()
    await store.close()
