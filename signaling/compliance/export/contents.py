"""Content of files in an archive: as it was sent, or of encrypted rooms as it lies here.

The keys of an encrypted room's files are in its messages, which only the members read, so their
pieces are given as they are kept: see `docs/concepts/rights.md` for how a client opens them.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from signaling.chat.bodies import FileRef, Plain
from signaling.chat.ops import Post
from signaling.chat.reduce import MessageView
from signaling.compliance.export.archive import Archive
from signaling.files.model import Stored, is_key
from signaling.files.port import Shape, State, Variant
from signaling.files.service import Files
from signaling.keys.port import IntegrityError

GONE = "not there any more"


@dataclass(slots=True)
class Wanted:
    """The files of one export: those that messages hold a key of, and those of encrypted ones."""

    named: dict[str, FileRef] = field(default_factory=dict)
    sealed: dict[str, None] = field(default_factory=dict)

    def note(self, view: MessageView | Post) -> None:
        if isinstance(view.body, Plain):
            self.named |= {ref.id: ref for ref in view.body.files}
        elif view.body is not None:
            self.sealed |= {attachment.id: None for attachment in view.attachments}


@dataclass(frozen=True, slots=True)
class Contents:
    files: Files

    async def add(self, archive: Archive, app: str, wanted: Wanted) -> AsyncIterator[bytes]:
        for ref in wanted.named.values():
            async for data in self._open(archive, app, ref):
                yield data
        for ident in wanted.sealed:
            async for data in self._sealed(archive, app, ident):
                yield data

    async def _open(self, archive: Archive, app: str, ref: FileRef) -> AsyncIterator[bytes]:
        stored = await self._ready(app, ref.id)
        if stored is None:
            archive.omitted[ref.id] = GONE
            return
        key, shape = base64.b64decode(ref.key) if ref.key else b"", _main(stored)
        if shape is None or not is_key(stored, key):
            archive.omitted[ref.id] = "no key that opens it"
            return
        content = self.files.parts.vault.read(app, ref.id, shape.variant, key, 0, shape.size)
        async for data in _added(archive, ref.id, f"files/{ref.id}", content):
            yield data

    async def _sealed(self, archive: Archive, app: str, ident: str) -> AsyncIterator[bytes]:
        stored = await self._ready(app, ident)
        shape = None if stored is None else _main(stored)
        if shape is None:
            archive.omitted[ident] = GONE
            return
        content = self.files.parts.vault.kept(app, ident, shape.variant, shape.size)
        async for data in _added(archive, ident, f"files/{ident}.sealed", content):
            yield data

    async def _ready(self, app: str, ident: str) -> Stored | None:
        row = await self.files.parts.register.files.get(app, ident)
        return None if row is None or row.value.state is not State.READY else row.value


def _main(stored: Stored) -> Shape | None:
    return stored.shape(Variant.FILE) or stored.shape(Variant.SOURCE)


async def _added(
    archive: Archive, ident: str, name: str, content: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """What cannot be read from its beginning on has no place in the archive at all."""
    try:
        first = await anext(content, b"")
        async for data in archive.add(name, _joined(first, content)):
            yield data
    except IntegrityError:
        archive.omitted[ident] = "damaged"


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for data in rest:
        yield data
