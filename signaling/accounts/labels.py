"""What operators note on accounts: an id of their own, which one account of an app has, and tags.

An id is claimed like a login name (`registry`): one row under its keyed digest decides who has it,
and goes with the account. By tags accounts are found through keyed digests too; the words
themselves lie in the sealed account. Decides nothing about who may ask (`administration`).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from signaling.accounts import names
from signaling.accounts.model import Account, Claim
from signaling.accounts.registry import ABANDONED, Registry
from signaling.clock import Clock
from signaling.errors import ClientError, Code
from signaling.storage.port import Conflict
from signaling.storage.table import Row

MOST_TAGS = 20


class Wanted(Struct, frozen=True, kw_only=True):
    """Which accounts are looked for: all that is said holds. Times in Unix seconds."""

    login: str = ""
    external_id: str = ""
    tag: str = ""
    since: float | None = None
    before: float | None = None

    def fits(self, account: Account) -> bool:
        """An account's id has its time."""
        login = names.canonical(self.login)
        return (
            (not login or names.canonical(account.login) == login)
            and (not self.external_id or account.external_id == self.external_id)
            and (not self.tag or self.tag in account.tags)
            and account.id > _id_at(self.since)
            and (self.before is None or account.id < _id_at(self.before))
        )


class Labels:
    """One for each process."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._tables, self._clock = registry, registry.tables, clock

    async def set(self, app: str, account: str, external_id: str, tags: Sequence[str]) -> Account:
        """Instead of those it had. Raises ClientError: 404, and 409 when another account has it."""
        await self._registry.require(app, account)
        claimed = external_id != "" and await self._claim(app, external_id, account)
        before = ""
        kept = tuple(sorted(set(tags)))
        terms = tuple(self._tables.tag_term(app, tag) for tag in kept)

        def change(row: Account) -> Account:
            nonlocal before
            before = row.external_id
            return replace(row, external_id=external_id, tags=kept, tag_terms=terms)

        try:
            after = await self._registry.change(app, account, change)
        except ClientError:
            if claimed:
                await self._release(app, external_id, account)
            raise
        if before != external_id:
            await self._release(app, before, account)
        return after

    async def page(self, app: str, wanted: Wanted, after: str, limit: int) -> list[Account]:
        """By age. No more is read than is shown: each filter finds by a key or a term, but for
        those that stand beside a narrower one.
        """
        if wanted.external_id or wanted.login:
            found = await self._one(app, wanted)
            fits = found is not None and found.id > after and wanted.fits(found)
            return [found] if found is not None and fits else []
        term = self._tables.tag_term(app, wanted.tag) if wanted.tag else None
        after = max(after, _id_at(wanted.since))
        rows = await self._tables.accounts.readable(app, term=term, after=after, limit=limit)
        return [row.value for row in rows if wanted.fits(row.value)]

    async def _one(self, app: str, wanted: Wanted) -> Account | None:
        if not wanted.external_id:
            return await self._registry.by_login(app, wanted.login)
        key = self._tables.external_key(app, wanted.external_id)
        row = await self._tables.claims.get(app, key)
        return None if row is None else await self._registry.get(app, row.value.account)

    async def _claim(self, app: str, external_id: str, account: str) -> bool:
        """Whether it was not the account's before. Raises 409."""
        key = self._tables.external_key(app, external_id)
        mine = Claim(account=account, made=self._clock.unix())
        try:
            await self._tables.claims.create(app, key, mine)
        except Conflict:
            row = await self._tables.claims.get(app, key)
            if row is not None and row.value.account == account:
                return False
            if row is None or not await self._is_left(app, row, external_id):
                raise _taken() from None
            try:
                await self._tables.claims.replace(app, row, mine)
            except Conflict:
                raise _taken() from None
        return True

    async def _is_left(self, app: str, row: Row[Claim], external_id: str) -> bool:
        """Whoever claimed it died before the account said so."""
        if row.value.made + ABANDONED >= self._clock.unix():
            return False
        holder = await self._registry.get(app, row.value.account)
        return holder is None or holder.external_id != external_id

    async def _release(self, app: str, external_id: str, account: str) -> None:
        if not external_id:
            return
        key = self._tables.external_key(app, external_id)
        row = await self._tables.claims.get(app, key)
        if row is not None and row.value.account == account:
            await self._tables.claims.delete(app, key, expect=row.version)


def _id_at(unix: float | None) -> str:
    """Below every UUIDv7 of that time and after (RFC 9562 section 5.7)."""
    if unix is None:
        return ""
    digits = f"{max(0, round(unix * 1000)):012x}"[-12:]
    return f"{digits[:8]}-{digits[8:]}"


def _taken() -> ClientError:
    return ClientError(Code.CONFLICT, 409, "Another account has this id.")
