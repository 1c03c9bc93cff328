"""The HTTP operations of the audit: for auditors, to read. There is none that writes.

Reading leaves a record too, durable before the answer. Times are RFC 3339.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from signaling.accounts.principal import Role
from signaling.clock import Clock
from signaling.compliance.audit.check import check
from signaling.compliance.audit.entry import Record
from signaling.compliance.audit.export import csv_head, csv_line, json_line
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.compliance.audit.reader import Filter, Place, Reader
from signaling.compliance.audit.signer import Signers
from signaling.compliance.audit.writer import last_head
from signaling.http.api import Auth, Call, Operation, Page, Query, Recording, Reply
from signaling.http.api.trace import actor_of
from signaling.storage.port import Log, Meta

Veil = Callable[[str, bool], Awaitable[Callable[[Record], Record]]]

TAG = "audit"
# More than anybody reads; less than a process minds while it streams.
EXPORT_BOUND = 1_000_000

Text = Annotated[str, msgspec.Meta(max_length=256)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class RecordShown(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what, to what, when and with which result. `address` is a network, never a host."""

    id: str
    at: datetime
    app: str
    actor: str
    action: str
    target: str
    result: Literal["allowed", "denied", "failed"]
    code: str
    request_id: str
    token_id: str
    address: str
    details: dict[str, str]


class Wanted(Query, frozen=True):
    """All given parts must fit. `actor`, `action` and `target` may end in `*`."""

    actor: Text = ""
    action: Text = ""
    target: Text = ""
    result: Literal["allowed", "denied", "failed"] | None = None
    code: Text = ""
    request_id: Text = ""
    since: Moment | None = None
    until: Moment | None = None

    def filter(self) -> Filter:
        return Filter(
            actor=self.actor,
            action=self.action,
            target=self.target,
            result=self.result,
            code=self.code,
            request_id=self.request_id,
            since=None if self.since is None else self.since.timestamp(),
            until=None if self.until is None else self.until.timestamp(),
        )

    def note(self) -> str:
        """What was looked for, for the record of the reading."""
        asked = msgspec.structs.asdict(self)
        return " ".join(f"{name}={value}" for name, value in asked.items() if value)


class ExportWanted(Wanted, frozen=True):
    """... and in which form; with accounts by pseudonym, or as they are."""

    format: Literal["ndjson", "csv"] = "ndjson"
    pseudonyms: bool = False


class PublicKey(msgspec.Struct, frozen=True):
    """An Ed25519 key that signs heads, in hexadecimal. Keep it elsewhere, to verify with."""

    name: str
    public_key: str


class HeadShown(msgspec.Struct, frozen=True):
    """The newest signed head: keep it elsewhere, and a log that was written anew is noticed."""

    seq: int
    chain: str
    at: str
    key: str
    signature: str


class Standing(msgspec.Struct, frozen=True):
    head: HeadShown | None
    keys: list[PublicKey]


class Finding(msgspec.Struct, frozen=True):
    kind: str
    seq: int
    text: str


class Verdict(msgspec.Struct, frozen=True):
    """`good` when nothing was found; `unsigned` records came after the last signed head."""

    good: bool
    records: int
    heads: int
    signed_to: int
    unsigned: int
    findings: list[Finding]


