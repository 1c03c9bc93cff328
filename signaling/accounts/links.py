"""Secret links: the first administrator's, invitations, resets, confirmations of mail, guests.

A link is claimed by compare and set, so a hundred at once on one use are one. Unknown, used up and
expired links answer the same.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from signaling.accounts.model import Link, Purpose
from signaling.accounts.parts import Parts
from signaling.accounts.tables import secret_key
from signaling.accounts.tokens import is_secret, new_secret
from signaling.errors import ClientError, Code, Unavailable
from signaling.storage.port import Conflict
from signaling.storage.table import Missing, Row

PAGE = 100


class Links:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rows = parts.tables.links

    async def make(self, app: str, link: Link, lives: float) -> str:
        """The secret, which is shown once and kept nowhere."""
        secret = new_secret(self._parts.entropy)
        expires = self._parts.clock.unix() + lives
        await self._rows.create(app, secret_key(secret), link, expires=expires)
        return secret

    async def look(self, app: str, purpose: Purpose, secret: str) -> Row[Link]:
        """Without using it. Raises ClientError 404."""
        row = await self._rows.get(app, secret_key(secret)) if is_secret(secret) else None
        if row is None or row.value.purpose is not purpose or _spent(row.value):
            raise invalid()
        return row

    async def claim(self, app: str, purpose: Purpose, key: str) -> Link:
        """Use it once, by its key (`look` gives it). Raises ClientError 404."""

        def use(link: Link) -> Link:
            if link.purpose is not purpose or _spent(link):
                raise invalid()
            return replace(link, used=link.used + 1)

        return await self._change(app, key, use)

    async def release(self, app: str, key: str) -> None:
        """What the claim was for did not come about."""
        await self._change(app, key, lambda link: replace(link, used=max(0, link.used - 1)))

    async def _change(self, app: str, key: str, change: Callable[[Link], Link]) -> Link:
        """Many people may follow one link at once: each try that meets another's goes again."""
        for _ in range(8):
            try:
                return (await self._rows.change(app, key, change)).value
            except Missing:
                raise invalid() from None
            except Conflict:
                continue
        raise Unavailable("Too many people follow this link at this moment.")

    async def page(self, app: str, purpose: Purpose, after: str, limit: int) -> list[Row[Link]]:
        """The oldest whose ids are above `after`. The store has them by secret: all are read."""
        found: list[Row[Link]] = []
        key = ""
        while rows := await self._rows.scan(app, term=purpose.value, after=key, limit=PAGE):
            later = [row for row in rows if row.value.id > after]
            found = sorted(found + later, key=lambda row: row.value.id)[:limit]
            key = rows[-1].key
        return found

    async def withdraw(self, app: str, purpose: Purpose, ident: str) -> bool:
        for row in await self._rows.scan(app, term=f"id:{ident}"):
            if row.value.purpose is purpose:
                return await self._rows.delete(app, row.key)
        return False

    async def withdraw_resets(self, app: str, account: str, *, maker: str = "") -> None:
        """Links to set a password, of `maker` only where one is named."""
        after = ""
        while page := await self._rows.scan(
            app, term=f"account:{account}", after=after, limit=PAGE
        ):
            for row in page:
                if row.value.purpose is Purpose.RESET and maker in ("", row.value.maker):
                    await self._rows.delete(app, row.key)
            after = page[-1].key

    async def withdraw_all(self, app: str, term: str) -> None:
        """Of a purpose, or `account:<id>`."""
        while page := await self._rows.scan(app, term=term, limit=PAGE):
            for row in page:
                await self._rows.delete(app, row.key)


def _spent(link: Link) -> bool:
    return link.uses > 0 and link.used >= link.uses


def invalid() -> ClientError:
    return ClientError(Code.LINK_INVALID, 404, "This link is not valid, or not any more.")
