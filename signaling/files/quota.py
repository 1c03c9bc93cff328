"""What accounts and rooms keep, counted before it is written: parallel uploads cannot pass a limit.

A row each with the sum, changed by compare and set. A crash between the sum and the file leaves the
sum too large; `recount` mends that.
"""

from __future__ import annotations

from signaling.errors import ClientError, Code
from signaling.files.model import Stored, Used
from signaling.files.port import State
from signaling.storage.port import Conflict
from signaling.storage.table import ATTEMPTS, Table

ACCOUNT, ROOM = "owner", "room"


class Quotas:
    """Limits in bytes, 0 for none; `uploads` that one owner may have begun."""

    def __init__(
        self, rows: Table[Used], account_bytes: int, room_bytes: int, uploads: int
    ) -> None:
        self._rows = rows
        self._limits = {ACCOUNT: account_bytes, ROOM: room_bytes}
        self._uploads = uploads

    @property
    def account_bytes(self) -> int:
        return self._limits[ACCOUNT]

    async def used(self, app: str, owner: str) -> Used:
        row = await self._rows.get(app, f"{ACCOUNT}:{owner}")
        return Used() if row is None else row.value

    async def reserve(self, app: str, owner: str, room: str, size: int) -> None:
        """For an upload that begins. Raises 413 `quota_exceeded`."""
        await self._add(app, ACCOUNT, owner, size, 1)
        try:
            await self._add(app, ROOM, room, size, 0)
        except BaseException:
            await self._add(app, ACCOUNT, owner, -size, -1)
            raise

    async def settle(self, app: str, owner: str, room: str, difference: int, ended: bool) -> None:
        """`difference` more bytes than were counted; `ended`: an upload that had begun is over."""
        await self._add(app, ACCOUNT, owner, difference, -1 if ended else 0)
        await self._add(app, ROOM, room, difference, 0)

    async def _add(self, app: str, kind: str, name: str, size: int, uploads: int) -> None:
        key, limit = f"{kind}:{name}", self._limits[kind]
        for _ in range(ATTEMPTS):
            row = await self._rows.get(app, key)
            used = Used() if row is None else row.value
            now = Used(max(0, used.size + size), max(0, used.uploads + uploads))
            if size > 0 and uploads >= 0 and limit and now.size > limit:
                raise exceeded(kind)
            if uploads > 0 and now.uploads > self._uploads:
                raise ClientError(
                    Code.QUOTA_EXCEEDED, 413, "Finish or cancel an upload before you begin another."
                )
            try:
                if row is None:
                    await self._rows.create(app, key, now)
                else:
                    await self._rows.replace(app, row, now)
                return
            except Conflict:
                continue
        raise Conflict(key)

    async def recount(self, app: str, files: Table[Stored]) -> int:
        """Sums that were wrong, put right. One that changes meanwhile is left for the next time."""
        mended, after = 0, ""
        while rows := await self._rows.scan(app, after=after):
            for row in rows:
                true = await self._true(app, files, row.key)
                if true != row.value:
                    try:
                        await self._rows.replace(app, row, true)
                        mended += 1
                    except Conflict:
                        continue
            after = rows[-1].key
        return mended

    @staticmethod
    async def _true(app: str, files: Table[Stored], term: str) -> Used:
        used, after = Used(), ""
        while rows := await files.scan(app, term=term, after=after):
            for row in rows:
                begun = row.value.state is State.UPLOADING and term.startswith(ACCOUNT)
                used = Used(used.size + row.value.charged, used.uploads + begun)
            after = rows[-1].key
        return used


def exceeded(kind: str) -> ClientError:
    whose = "Your account" if kind == ACCOUNT else "The room"
    return ClientError(Code.QUOTA_EXCEEDED, 413, f"{whose} has no room for this file.")
