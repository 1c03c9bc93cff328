"""A ZIP that is written while it is sent: nothing of it lies on a disk, and its size is no matter.

The last entry, `manifest.json`, lists all others with size and SHA-256. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import AsyncIterator
from datetime import datetime
from typing import IO, cast

import msgspec

MANIFEST = "manifest.json"
FORMAT = "sotto-export"
VERSION = 1


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the archive."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`about` is `account:<id>` or `room:<id>`. `omitted` says which files or people are not in it,
    and why.
    """

    format: str
    version: int
    about: str
    made_at: datetime
    files: tuple[Listed, ...]
    omitted: dict[str, str] = {}


class _Sink:
    """What `zipfile` writes to; it finds that it can neither seek nor tell, and does without."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return None

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class Archive:
    """Owned by one export. `add` one file after the other, then `end`."""

    def __init__(self) -> None:
        self._sink = _Sink()
        # It asks for no more than a sink has.
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w", zipfile.ZIP_DEFLATED)
        self._listed: list[Listed] = []
        self.omitted: dict[str, str] = {}

    async def add(self, name: str, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        digest, size = hashlib.sha256(), 0
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        with self._zip.open(info, "w", force_zip64=True) as entry:
            async for part in parts:
                entry.write(part)
                digest.update(part)
                size += len(part)
                if data := self._sink.take():
                    yield data
        self._listed.append(Listed(name=name, size=size, sha256=digest.hexdigest()))
        yield self._sink.take()

    async def end(self, about: str, at: datetime) -> AsyncIterator[bytes]:
        manifest = Manifest(
            format=FORMAT, version=VERSION, about=about, made_at=at, files=tuple(self._listed),
            omitted=self.omitted,
        )  # fmt: skip
        async for data in self.add(MANIFEST, whole(msgspec.json.encode(manifest))):
            yield data
        self._zip.close()
        yield self._sink.take()


async def whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def lines(items: AsyncIterator[msgspec.Struct]) -> AsyncIterator[bytes]:
    """NDJSON."""
    async for item in items:
        yield msgspec.json.encode(item) + b"\n"
