"""Sealed chunks of files over `Blobs`: the only place where content is kept, and always ciphertext.

AES-256-GCM over 64 KiB with the file's key and a random nonce; file, form and place are associated
data, so no chunk can be moved. A chunk is named by the SHA-256 of its ciphertext. The names of a
form lie in pages, which are written before the chunks: a crash leaves nothing that nobody knows.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from signaling.files.model import NONCE_BYTES, Page
from signaling.files.port import CHUNK, Variant
from signaling.ids import Entropy
from signaling.keys.port import IntegrityError
from signaling.storage.port import Blobs, Conflict
from signaling.storage.table import Table

PAGE = 512  # chunks, so a page is 16 KiB: rewritten for each batch, so not too large
BATCH = 16  # chunks sealed and stored at once: 1 MiB of memory for each upload under way
NAME_BYTES = 32


class Vault:
    """Owned by the composition root."""

    def __init__(self, blobs: Blobs, pages: Table[Page], entropy: Entropy) -> None:
        self._blobs, self._pages, self._entropy = blobs, pages, entropy

    async def seal(
        self, key: bytes, file: str, variant: Variant, first: int, plain: bytes
    ) -> list[tuple[bytes, bytes]]:
        """(name, ciphertext) of each chunk, `first` being the place of the first."""
        return await asyncio.to_thread(self._seal, key, file, variant, first, plain)

    def _seal(
        self, key: bytes, file: str, variant: Variant, first: int, plain: bytes
    ) -> list[tuple[bytes, bytes]]:
        box = AESGCM(key)
        sealed = []
        for place, start in enumerate(range(0, len(plain), CHUNK), first):
            nonce = self._entropy.token(NONCE_BYTES)
            piece = plain[start : start + CHUNK]
            data = nonce + box.encrypt(nonce, piece, _bound(file, variant, place))
            sealed.append((hashlib.sha256(data).digest(), data))
        return sealed

    async def put(self, app: str, sealed: Iterable[tuple[bytes, bytes]]) -> None:
        """All of them, or Unavailable; then some may be there."""
        work = (self._blobs.put(app, name.hex(), data) for name, data in sealed)
        for done in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(done, BaseException):
                raise done

    async def remove(self, app: str, names: Iterable[bytes]) -> int:
        found = await asyncio.gather(*(self._blobs.delete(app, name.hex()) for name in names))
        return sum(found)

    # Pages

    async def names(self, app: str, file: str, variant: Variant, page: int) -> list[bytes]:
        row = await self._pages.get(app, _key(file, variant, page))
        return [] if row is None else _split(row.value.names)

    async def note(
        self, app: str, file: str, variant: Variant, first: int, names: Sequence[bytes]
    ) -> None:
        """From place `first` on these are the chunks; what was beyond them in the page is not."""
        while names:
            page, at = divmod(first, PAGE)
            here, names = names[: PAGE - at], names[PAGE - at :]
            await self._write_page(app, _key(file, variant, page), at, here)
            first += len(here)

    async def _write_page(self, app: str, key: str, at: int, names: Sequence[bytes]) -> None:
        row = await self._pages.get(app, key)
        if row is None:
            await self._pages.create(app, key, Page(b"".join(names)))
            return
        kept = row.value.names[: at * NAME_BYTES]
        await self._pages.replace(app, row, Page(kept + b"".join(names)))

    async def drop(self, app: str, file: str, variant: Variant) -> int:
        """The form's chunks and pages; how many chunks there were."""
        removed = page = 0
        while True:
            row = await self._pages.get(app, _key(file, variant, page))
            if row is None:
                return removed
            names = _split(row.value.names)
            for start in range(0, len(names), BATCH):
                removed += await self.remove(app, names[start : start + BATCH])
            page += 1
            following = await self._pages.get(app, _key(file, variant, page))
            await self._pages.delete(app, row.key)
            if following is None:
                return removed

    # Whole forms

    async def write(
        self, app: str, file: str, variant: Variant, key: bytes, plain: memoryview
    ) -> None:
        """A form that the server made. What a crash left of an earlier try goes first."""
        await self.drop(app, file, variant)
        for first in range(0, (len(plain) + CHUNK - 1) // CHUNK, BATCH):
            piece = bytes(plain[first * CHUNK : (first + BATCH) * CHUNK])
            sealed = await self.seal(key, file, variant, first, piece)
            try:
                await self.note(app, file, variant, first, [name for name, _ in sealed])
            except Conflict:
                raise IntegrityError("Two processes wrote one file.") from None
            await self.put(app, sealed)

    async def read(
        self, app: str, file: str, variant: Variant, key: bytes, start: int, end: int
    ) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (without it). Raises IntegrityError for a chunk that is gone or
        was changed; then what came before it is good.
        """
        places = range(start // CHUNK, (end + CHUNK - 1) // CHUNK)
        async for place, names in self._places(app, file, variant, places):
            plain = await self.chunk(app, file, variant, key, place, names)
            at = place * CHUNK
            yield plain[max(0, start - at) : end - at]

    async def kept(self, app: str, file: str, variant: Variant, size: int) -> AsyncIterator[bytes]:
        """The chunks of a form as they lie here, for who has no key: nonce, ciphertext, tag. Raises
        IntegrityError for one that is gone or was changed.
        """
        places = range((size + CHUNK - 1) // CHUNK)
        async for place, names in self._places(app, file, variant, places):
            yield await self._piece(app, place, names)

    async def _places(
        self, app: str, file: str, variant: Variant, places: Iterable[int]
    ) -> AsyncIterator[tuple[int, list[bytes]]]:
        """Each with the names of its page."""
        names: list[bytes] = []
        page = -1
        for place in places:
            if place // PAGE != page:
                page = place // PAGE
                names = await self.names(app, file, variant, page)
            yield place, names

    async def chunk(
        self,
        app: str,
        file: str,
        variant: Variant,
        key: bytes,
        place: int,
        names: Sequence[bytes],
    ) -> bytes:
        """`names` are those of its page."""
        data = await self._piece(app, place, names)
        try:
            bound = _bound(file, variant, place)
            return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound)
        except InvalidTag:
            raise IntegrityError("A piece of the file does not open.") from None

    async def _piece(self, app: str, place: int, names: Sequence[bytes]) -> bytes:
        at = place % PAGE
        data = None
        if at < len(names):
            data = await self._blobs.get(app, names[at].hex())
        if data is None or hashlib.sha256(data).digest() != names[at]:
            raise IntegrityError("A piece of the file is missing or was changed.")
        return data


def _bound(file: str, variant: Variant, place: int) -> bytes:
    return b"\0".join((b"sotto file", file.encode(), variant.encode(), place.to_bytes(8, "big")))


def _key(file: str, variant: Variant, page: int) -> str:
    return f"{file}/{variant}/{page:06d}"


def _split(names: bytes) -> list[bytes]:
    return [names[at : at + NAME_BYTES] for at in range(0, len(names), NAME_BYTES)]