@dataclass(frozen=True)
class Deps:
    """`veil` puts pseudonyms in the place of who was erased, or of everybody."""

    meta: Meta
    log: Log
    reader: Reader
    audit: Audit
    signers: Signers
    clock: Clock
    veil: Veil | None = None


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def list(self, call: Call[None]) -> Page:
        wanted: Wanted = call.query
        call.note.details["filter"] = wanted.note()
        before = Place.of(call.page.after) if call.page.after is not None else None
        found = await self._deps.reader.page(
            call.principal.app, wanted.filter(), before=before, limit=call.page.limit
        )
        veiled = await self._veiled(call.principal.app, False)
        items = [record_shown(veiled(item.record)) for item in found.items]
        return Page(items, next=None if found.next is None else str(found.next))

    async def export(self, call: Call[None]) -> Reply:
        wanted: ExportWanted = call.query
        # Before the first byte: an export that was cut short was an export all the same.
        await self._deps.audit.record(self._event(call, wanted))
        csv = wanted.format == "csv"
        name = f"audit-{call.principal.app}.{wanted.format}"
        return Reply(
            self._lines(call.principal.app, wanted, csv=csv),
            headers=[("Content-Disposition", f'attachment; filename="{name}"')],
            content_type="text/csv" if csv else "application/x-ndjson",
        )

    async def _lines(self, app: str, wanted: ExportWanted, *, csv: bool) -> AsyncIterator[bytes]:
        if csv:
            yield csv_head()
        line = csv_line if csv else json_line
        batch = bytearray()
        veiled = await self._veiled(app, wanted.pseudonyms)
        async for record in self._deps.reader.every(app, wanted.filter(), bound=EXPORT_BOUND):
            batch += line(veiled(record))
            if len(batch) > 65536:
                yield bytes(batch)
                batch.clear()
        yield bytes(batch)

    async def _veiled(self, app: str, everybody: bool) -> Callable[[Record], Record]:
        if self._deps.veil is None:
            return lambda record: record
        return await self._deps.veil(app, everybody)

    async def standing(self, call: Call[None]) -> Standing:
        public = await self._deps.signers.public_keys()
        head = await last_head(self._deps.meta, call.principal.app, public)
        keys = [PublicKey(name, key.hex()) for name, key in public.items()]
        if head is None:
            return Standing(None, keys)
        shown = HeadShown(head.seq, head.chain.hex(), repr(head.at), head.key, head.signature.hex())
        return Standing(shown, keys)

    async def verify(self, call: Call[None]) -> Verdict:
        public = await self._deps.signers.public_keys()
        report = await check(self._deps.meta, self._deps.log, call.principal.app, public)
        return Verdict(
            report.good,
            report.records,
            report.heads,
            report.signed_to,
            report.unsigned,
            [Finding(f.kind, f.seq, f.text) for f in report.findings],
        )

    def _event(self, call: Call[None], wanted: ExportWanted) -> AuditEvent:
        return AuditEvent(
            at=self._deps.clock.unix(),
            app=call.principal.app,
            actor=actor_of(call.principal),
            action="exportAudit",
            request_id=call.request_id,
            token_id=call.principal.token or "",
            address=call.client_address,
            details={"filter": wanted.note(), "format": wanted.format},
        )


def record_shown(record: Record) -> RecordShown:
    fields = {name: getattr(record, name) for name in RecordShown.__struct_fields__}
    return RecordShown(**{**fields, "at": datetime.fromtimestamp(record.at, UTC)})


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)
    durable = Recording.DURABLE

    def op(path: str, name: str, summary: str, **more: Any) -> Operation:
        return Operation(
            "GET", path, name, summary, auth=Auth.ROLE, roles=(Role.AUDITOR,),
            scope="audit:read", tag=TAG, **more,
        )  # fmt: skip

    return [
        op("/audit", "listAuditRecords", "Audit records, the newest first", handler=do.list,
           query=Wanted, answer=RecordShown, paged=True, rate="search", recording=durable),
        op("/audit/export", "exportAudit", "Audit records as NDJSON or CSV", handler=do.export,
           query=ExportWanted, rate="export", recording=Recording.OWN,
           answer_type="application/x-ndjson"),
        op("/audit/head", "getAuditHead", "The newest signed head, and the keys that sign",
           handler=do.standing, answer=Standing, recording=durable),
        op("/audit/verification", "verifyAudit", "Look for changed, removed or reordered records",
           handler=do.verify, answer=Verdict, rate="export", recording=durable),
    ]  # fmt: skip
