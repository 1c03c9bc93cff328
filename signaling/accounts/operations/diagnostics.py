"""Logs of clients that people chose to send, for whoever runs the installation (row B12).

A client keeps its last lines without secrets and without what people wrote; nothing is sent by
itself, and nothing is taken without consent. What is taken is cleaned once more, sealed with the
sender's data key, read by administrators alone, never in silence, and gone after thirty days.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from signaling.accounts.principal import Role
from signaling.accounts.tables import account_scope
from signaling.clock import Clock
from signaling.compliance.audit.port import clean_text
from signaling.errors import ClientError, Code, FieldError
from signaling.http.api.operation import Auth, Body, Call, Operation, Page, Recording, Reply
from signaling.ids import Ids
from signaling.keys.port import KeyDestroyed, KeyInactive, Sealer
from signaling.storage.port import Store
from signaling.storage.table import Row, Table

TAG = "Diagnostics"
KIND = "client_log"
STAFF = (Role.OWNER, Role.ADMINISTRATOR)
STAYS = 30 * 86400
MOST_BYTES = 256 * 1024
MOST_OF_ONE = 10
"""Of one account at a time: a log is for one fault, not for watching somebody."""


class Line(Body, frozen=True, kw_only=True):
    """`at` in seconds of Unix time, by the client's clock."""

    at: Annotated[float, Meta(ge=0, le=1e11)]
    level: Literal["debug", "info", "warning", "error"]
    text: Annotated[str, Meta(max_length=500)]


class ClientLog(Body, frozen=True, kw_only=True):
    """`consent`: the person has read it and sends it. `client` says which program it is of, and
    `note` what went wrong, in the person's words."""

    consent: bool
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=2000)]
    client: Annotated[str, Meta(max_length=100)] = ""
    note: Annotated[str, Meta(max_length=1000)] = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    account: str
    at: float
    client: str
    note: str
    lines: tuple[Line, ...]


class ClientLogHead(msgspec.Struct, frozen=True, kw_only=True):
    """A log without its lines, which are counted."""

    id: str
    account: str
    at: datetime
    expires_at: datetime
    client: str
    lines: int


class ClientLogAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    account: str
    at: datetime
    expires_at: datetime
    client: str
    note: str
    lines: tuple[Line, ...]


class Logs:
    """Where they are kept."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store, self._sealer = store, sealer

    def table(self, app: str) -> Table[Kept]:
        return Table(
            self._store, KIND, Kept, self._sealer,
            lambda app, key, value: account_scope(value.account),
            lambda value: (self._term(app, value.account),),
        )  # fmt: skip

    def _term(self, app: str, account: str) -> str:
        return self._sealer.blind(app, f"{KIND}:{account}")

    async def of(self, app: str, account: str) -> list[Row[Kept]]:
        """Of one account, the oldest first."""
        term = self._term(app, account)
        return await self.table(app).scan(app, term=term, limit=MOST_OF_ONE)


class Handlers:
    """One method for each operation."""

    def __init__(self, logs: Logs, clock: Clock, ids: Ids) -> None:
        self._logs, self._clock, self._ids = logs, clock, ids

    async def send(self, call: Call[ClientLog]) -> ClientLogHead:
        app, account, body = call.principal.app, call.principal.account or "", call.body
        if not body.consent:
            errors = [FieldError("/consent", "invalid", "Its person must agree to send it.")]
            message = "A log is taken only from whoever agrees to send it."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
        if len(await self._logs.of(app, account)) >= MOST_OF_ONE:
            message = f"{MOST_OF_ONE} logs of this account are there, which is the most."
            raise ClientError(Code.QUOTA_EXCEEDED, 403, message)
        now = self._clock.unix()
        lines = tuple(msgspec.structs.replace(one, text=clean_text(one.text)) for one in body.lines)
        kept = Kept(account=account, at=now, client=body.client, note=body.note, lines=lines)
        table = self._logs.table(app)
        row = await table.create(app, self._ids.new(), kept, expires=now + STAYS)
        call.note.target = f"client_log:{row.key}"
        call.note.details["count"] = str(len(lines))
        return _head(row)

    async def list(self, call: Call[None]) -> Page:
        """By age, the oldest first."""
        ask, app = call.page, call.principal.app
        found = await self._logs.table(app).readable(
            app, after=ask.after or "", limit=ask.limit + 1
        )
        more = len(found) > ask.limit
        rows = found[: ask.limit]
        return Page(items=[_head(row) for row in rows], next=rows[-1].key if more else None)

    async def get(self, call: Call[None]) -> ClientLogAnswer:
        app, key = call.principal.app, call.path["log_id"]
        try:
            row = await self._logs.table(app).get(app, key)
        except (KeyDestroyed, KeyInactive):
            row = None  # its sender was erased
        if row is None:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such log.")
        call.note.target = f"client_log:{key}"
        call.note.details["account"] = row.value.account
        return log_answer(row)

    async def delete(self, call: Call[None]) -> Reply:
        app, key = call.principal.app, call.path["log_id"]
        if not await self._logs.table(app).delete(app, key):
            raise ClientError(Code.NOT_FOUND, 404, "There is no such log.")
        call.note.target = f"client_log:{key}"
        return Reply(status=204)


def _head(row: Row[Kept]) -> ClientLogHead:
    kept = row.value
    return ClientLogHead(
        id=row.key, account=kept.account, at=datetime.fromtimestamp(kept.at, UTC),
        expires_at=datetime.fromtimestamp(row.expires or kept.at + STAYS, UTC),
        client=kept.client, lines=len(kept.lines),
    )  # fmt: skip


def log_answer(row: Row[Kept]) -> ClientLogAnswer:
    head = _head(row)
    return ClientLogAnswer(
        id=row.key, account=head.account, at=head.at, expires_at=head.expires_at,
        client=head.client, note=row.value.note, lines=row.value.lines,
    )  # fmt: skip


def operations(store: Store, sealer: Sealer, clock: Clock, ids: Ids) -> list[Operation]:
    do = Handlers(Logs(store, sealer), clock, ids)
    one = "/diagnostics/{log_id}"
    staff: dict[str, Any] = {
        "auth": Auth.ROLE, "roles": STAFF, "scope": "admin", "tag": TAG,
        "recording": Recording.DURABLE,
    }  # fmt: skip
    return [
        Operation("POST", "/diagnostics", "sendClientLog", "Send the log of one's client", do.send,
                  body=ClientLog, answer=ClientLogHead, status=201, rate="write",
                  max_body=MOST_BYTES, errors=(Code.QUOTA_EXCEEDED,), tag=TAG),
        Operation("GET", "/diagnostics", "listClientLogs", "Logs that people sent", do.list,
                  answer=ClientLogHead, paged=True, **staff),
        Operation("GET", one, "readClientLog", "One log, with its lines", do.get,
                  answer=ClientLogAnswer, errors=(Code.NOT_FOUND,), **staff),
        Operation("DELETE", one, "deleteClientLog", "Remove a log before its time", do.delete,
                  status=204, errors=(Code.NOT_FOUND,), **staff),
    ]  # fmt: skip
