"""Blobs as files: `<root>/<app digest>/<two letters>/<name>`, whole or absent after a crash.

Used by the embedded and the MongoDB store; object storage is another adapter of the same port.
Files are written beside their place, synced and renamed, in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from signaling.errors import Unavailable
from signaling.storage import checks
from signaling.storage.private import make_private

RETRY_AFTER = 5

_Work = Callable[[Path, bytes], bytes | None]


class DiskBlobs:
    """`Blobs` in a directory. The app is hashed: its name may hold what a path may not."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, app: str, name: str) -> Path:
        house = hashlib.sha256(app.encode()).hexdigest()[:32]
        shelf = hashlib.sha256(name.encode()).hexdigest()[:2]
        return self._root / house / shelf / name

    async def put(self, app: str, name: str, data: bytes) -> None:
        checks.check_blob(app, name, data)
        await self._in_thread(_write, self._path(app, name), data)

    async def get(self, app: str, name: str) -> bytes | None:
        if not checks.is_blob(app, name):
            return None
        return await self._in_thread(_read, self._path(app, name), b"")

    async def delete(self, app: str, name: str) -> bool:
        if not checks.is_blob(app, name):
            return False
        found = await self._in_thread(_remove, self._path(app, name), b"")
        return found is not None

    @staticmethod
    async def _in_thread(work: _Work, path: Path, data: bytes) -> bytes | None:
        try:
            return await asyncio.to_thread(work, path, data)
        except OSError as error:
            what = error.strerror or "error"
            raise Unavailable(f"blobs cannot be used ({what})", RETRY_AFTER) from error


def _write(path: Path, data: bytes) -> None:
    make_private(path.parent)
    beside = path.with_name(f".{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, _: bytes) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _remove(path: Path, _: bytes) -> bytes | None:
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    _sync_directory(path.parent)
    return b""
