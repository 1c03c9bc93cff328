"""The store as a command may read it, also while a server has it open. Writes are refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from signaling.clock import SystemClock
from signaling.config import Config
from signaling.config.mongo import Lasting
from signaling.errors import ConfigError
from signaling.ids import SystemEntropy
from signaling.storage.apart import RoutedMeta
from signaling.storage.embedded.documents import Documents
from signaling.storage.embedded.reader import Reader
from signaling.storage.embedded.rooms import Rooms
from signaling.storage.embedded.store import FILE
from signaling.storage.embedded.writer import Writer
from signaling.storage.open import directory_of, open_store
from signaling.storage.port import Log, Meta, Store

BUSY = "a server has the store open; ask it with --url and --token"


@dataclass(frozen=True)
class Readable:
    """`close` when done."""

    meta: Meta
    log: Log
    owners: tuple[Store | Reader, ...]

    async def close(self) -> None:
        for owner in self.owners:
            closing = owner.close()
            if closing is not None:
                await closing


class _NoWriter:
    """Stands where a writer would: whoever would write here learns why it does not."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ConfigError("store", BUSY)


async def open_readable(config: Config, state: Path) -> Readable:
    """The store, and that of the keys where they have one of their own."""
    data = await _one(config.store, state)
    if not config.key_store.apart:
        return data
    try:
        keys = await _one(config.key_store, state)
    except BaseException:
        await data.close()
        raise
    return Readable(RoutedMeta(data.meta, keys.meta), data.log, (*data.owners, *keys.owners))


async def _one(settings: Lasting, state: Path) -> Readable:
    """The store itself if nobody has it open; else the file beside the server that has."""
    try:
        store = await open_store(settings, state)
    except ConfigError:
        path = directory_of(settings, state) / FILE
        if settings.url or not path.exists():
            raise
        return _beside(path)
    return Readable(store.meta, store.log, (store,))


def _beside(path: Path) -> Readable:
    reader = Reader(path)
    nobody = cast("Writer", _NoWriter())
    rooms = Rooms(alone=False)
    rooms.use(nobody, reader)
    documents: Any = Documents(nobody, reader, SystemClock(), SystemEntropy())
    return Readable(documents, rooms, (reader,))
