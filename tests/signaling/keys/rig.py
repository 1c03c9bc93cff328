"""Keys over a memory store with files as KMS, a clock that the test moves, and a list for audit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from signaling.clock import FakeClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.errors import Unavailable
from signaling.ids import SeededEntropy
from signaling.keys.custodian import Custodian
from signaling.keys.envelope import Envelope, Policy
from signaling.keys.masters import Masters
from signaling.keys.port import Context, Kms
from signaling.keys.providers.local import LocalKms
from signaling.keys.rewrap import Rewrap
from signaling.keys.table import KeyTable
from signaling.storage.memory import MemoryStore


class Switched:
    """A KMS with a switch: `down` makes it a KMS that does not answer."""

    provider = "local"

    def __init__(self, inner: Kms) -> None:
        self.inner = inner
        self.down = False
        self.calls: list[str] = []

    def _ask(self, call: str) -> None:
        self.calls.append(call)
        if self.down:
            raise Unavailable("The KMS does not answer.")

    async def create(self, name: str) -> str:
        self._ask("create")
        return await self.inner.create(name)

    async def wrap(self, reference: str, plaintext: bytes, context: Context) -> bytes:
        self._ask("wrap")
        return await self.inner.wrap(reference, plaintext, context)

    async def unwrap(self, reference: str, wrapped: bytes, context: Context) -> bytes:
        self._ask("unwrap")
        return await self.inner.unwrap(reference, wrapped, context)

    async def destroy(self, reference: str) -> None:
        self._ask("destroy")
        await self.inner.destroy(reference)

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Rig:
    """`another` is a second process on the same store."""

    directory: Path
    policy: Policy = field(default_factory=Policy)
    clock: FakeClock = field(default_factory=FakeClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    audit: MemoryAudit = field(default_factory=MemoryAudit)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock, self.entropy)
        self.kms = Switched(LocalKms(self.directory, self.entropy))
        self.table = KeyTable(self.store.meta)
        self.masters = Masters(self.table, {"local": self.kms}, self.audit, self.clock)
        self.envelope = self.another()
        self.custodian = Custodian(
            self.table, self.masters, self.envelope, self.audit, self.clock, wait_seconds=3600
        )
        self.rewrap = Rewrap(self.table, self.masters)

    def another(self) -> Envelope:
        return Envelope(
            KeyTable(self.store.meta), self.masters, self.audit, self.clock, self.entropy,
            self.policy,
        )  # fmt: skip

    async def start(self) -> Rig:
        await self.masters.ensure("local")
        await self.envelope.start()
        return self
