"""Where the archive of an import lies: sealed in chunks like a file, until the import is over.

`Lying` is what `zipfile` reads, in a thread, while the event loop fetches and opens the chunks.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator
from typing import IO, cast

from signaling.compliance.imports.mattermost import MattermostSource
from signaling.compliance.imports.port import Bad, Format, Job, Source
from signaling.compliance.imports.slack import SlackSource
from signaling.compliance.imports.sotto import SottoSource
from signaling.compliance.imports.zipped import Zipped
from signaling.errors import ClientError, Unavailable
from signaling.files.completing import Parts
from signaling.files.model import Upload
from signaling.files.port import CHUNK, Variant
from signaling.files.vault import Vault

# Read at once: ZIP directories and packed entries are read in small steps.
BLOCK = 4 * CHUNK
SECONDS = 120.0
SOURCES: dict[Format, type[SottoSource] | type[SlackSource] | type[MattermostSource]] = {
    Format.SOTTO: SottoSource,
    Format.SLACK: SlackSource,
    Format.MATTERMOST: MattermostSource,
}


class Lying:
    """One archive of `size` bytes. `stop` ends whatever thread waits in it."""

    def __init__(
        self, vault: Vault, app: str, ident: str, key: bytes, size: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:  # fmt: skip
        self._vault, self._app, self._ident, self._key = vault, app, ident, key
        self._size, self._loop, self._at = size, loop, 0
        self._block, self._data = -1, b""
        self._waiting: concurrent.futures.Future[bytes] | None = None
        self._stopped = False

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        found = bytearray()
        while self._at < end:
            block, within = divmod(self._at, BLOCK)
            data = self._fetched(block)[within : within + end - self._at]
            if not data:
                raise Bad("The archive is shorter than it was.")
            found += data
            self._at += len(data)
        return bytes(found)

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self._at, self._size)[whence]
        if at < 0:
            raise OSError("before the beginning")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def _fetched(self, block: int) -> bytes:
        if self._block != block:
            if self._stopped:
                raise Unavailable("the import was stopped")
            self._waiting = asyncio.run_coroutine_threadsafe(self._fetch(block), self._loop)
            try:
                self._data = self._waiting.result(SECONDS)
            except (concurrent.futures.CancelledError, TimeoutError):
                raise Unavailable("the import was stopped") from None
            except ClientError as error:
                raise Bad("A piece of the archive is missing or was changed.") from error
            self._block = block
        return self._data

    async def _fetch(self, block: int) -> bytes:
        start = block * BLOCK
        end = min(start + BLOCK, self._size)
        parts = self._vault.read(
            self._app, self._ident, Variant.SOURCE, self._key, start, end
        )  # fmt: skip
        return b"".join([part async for part in parts])

    def stop(self) -> None:
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()


class Archives:
    """One for each process. `most` is what one may come to when it is unpacked."""

    def __init__(self, parts: Parts, most: int) -> None:
        self._parts, self._most = parts, most

    async def begin(self, app: str, job: Job) -> None:
        await self._parts.register.uploads.create(app, job.id, Upload(length=job.size))

    async def received(self, app: str, job: Job) -> int:
        row = await self._parts.register.uploads.get(app, job.id)
        return 0 if row is None else row.value.offset

    async def append(self, app: str, job: Job, offset: int, data: AsyncIterator[bytes]) -> int:
        """As `Uploads.append`."""
        return await self._parts.uploads.append(app, job.id, job.key, offset, data)

    async def drop(self, app: str, ident: str) -> None:
        await self._parts.uploads.drop(app, ident)

    def lying(self, app: str, job: Job) -> Lying:
        loop = asyncio.get_running_loop()
        return Lying(self._parts.vault, app, job.id, job.key, job.size, loop)

    def source(self, job: Job, lying: Lying) -> Source:
        """In a thread. Raises Bad."""
        return source_of(job.format, cast("IO[bytes]", lying), job.size, self._most)


def source_of(kind: Format, file: IO[bytes], size: int, most: int) -> Source:
    return SOURCES[kind](Zipped(file, size, most))
