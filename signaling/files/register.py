"""The rows of files in the store, and who holds which file. Decides nothing about rights."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec

from signaling.errors import ClientError, Code
from signaling.files.model import Page, Reference, Stored, Upload, Used, terms_of
from signaling.keys.port import Sealer, bind
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing, Row, Table
from signaling.storage.untold import Untold


def not_found() -> ClientError:
    """The same for what is not there and for what belongs to others."""
    return ClientError(Code.NOT_FOUND, 404, "There is no such file.")


class Register:
    """Owned by the composition root; its tables are used by the other parts of this room."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._sealer = sealer
        self.files = Table(store, "file", Stored, sealer, terms=terms_of)
        self.untold = Untold(store, sealer, "file", self.files)
        self.uploads = Table(store, "file_upload", Upload, sealer)
        self.pages = Table(store, "file_chunks", Page, sealer)
        self.used = Table(store, "file_quota", Used, sealer)
        self.references = Table(store, "file_reference", Reference, sealer, terms=_terms)

    async def get(self, app: str, ident: str) -> Row[Stored]:
        """Raises 404."""
        row = await self.files.get(app, ident) if len(ident) <= 64 else None
        if row is None:
            raise not_found()
        return row

    # Keys

    async def seal_key(self, app: str, ident: str, owner: str, key: bytes) -> bytes:
        """Under a key of the owner: with the account the file is gone, in backups too."""
        return await self._sealer.seal(app, f"account:{owner}", bind(app, "file_key", ident), key)

    async def key_of(self, app: str, ident: str, stored: Stored) -> bytes | None:
        """None once a message holds it."""
        if not stored.key:
            return None
        return await self._sealer.open(app, bind(app, "file_key", ident), stored.key)

    # References

    async def refer(self, app: str, reference: Reference) -> None:
        """What holds already goes on doing so; what was begun begins anew, or holds from now on."""

        def newer(old: Reference) -> Reference:
            return reference if old.begun else old

        while True:
            with contextlib.suppress(Conflict):
                await self.references.create(app, _key(reference), reference)
                return
            with contextlib.suppress(Missing):
                await self.references.change(app, _key(reference), newer)
                return

    async def is_begun(self, app: str, reference: Reference) -> bool:
        row = await self.references.get(app, _key(reference))
        return row is not None and row.value.begun > 0

    async def all_begun(self, app: str) -> AsyncIterator[Row[Reference]]:
        after = ""
        while rows := await self.references.scan(app, term="begun", after=after):
            for row in rows:
                yield row
            after = rows[-1].key

    async def forget(self, app: str, reference: Reference, *, expect: int | None = None) -> bool:
        """With `expect`, Conflict unless the row has that version."""
        return await self.references.delete(app, _key(reference), expect=expect)

    async def held(self, app: str, ident: str) -> list[Reference]:
        return [one async for one in self.every(app, f"file:{ident}")]

    async def rooms_of(self, app: str, ident: str) -> list[str]:
        return sorted({reference.room for reference in await self.held(app, ident)})

    async def of_message(self, app: str, room: str, message: str) -> list[Reference]:
        return [one async for one in self.every(app, f"message:{room}/{message}")]

    async def of_room(self, app: str, room: str) -> list[Reference]:
        return [one async for one in self.every(app, f"room:{room}")]

    async def page_of_room(
        self, app: str, room: str, after: str, limit: int
    ) -> Sequence[Row[Reference]]:
        return await self.references.scan(app, term=f"room:{room}", after=after, limit=limit)

    async def every(self, app: str, term: str) -> AsyncIterator[Reference]:
        after = ""
        while rows := await self.references.scan(app, term=term, after=after):
            for row in rows:
                yield row.value
            after = rows[-1].key

    async def all_files(self, app: str, term: str) -> AsyncIterator[Row[Stored]]:
        after = ""
        while rows := await self.files.scan(app, term=term, after=after):
            for row in rows:
                yield row
            after = rows[-1].key


def changed(stored: Stored, **fields: object) -> Stored:
    return msgspec.structs.replace(stored, **fields)


def _key(reference: Reference) -> str:
    return f"{reference.file}/{reference.room}/{reference.message}"


def _terms(reference: Reference) -> tuple[str, ...]:
    found = (
        f"file:{reference.file}",
        f"room:{reference.room}",
        f"message:{reference.room}/{reference.message}",
    )
    return (*found, "begun") if reference.begun else found
