"""Reads an app's audit log for an auditor: newest first, filtered, page by page.

Borrowed by the HTTP operations and the command line; who may read is decided there. Records are
opened one by one, so a page looks at a bounded number of them and says where it stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from signaling.compliance.audit import entry
from signaling.compliance.audit.entry import Record
from signaling.compliance.audit.forward.port import head_record
from signaling.compliance.audit.port import Result
from signaling.keys.port import IntegrityError, KeyDestroyed, Sealer, UnknownKey
from signaling.storage.port import Log, Op

# Entries opened for one page: a narrow filter over a long log answers with short pages.
LOOKED_AT = 5000
CHUNK = 500
# Clocks of several processes, and the wait in the writer's queue: order in time is this exact.
SLACK = 120.0


@dataclass(frozen=True)
class Filter:
    """All given parts must fit. `action` and `actor` may end in `*`. Times are Unix seconds."""

    actor: str = ""
    action: str = ""
    target: str = ""
    result: Result | None = None
    code: str = ""
    request_id: str = ""
    since: float | None = None
    until: float | None = None

    def fits(self, record: Record) -> bool:
        return (
            _like(self.actor, record.actor)
            and _like(self.action, record.action)
            and _like(self.target, record.target)
            and (self.result is None or self.result == record.result)
            and self.code in ("", record.code)
            and self.request_id in ("", record.request_id)
            and (self.since is None or record.at >= self.since)
            and (self.until is None or record.at < self.until)
        )


@dataclass(frozen=True)
class Found:
    """A record and its place in the log."""

    seq: int
    record: Record


@dataclass(frozen=True)
class Results:
    """`next` is the place below which the next page begins; None at the end of the log."""

    items: list[Found]
    next: int | None


class Reader:
    """Holds nothing between calls."""

    def __init__(self, ops: Log, sealer: Sealer) -> None:
        self._ops = ops
        self._sealer = sealer

    async def page(
        self, app: str, wanted: Filter, *, before: int | None = None, limit: int = 50
    ) -> Results:
        items: list[Found] = []
        looked = 0
        if before is None:
            before = await self._start(app, wanted)
        while looked < LOOKED_AT:
            ops = await self._ops.read(app, entry.ROOM, before=before, limit=CHUNK)
            for op in reversed(ops):
                looked += 1
                found = await self._open(app, op)
                if found is not None and _too_old(found.record, wanted):
                    return Results(items, None)
                if found is not None and wanted.fits(found.record):
                    items.append(found)
                    if len(items) == limit:
                        return Results(items, op.seq)
            if len(ops) < CHUNK:
                return Results(items, None)
            before = ops[0].seq
        return Results(items, before)

    async def every(self, app: str, wanted: Filter, *, bound: int) -> AsyncIterator[Record]:
        """All that fits, newest first, at most `bound`: for exports."""
        before: int | None = None
        while True:
            page = await self.page(app, wanted, before=before, limit=min(CHUNK, bound))
            for found in page.items:
                yield found.record
            bound -= len(page.items)
            before = page.next
            if before is None or bound <= 0:
                return

    async def following(self, app: str, after: int, limit: int) -> list[tuple[int, Record | None]]:
        """In order, for forwarding: records, and heads in the form of records. None stands for
        what is neither.
        """
        ops = await self._ops.read(app, entry.ROOM, after=after, limit=limit)
        return [(op.seq, await self._forwarded(app, op)) for op in ops]

    async def _forwarded(self, app: str, op: Op) -> Record | None:
        if not op.erased and op.body[:1] == entry.HEAD:
            with contextlib.suppress(msgspec.DecodeError):
                return head_record(entry.decode_head(op.body))
            return damaged(app, op)
        found = await self._open(app, op)
        return None if found is None else found.record

    async def _open(self, app: str, op: Op) -> Found | None:
        """None for a head, and for a record that does not open: the sealer has raised the alarm,
        and one changed record must not hide the others.
        """
        if op.erased or op.body[:1] != entry.RECORD:
            return None
        aad = entry.place(app, op.ident, op.version)
        try:
            plain = await self._sealer.open(app, aad, op.body[1:])
            return Found(op.seq, entry.decode_record(plain))
        except (IntegrityError, UnknownKey, KeyDestroyed, msgspec.DecodeError):
            return Found(op.seq, damaged(app, op))

    async def _start(self, app: str, wanted: Filter) -> int | None:
        """The place from which on everything is too new, found by halving."""
        if wanted.until is None:
            return None
        head = await self._ops.head(app, entry.ROOM)
        low, high = head.floor, head.seq + 1
        while high - low > CHUNK:
            middle = (low + high) // 2
            at = await self._time(app, middle)
            if at is None or at < wanted.until + SLACK:
                low = middle
            else:
                high = middle
        return high

    async def _time(self, app: str, seq: int) -> float | None:
        """Of the first intact record from here on."""
        for op in await self._ops.read(app, entry.ROOM, after=seq - 1, limit=10):
            found = await self._open(app, op)
            if found is not None and found.record.at:
                return found.record.at
        return None


def damaged(app: str, op: Op) -> Record:
    """Stands where a record was that is not readable any more."""
    return Record(
        id=f"{op.ident}/{op.version}",
        at=0.0,
        app=app,
        actor="system:audit",
        action="audit.damaged",
        result="failed",
        code="integrity_error",
        details={"seq": str(op.seq)},
    )


def _too_old(record: Record, wanted: Filter) -> bool:
    return wanted.since is not None and 0 < record.at < wanted.since - SLACK


def _like(wanted: str, text: str) -> bool:
    if wanted.endswith("*"):
        return text.startswith(wanted[:-1])
    return wanted in ("", text)
