"""Pseudonyms of accounts: a keyed digest, whose key can be replaced for good (row C20).

With the key an account's pseudonym can be made again and so found; when the key is replaced, no
older pseudonym leads anywhere. Of people who were erased only a digest is kept, by which the audit
knows whom to show by a pseudonym alone.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.compliance.audit.entry import Record
from signaling.ids import Entropy
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

KIND = "compliance.pseudonym"
ERASED = "compliance.erased"
CURRENT = "current"
PREFIX = "p-"
_LENGTH = 20
_ACCOUNT = re.compile(r"account:([A-Za-z0-9_-]{1,64})")
# Details of the audit that are an account's id.
_DETAILS = ("account", "approver", "participant")

Veiled = Callable[[Record], Record]


class Key(Struct, frozen=True):
    secret: bytes
    number: int
    made: float


class Mark(Struct, frozen=True):
    """Somebody was erased."""

    at: float


class Pseudonyms:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock, entropy: Entropy) -> None:
        self._keys = Table(store, KIND, Key, sealer)
        self._marks = Table(store, ERASED, Mark)
        self._store, self._sealer = store, sealer
        self._clock, self._entropy = clock, entropy

    async def of(self, app: str, account: str) -> str:
        return _name(await self._key(app), account)

    async def rotate(self, app: str) -> int:
        """Older pseudonyms lead nowhere from here on. The number of the new key."""
        before = await self._key(app)
        made = Key(self._entropy.token(32), before.number + 1, self._clock.unix())
        row = await self._keys.change(
            app, CURRENT, lambda key: replace(made, number=key.number + 1)
        )
        return row.value.number

    async def _key(self, app: str) -> Key:
        while True:
            row = await self._keys.get(app, CURRENT)
            if row is not None:
                return row.value
            try:
                made = Key(self._entropy.token(32), 1, self._clock.unix())
                return (await self._keys.create(app, CURRENT, made)).value
            except Conflict:
                continue

    # Who was erased

    async def erased(self, app: str, account: str) -> None:
        """Repeating it does no harm."""
        try:
            await self._marks.create(app, self._mark(app, account), Mark(self._clock.unix()))
        except Conflict:
            return

    def _mark(self, app: str, account: str) -> str:
        return self._sealer.blind(app, f"erased:{account}")

    async def veil(self, app: str, everybody: bool) -> Veiled:
        """For records that are shown: those who were erased by pseudonym, or everybody."""
        key = await self._key(app)
        marks = set[str]()
        after = ""
        while rows := await self._store.meta.scan(app, ERASED, after=after, limit=1000):
            marks |= {row.key for row in rows}
            after = rows[-1].key
        if not marks and not everybody:
            return lambda record: record

        def shown(account: str) -> str:
            if everybody or self._mark(app, account) in marks:
                return _name(key, account)
            return account

        def part(text: str) -> str:
            return _name(key, text) if self._mark(app, text) in marks else text

        def named(text: str) -> str:
            text = _ACCOUNT.sub(lambda found: f"account:{shown(found[1])}", text)
            # What a path named, bare.
            return "/".join(part(one) for one in text.split("/"))

        def veiled(record: Record) -> Record:
            details = {
                name: shown(value) if name in _DETAILS else named(value)
                for name, value in record.details.items()
            }
            return replace(
                record, actor=named(record.actor), target=named(record.target), details=details
            )

        return veiled


def _name(key: Key, account: str) -> str:
    digest = hmac.digest(key.secret, account.encode(), "sha256")
    return PREFIX + base64.b32encode(digest).decode().lower()[:_LENGTH]
