"""Reads an app's audit log for an auditor: newest first, filtered, page by page.

Borrowed by the HTTP operations and the command line; who may read is decided there. Entries are
opened one by one, so a page looks at a bounded number of records and says where it stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from signaling.compliance.audit import entry
from signaling.compliance.audit.entry import Record
from signaling.compliance.audit.forward.port import head_record
from signaling.compliance.audit.port import Result
from signaling.keys.port import IntegrityError, KeyDestroyed, Sealer, UnknownKey
from signaling.storage.port import Log, Op

# Records opened for one page: a narrow filter over a long log answers with short pages.
LOOKED_AT = 5000
PAGE = 500
# Entries of one question to the store; each may have many records.
CHUNK = 100
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


class Place(NamedTuple):
    """The entry, and which of its records."""

    seq: int
    part: int = 0

    def __str__(self) -> str:
        return f"{self.seq}.{self.part}"

    @classmethod
    def of(cls, text: str) -> Place:
        seq, _, part = text.partition(".")
        return cls(int(seq), int(part or 0))


@dataclass(frozen=True)
class Found:
    """A record and its place in the log."""

    seq: int
    record: Record


@dataclass(frozen=True)
class Results:
    """`next` is the place below which the next page begins; None at the end of the log."""

    items: list[Found]
    next: Place | None


class Reader:
    """Holds nothing between calls."""

    def __init__(self, ops: Log, sealer: Sealer) -> None:
        self._ops = ops
        self._sealer = sealer

    async def page(
        self, app: str, wanted: Filter, *, before: Place | None = None, limit: int = 50
    ) -> Results:
        items: list[Found] = []
        looked = 0
        if before is None:
            below = await self._start(app, wanted)
        else:
            below = before.seq + (before.part > 0)
        while looked < LOOKED_AT:
            ops = await self._ops.read(app, entry.ROOM, before=below, limit=CHUNK)
            for op in reversed(ops):
                records = await self._open(app, op)
                looked += 1 + len(records)
                if before is not None and op.seq == before.seq:
                    records = records[: before.part]
                for index in reversed(range(len(records))):
                    if _too_old(records[index], wanted):
                        return Results(items, None)
                    if wanted.fits(records[index]):
                        items.append(Found(op.seq, records[index]))
                        if len(items) == limit:
                            return Results(items, Place(op.seq, index))
                below = op.seq
                if looked >= LOOKED_AT:
                    break
            if len(ops) < CHUNK and (not ops or below == ops[0].seq):
                return Results(items, None)
        return Results(items, None if below is None else Place(below))

    async def every(self, app: str, wanted: Filter, *, bound: int) -> AsyncIterator[Record]:
        """All that fits, newest first, at most `bound`: for exports."""
        before: Place | None = None
        while True:
            page = await self.page(app, wanted, before=before, limit=min(PAGE, bound))
            for found in page.items:
                yield found.record
            bound -= len(page.items)
            before = page.next
            if before is None or bound <= 0:
                return

    async def following(self, app: str, after: int, limit: int) -> list[tuple[int, Record | None]]:
        """In order, for forwarding: records, and heads in the form of records. None stands for
        what is neither. All of an entry or nothing of it, so there may be a few more than `limit`.
        """
        found: list[tuple[int, Record | None]] = []
        while len(found) < limit:
            ops = await self._ops.read(app, entry.ROOM, after=after, limit=CHUNK)
            for op in ops:
                found += [(op.seq, record) for record in await self._forwarded(app, op)]
                after = op.seq
                if len(found) >= limit:
                    break
            if len(ops) < CHUNK:
                break
        return found

    async def _forwarded(self, app: str, op: Op) -> Sequence[Record | None]:
        if not op.erased and op.body[:1] == entry.HEAD:
            with contextlib.suppress(msgspec.DecodeError):
                return [head_record(entry.decode_head(op.body))]
            return [damaged(app, op)]
        return await self._open(app, op) or [None]

    async def _open(self, app: str, op: Op) -> list[Record]:
        """Nothing of a head. An entry that does not open stands as one record: the sealer has
        raised the alarm, and a changed entry must not hide the others.
        """
        count = 0 if op.erased else entry.count_of(op.body)
        if op.erased or op.body[:1] not in (entry.RECORD, entry.BATCH):
            return []
        aad = entry.place(app, op.ident, op.version, count)
        try:
            plain = await self._sealer.open(app, aad, entry.sealed_of(op.body))
            return entry.opened(plain, count)
        except (IntegrityError, UnknownKey, KeyDestroyed, msgspec.DecodeError):
            return [damaged(app, op)]

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
            for record in await self._open(app, op):
                if record.at:
                    return record.at
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
        details={"seq": str(op.seq), "count": str(entry.count_of(op.body))},
    )


def _too_old(record: Record, wanted: Filter) -> bool:
    return wanted.since is not None and 0 < record.at < wanted.since - SLACK


def _like(wanted: str, text: str) -> bool:
    if wanted.endswith("*"):
        return text.startswith(wanted[:-1])
    return wanted in ("", text)
