"""Bytes of an upload as they come: sealed in memory, stored, and only then counted.

What the offset says is durable; what a crash leaves beyond it is named in the upload's journal and
removed by whoever goes on. A PATCH with a checksum counts as a whole or not at all. Two processes
that add to one upload exclude each other by compare and set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from signaling.errors import ClientError, Code
from signaling.files.model import Upload
from signaling.files.port import CHUNK, Variant
from signaling.files.register import Register, not_found
from signaling.files.tus import Checksum
from signaling.files.vault import BATCH, PAGE, Vault
from signaling.storage.port import Conflict
from signaling.storage.table import Row

BATCH_BYTES = BATCH * CHUNK


class Interrupted(Exception):  # noqa: N818 - names what happened
    """The client went away or fell silent; what came before is kept. `refusal` says which."""

    def __init__(self, refusal: ClientError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(slots=True)
class _Writing:
    """One PATCH under way. `first` is the place of the first chunk that is not committed."""

    app: str
    ident: str
    key: bytes
    row: Row[Upload]
    first: int
    offset: int
    tail: bytes | None = None  # the name of the short chunk that is written anew
    staged: list[bytes] = field(default_factory=list)


class Uploads:
    """Owned by the composition root; one for each process."""

    def __init__(self, register: Register, vault: Vault) -> None:
        self._rows, self._vault = register.uploads, vault
        self._busy: set[tuple[str, str]] = set()

    async def get(self, app: str, ident: str) -> Row[Upload]:
        row = await self._rows.get(app, ident)
        if row is None:
            raise not_found()
        return row

    async def append(
        self,
        app: str,
        ident: str,
        key: bytes,
        offset: int,
        data: AsyncIterator[bytes],
        check: Checksum | None = None,
    ) -> int:
        """The new offset. Raises 409 for another offset or a PATCH at the same time, 413 beyond the
        announced length, 460, Unavailable when nothing can be stored, and Interrupted.
        """
        if (app, ident) in self._busy:
            raise busy()
        self._busy.add((app, ident))
        try:
            return await self._append(app, ident, key, offset, data, check)
        except Conflict:
            raise busy() from None
        finally:
            self._busy.discard((app, ident))

    async def _append(
        self,
        app: str,
        ident: str,
        key: bytes,
        offset: int,
        data: AsyncIterator[bytes],
        check: Checksum | None,
    ) -> int:
        row = await self.get(app, ident)
        if row.value.offset != offset:
            raise ClientError(
                Code.UPLOAD_OFFSET_MISMATCH, 409, f"The upload is at {row.value.offset}."
            )
        row = await self._clean(app, ident, row)
        writing = _Writing(app, ident, key, row, offset // CHUNK, offset)
        buffer = await self._tail(writing)
        start = writing.offset - len(buffer)
        try:
            async for piece in _bounded(data, row.value.length - offset):
                buffer += piece
                if check is not None:
                    check.update(piece)
                if len(buffer) >= BATCH_BYTES:
                    whole = len(buffer) // CHUNK * CHUNK
                    await self._stage(writing, bytes(buffer[:whole]))
                    del buffer[:whole]
                    start += whole
                    if check is None:
                        await self._commit(writing, start)
        except Interrupted:
            if check is None:
                await self._finish(writing, buffer, start)
            raise
        if check is not None and not check.matches:
            raise ClientError(
                Code.CHECKSUM_MISMATCH, 460, "The bytes are not those of the checksum."
            )
        return await self._finish(writing, buffer, start)

    async def _finish(self, writing: _Writing, buffer: bytearray, start: int) -> int:
        if start + len(buffer) > writing.offset or writing.staged:
            if buffer:
                await self._stage(writing, bytes(buffer))
            await self._commit(writing, start + len(buffer))
        return writing.offset

    async def _tail(self, writing: _Writing) -> bytearray:
        """The last chunk when it is short: it is sealed again, longer."""
        size = writing.offset % CHUNK
        if not size:
            return bytearray()
        names = await self._vault.names(
            writing.app, writing.ident, Variant.SOURCE, writing.first // PAGE
        )
        plain = await self._vault.chunk(
            writing.app, writing.ident, Variant.SOURCE, writing.key, writing.first, names
        )
        writing.tail = names[writing.first % PAGE]
        # Longer when a crash came between page and offset: the chunk begins with the same bytes.
        return bytearray(plain[:size])

    async def _stage(self, writing: _Writing, plain: bytes) -> None:
        """Name the chunks in the journal, then store them."""
        place = writing.first + len(writing.staged)
        sealed = await self._vault.seal(writing.key, writing.ident, Variant.SOURCE, place, plain)
        names = [name for name, _ in sealed]
        tail = () if writing.tail is None or writing.staged else (writing.tail,)
        await self._replace(writing, journal=(*writing.row.value.journal, *tail, *names))
        await self._vault.put(writing.app, sealed)
        writing.staged += names

    async def _commit(self, writing: _Writing, offset: int) -> None:
        """What was staged belongs to the upload from here on."""
        await self._vault.note(
            writing.app, writing.ident, Variant.SOURCE, writing.first, writing.staged
        )
        dead = () if writing.tail is None else (writing.tail,)
        await self._replace(writing, offset=offset, journal=dead)
        await self._vault.remove(writing.app, dead)
        writing.first += len(writing.staged)
        writing.offset, writing.tail = offset, None
        writing.staged.clear()

    async def _replace(self, writing: _Writing, **fields: object) -> None:
        value = msgspec.structs.replace(writing.row.value, **fields)
        writing.row = await self._rows.replace(writing.app, writing.row, value)

    async def _clean(self, app: str, ident: str, row: Row[Upload]) -> Row[Upload]:
        """What an earlier PATCH stored without getting to count it."""
        if not row.value.journal:
            return row
        committed: set[bytes] = set()
        last = (row.value.offset + CHUNK - 1) // CHUNK
        for page in range((last + PAGE - 1) // PAGE):
            names = await self._vault.names(app, ident, Variant.SOURCE, page)
            committed.update(names[: last - page * PAGE])
        await self._vault.remove(app, [n for n in row.value.journal if n not in committed])
        return await self._rows.replace(app, row, msgspec.structs.replace(row.value, journal=()))

    async def drop(self, app: str, ident: str) -> int:
        """Journal, chunks and pages of what was uploaded; how many chunks."""
        row = await self._rows.get(app, ident)
        removed = 0
        if row is not None:
            removed = await self._vault.remove(app, row.value.journal)
        removed += await self._vault.drop(app, ident, Variant.SOURCE)
        await self._rows.delete(app, ident)
        return removed


async def _bounded(data: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Raises 413 before a byte too many is stored."""
    async for piece in data:
        most -= len(piece)
        if most < 0:
            raise ClientError(Code.TOO_LARGE, 413, "More bytes than Upload-Length announced.")
        yield piece


def busy() -> ClientError:
    return ClientError(Code.UPLOAD_BUSY, 409, "Another request adds to this upload.")
