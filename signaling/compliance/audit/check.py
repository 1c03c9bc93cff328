"""Verifies an app's whole log from the store: feeds `verify` and reports what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signaling.compliance.audit import entry
from signaling.compliance.audit.retention import floor_of
from signaling.compliance.audit.verify import Finding, Verifier
from signaling.compliance.audit.writer import last_head
from signaling.storage.port import Log, Meta

CHUNK = 500


@dataclass(frozen=True)
class Report:
    app: str
    records: int
    heads: int
    last: int
    signed_to: int
    unsigned: int
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        return not self.findings


async def check(
    meta: Meta,
    ops: Log,
    app: str,
    public: Mapping[str, bytes],
    pinned: entry.SignedHead | None = None,
) -> Report:
    """`pinned` is a head that was kept outside, in a forwarded log say; else the store's own."""
    head = await ops.head(app, entry.ROOM)
    floor = await floor_of(meta, app) if head.floor else None
    anchor = pinned or await last_head(meta, app, public)
    verifier = Verifier(app, public, floor, anchor)
    if head.floor and floor is None:
        text = f"entries up to {head.floor} are gone and no signed head says that this was meant"
        verifier.findings.append(Finding("floor", head.floor, text))
    last = floor.seq if floor is not None else 0
    after = last
    while page := await ops.read(app, entry.ROOM, after=after, limit=CHUNK):
        for op in page:
            verifier.feed(op)
            last = after = max(after, op.seq)
    findings = verifier.finish(head)
    return Report(
        app=app,
        records=verifier.records,
        heads=verifier.heads,
        last=last,
        signed_to=verifier.signed_to,
        unsigned=verifier.unsigned,
        findings=tuple(findings),
    )
