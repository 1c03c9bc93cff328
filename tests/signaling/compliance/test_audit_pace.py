"""When the audit writes: what is there at once, what comes meanwhile at its own time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from signaling.compliance.audit.reader import Filter
from signaling.compliance.audit.writer import Pace
from signaling.storage.port import Appended, NewOp
from tests.signaling.compliance.rig import AuditRig, until


class Busy:
    """The store's log, and a request that leaves its note while each append is on its way."""

    def __init__(self, rig: AuditRig, left: int) -> None:
        self.inner, self.audit, self.event = rig.store.log, rig.audit, rig.event
        self.left, self.sizes = left, list[int]()

    async def append(self, app: str, room: str, ops: list[NewOp]) -> list[Appended]:
        self.sizes.append(len(ops))
        if self.left:
            self.left -= 1
            self.audit.note(self.event(f"test.{self.left}"))
        return await self.inner.append(app, room, ops)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


async def test_b11_what_comes_while_it_writes_has_a_time_of_its_own(tmp_path: Path) -> None:
    """A busy server would else commit without end, one or two records each time."""
    rig = await AuditRig(tmp_path, Pace(flush_seconds=60.0, head_seconds=60.0)).start()
    rig.audit._ops = busy = Busy(rig, left=5)  # type: ignore[assignment]
    await rig.audit.record(rig.event("act"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert (busy.sizes, rig.audit.queued) == ([1], 1)
    # Whoever waits takes it along, in order; and the end leaves nothing behind.
    await rig.audit.record(rig.event("act"))
    await rig.stop()
    found = await rig.reader.page("one", Filter())
    actions = [item.record.action for item in reversed(found.items)]
    assert actions == ["act", "test.4", "act", "test.3", "test.2", "test.1", "test.0"]
    assert (await rig.check()).good


async def test_b11_what_comes_while_it_writes_is_written_soon_too(tmp_path: Path) -> None:
    rig = await AuditRig(tmp_path, Pace(flush_seconds=0.01, head_seconds=60.0)).start()
    rig.audit._ops = busy = Busy(rig, left=5)  # type: ignore[assignment]
    rig.audit.note(rig.event("act"))
    await until(lambda: rig.audit.queued == busy.left == 0)
    assert busy.sizes == [1] * 6
    await rig.stop()
    assert (await rig.check()).records == 6
