"""An audit over a memory store with real sealing, and hands that change what is stored."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from signaling.compliance.audit import entry
from signaling.compliance.audit.check import Report, check
from signaling.compliance.audit.port import AuditEvent
from signaling.compliance.audit.reader import Reader
from signaling.compliance.audit.signer import Signers
from signaling.compliance.audit.writer import AuditLog, Pace
from signaling.ids import SeededEntropy, SeededIds
from signaling.storage.port import Op, digest_of, link
from tests.signaling.keys.rig import Rig

SOON = Pace(flush_seconds=0.01, head_seconds=0.0, retry_seconds=0.02, record_seconds=2.0)


@dataclass
class AuditRig:
    """`keys.audit` is the list that the keys write to; the log under test is `audit`."""

    directory: Path
    pace: Pace = SOON
    seed: int = 1
    started: list[AuditLog] = field(default_factory=list)

    async def start(self) -> AuditRig:
        entropy = SeededEntropy(sum(self.directory.name.encode()))
        self.keys = await Rig(self.directory, entropy=entropy).start()
        self.store = self.keys.store
        self.clock = self.keys.clock
        self.signers = Signers(self.store.meta, self.keys.envelope, self.clock, self.keys.entropy)
        await self.signers.start()
        self.reader = Reader(self.store.log, self.keys.envelope)
        self.audit = await self.another()
        return self

    async def another(self) -> AuditLog:
        """A further process, or the same one after a restart."""
        self.seed += 1
        ids = SeededIds(self.clock, self.seed)
        log = AuditLog(self.store.meta, self.store.log, self.clock, ids, self.pace)
        await log.start(self.keys.envelope, self.signers)
        self.started.append(log)
        return log

    async def stop(self) -> None:
        for log in self.started:
            await log.close()
        self.started.clear()

    def event(self, action: str = "room.read", **more: object) -> AuditEvent:
        made = AuditEvent(at=self.clock.unix(), app="one", actor="account:a", action=action)
        return replace(made, **more)

    async def check(self, app: str = "one", pinned: entry.SignedHead | None = None) -> Report:
        public = await self.signers.public_keys()
        return await check(self.store.meta, self.store.log, app, public, pinned)

    def ops(self, app: str = "one") -> list[Op]:
        """The stored list itself: what an intruder in the database holds."""
        return self.store.log._rooms[app, entry.ROOM].ops

    def forge_chain(self, app: str = "one") -> None:
        """Computes every link anew, as a careful intruder would."""
        room = self.store.log._rooms[app, entry.ROOM]
        chain = bytes(32)
        for place, op in enumerate(room.ops):
            chain = link(chain, op.ident, op.version, digest_of(op))
            room.ops[place] = replace(op, seq=place + 1, chain=chain)
        room.chain = chain


async def until(what: object, seconds: float = 60.0) -> None:
    """Waits for a callable to become true."""
    assert callable(what)
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.01)
