"""A file that the audit is appended to, as NDJSON, readable by the server's account alone.

Opened by name for each batch, so that it may be rotated, and synced before the batch counts.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from signaling.compliance.audit.entry import Record
from signaling.compliance.audit.export import json_line
from signaling.errors import Unavailable


class FileSink:
    """Holds nothing open between batches."""

    name = "file"
    overlap = 0.0

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, app: str, records: Sequence[Record]) -> None:
        data = b"".join(json_line(record) for record in records)
        try:
            await asyncio.to_thread(append, self._path, data)
        except OSError as error:
            raise Unavailable(f"the file cannot be written: {error.strerror}") from error

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        return None


def append(path: Path, data: bytes) -> None:
    """All of it or nothing: a full disk must leave no half line behind."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        before = os.fstat(descriptor).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)
