"""The embedded store: one SQLite file and a directory of blobs beside it.

States: open -> closed. Owned by the composition root, which also calls `sweep`.
"""

from __future__ import annotations

import os
from pathlib import Path

from signaling.clock import Clock, SystemClock
from signaling.errors import Unavailable
from signaling.ids import Entropy, SystemEntropy
from signaling.storage.blobs import DiskBlobs
from signaling.storage.embedded.documents import Documents
from signaling.storage.embedded.reader import Reader
from signaling.storage.embedded.rooms import Rooms
from signaling.storage.embedded.writer import RETRY_AFTER, Writer

FILE = "sotto.db"
# With less, one large op fails although the probe below, a few bytes, still fits.
LEAST_FREE = 1024 * 1024


def free_bytes(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


class EmbeddedStore:
    """`directory` holds `sotto.db`, its write-ahead log, its lock and `blobs/`, for us alone."""

    def __init__(
        self, directory: Path, clock: Clock | None = None, entropy: Entropy | None = None
    ) -> None:
        """Raises ConfigError when another server has it open or its schema is newer."""
        self._clock = clock or SystemClock()
        self._directory = directory
        path = directory / FILE
        rooms = Rooms()
        self._writer = Writer(path, rooms.forget, rooms.flush, rooms.committed)
        self._reader = Reader(path)
        rooms.use(self._writer, self._reader)
        self.log = rooms
        self.meta = Documents(self._writer, self._reader, self._clock, entropy or SystemEntropy())
        self.blobs = DiskBlobs(directory / "blobs")

    async def ready(self) -> None:
        if not self._writer.intact():
            raise Unavailable("the file of the store was moved or removed", RETRY_AFTER)
        if free_bytes(self._directory) < LEAST_FREE:
            raise Unavailable("the disk of the store is full", RETRY_AFTER)
        self._reader.rows("SELECT at FROM probe", ())
        now = self._clock.unix()
        await self._writer.write(
            lambda on: on.execute("REPLACE INTO probe VALUES (1, ?)", (now,)).rowcount
        )

    async def sweep(self) -> int:
        await self.log.sweep()
        return await self.meta.sweep()

    async def close(self) -> None:
        await self._writer.close()
        self._reader.close()
