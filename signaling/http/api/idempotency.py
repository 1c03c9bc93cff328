"""Idempotency-Key: a POST that is sent twice is done once (draft-ietf-httpapi-idempotency-key).

The first answer is kept, sealed, for a day; the same key with another body is refused, and so is
one whose first request still runs. Driven by `endpoint`; the store decides races.

    absent --reserve--> RUNNING --keep--> DONE (until it expires)
                        RUNNING --drop--> absent (our fault, or nothing was done: try again)
                        RUNNING, its process gone --take over--> RUNNING
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import msgspec

from signaling.accounts.principal import Principal
from signaling.clock import Clock
from signaling.errors import ClientError, Code
from signaling.keys.port import KeyDestroyed
from signaling.storage.port import Conflict
from signaling.storage.table import Row, Table

KEPT_SECONDS = 24 * 3600
# Longer than any operation runs: after a crash the key is free again, where nobody can know of it.
RUNNING_SECONDS = 60
# Larger answers are not kept: such an operation is a read.
MAX_ANSWER = 256 * 1024
# Statuses after which nothing was done and the same request may succeed later.
RETRIED = frozenset({401, 403, 408, 409, 425, 429})
_VISIBLE = r"[\x21\x23-\x5b\x5d-\x7e]{1,128}"
_KEY = re.compile(rf'"({_VISIBLE})"|({_VISIBLE})')


class Kept(msgspec.Struct, frozen=True):
    """`digest` is of method, path and body; sealed with the rest, since bodies hold passwords, and
    with the key of the `account` that asked: erasing it leaves nothing of the answers either.
    `owner` is the process that runs it.
    """

    digest: bytes
    done: bool = False
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    account: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to run a request once."""

    app: str
    row: Row[Kept]


def read_key(text: str | None) -> str | None:
    """The header's value, a structured-field string or bare. Raises 400."""
    if text is None:
        return None
    found = _KEY.fullmatch(text.strip())
    if found is None:
        message = "Idempotency-Key is 1 to 128 visible characters, such as a UUID."
        raise ClientError(Code.BAD_REQUEST, 400, message)
    return found[1] or found[2]


class Idempotency:
    """One for the whole API of a process, which `owner` names."""

    def __init__(
        self, table: Table[Kept], clock: Clock, owner: str, *, alone: bool = False
    ) -> None:
        """`alone`: the store lets no other process in, so that what another one left running is of
        one that is gone. Elsewhere it may be slow only: then the key is free after a minute.
        """
        self._table = table
        self._clock = clock
        self._owner = owner
        self._alone = alone

    async def begin(
        self, principal: Principal, operation: str, key: str, request: bytes
    ) -> Ticket | Kept:
        """A ticket to run it, or the answer it had. Raises 409 and 422."""
        name = _name(principal, operation, key)
        digest = hashlib.sha256(request).digest()
        value = Kept(digest, account=principal.account or "", owner=self._owner)
        try:
            row = await self._table.create(principal.app, name, value, expires=self._until())
        except Conflict:
            return await self._again(principal.app, name, digest)
        return Ticket(principal.app, row)

    def _until(self) -> float:
        return self._clock.unix() + RUNNING_SECONDS

    async def _again(self, app: str, name: str, digest: bytes) -> Ticket | Kept:
        row = await self._table.get(app, name)
        if row is not None and row.value.digest != digest:
            message = "This Idempotency-Key was used for another request."
            raise ClientError(Code.IDEMPOTENCY_MISMATCH, 422, message)
        if row is not None and row.value.done:
            return row.value
        if row is not None and self._alone and row.value.owner != self._owner:
            return await self._take_over(app, row)
        raise _in_flight()

    async def _take_over(self, app: str, row: Row[Kept]) -> Ticket:
        value = msgspec.structs.replace(row.value, owner=self._owner)
        try:
            return Ticket(app, await self._table.extend(app, row, value, self._until()))
        except Conflict:
            raise _in_flight() from None

    async def keep(
        self, ticket: Ticket, status: int, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> None:
        if status >= 500 or status in RETRIED or len(body) > MAX_ANSWER:
            await self.drop(ticket)
            return
        value = msgspec.structs.replace(
            ticket.row.value, done=True, status=status, headers=headers, body=body
        )
        expires = self._clock.unix() + KEPT_SECONDS
        try:
            await self._table.extend(ticket.app, ticket.row, value, expires)
        except (Conflict, KeyDestroyed):
            return  # it ran so long that another took the key over; that answer stands

    async def drop(self, ticket: Ticket) -> None:
        try:
            await self._table.delete(ticket.app, ticket.row.key, expect=ticket.row.version)
        except Conflict:
            return


def _in_flight() -> ClientError:
    message = "The first request with this Idempotency-Key still runs."
    return ClientError(Code.IDEMPOTENCY_IN_FLIGHT, 409, message, headers={"Retry-After": "1"})


def _name(principal: Principal, operation: str, key: str) -> str:
    who = principal.account or principal.client or principal.token or ""
    return hashlib.sha256("\0".join((who, operation, key)).encode()).hexdigest()
