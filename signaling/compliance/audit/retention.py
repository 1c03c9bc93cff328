"""Removes audit records beyond their own time, and leaves a signed head where they ended.

The log is cut at a signed head only, which is kept: so what remains can still be verified from its
first record on. Driven by the composition root now and then. Not shortened by any other retention.
"""

from __future__ import annotations

import msgspec

from signaling.clock import Clock
from signaling.compliance.audit import entry
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.storage.port import Log, Meta

FLOORS = "audit_floor"
CHUNK = 500


class Retention:
    """`seconds`: how long a record is kept at least."""

    def __init__(self, meta: Meta, ops: Log, audit: Audit, clock: Clock, seconds: float) -> None:
        self._meta = meta
        self._ops = ops
        self._audit = audit
        self._clock = clock
        self._seconds = seconds

    async def apply(self, app: str) -> int:
        """How many entries went."""
        head = await self._ops.head(app, entry.ROOM)
        cut = await self._cut(app, head.floor)
        if cut is None:
            return 0
        document = await self._meta.get(app, FLOORS, FLOORS)
        version = 0 if document is None else document.version
        # The head first: a log cut without it could not be verified any more.
        await self._meta.put(app, FLOORS, FLOORS, entry.encode_head(cut), expect=version)
        event = AuditEvent(
            at=self._clock.unix(),
            app=app,
            actor="system:audit",
            action="audit.purge",
            details={"upto": str(cut.seq), "count": str(cut.seq - head.floor)},
        )
        await self._audit.record(event)
        await self._ops.purge(app, entry.ROOM, cut.seq)
        return cut.seq - head.floor

    async def _cut(self, app: str, floor: int) -> entry.SignedHead | None:
        """The last signed head all of whose records are old enough: a head is not older than what
        it covers, give or take the clocks.
        """
        oldest = self._clock.unix() - self._seconds
        found: entry.SignedHead | None = None
        after = floor
        while ops := await self._ops.read(app, entry.ROOM, after=after, limit=CHUNK):
            for op in ops:
                after = op.seq
                if op.erased or op.body[:1] != entry.HEAD:
                    continue
                try:
                    head = entry.decode_head(op.body)
                except msgspec.DecodeError:
                    continue
                if head.at >= oldest:
                    return found
                if head.seq > floor:
                    found = head
        return found


async def floor_of(meta: Meta, app: str) -> entry.SignedHead | None:
    """None also for what is no head: `verify` then says that the beginning is gone."""
    document = await meta.get(app, FLOORS, FLOORS)
    try:
        return None if document is None else entry.decode_head(document.value)
    except msgspec.DecodeError:
        return None
