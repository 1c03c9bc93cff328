"""The MongoDB store. States: new -> prepared (schema and indexes there) -> closed.

Opening never waits: the first call connects, and `ready` says `Unavailable` until that works.
Owned by the composition root.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from signaling.clock import Clock
from signaling.config.mongo import Mongo as Settings
from signaling.errors import ConfigError, Unavailable
from signaling.ids import Entropy
from signaling.storage.blobs import DiskBlobs
from signaling.storage.mongo.connect import Row, arguments, asked, unavailable
from signaling.storage.mongo.documents import Documents
from signaling.storage.mongo.rooms import Rooms
from signaling.storage.mongo.schema import Database, migrate

# The driver ends its sessions by a request, which a server that is away does not answer.
GOODBYE_SECONDS = 0.5


class MongoStore:
    """`directory` holds the blobs: shared by all servers, or of the only one."""

    def __init__(self, settings: Settings, directory: Path, clock: Clock, entropy: Entropy) -> None:
        """Raises ConfigError for a URL or certificate that the driver cannot use."""
        self._clock = clock
        try:
            self._client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
        except (PyMongoError, OSError) as error:
            raise ConfigError(
                "store", f"MongoDB's driver refuses: {type(error).__name__}"
            ) from error
        self._prepared: Database | None = None
        self._preparing = asyncio.Lock()
        self._closed = False
        self._name = settings.database
        self.meta = Documents(self._database, clock, entropy)
        self.log = Rooms(self._database, clock, entropy, settings.timeout_seconds)
        self.blobs = DiskBlobs(directory / "blobs")

    async def _database(self) -> Database:
        if self._closed:
            raise Unavailable("the store is closed", None)
        if self._prepared is None:
            await self._prepare_late()
        assert self._prepared is not None
        return self._prepared

    async def _prepare_late(self) -> None:
        async with self._preparing:
            try:
                if self._prepared is None:
                    await self.prepare()
            except ConfigError as error:
                raise Unavailable(error.message, None) from error

    async def prepare(self) -> None:
        """Raises ConfigError for a newer schema, `Unavailable` when there is no answer."""
        database = self._client[self._name]
        try:
            await migrate(database)
        except PyMongoError as error:
            raise unavailable(error) from error
        self._prepared = database

    async def ready(self) -> None:
        schema = (await self._database())["schema"]
        now = self._clock.unix()
        await asked(schema.update_one({"_id": "probe"}, {"$set": {"at": now}}, upsert=True))

    async def sweep(self) -> int:
        await self.log.sweep()
        return await self.meta.sweep()

    async def close(self) -> None:
        """May be cut while the server is away: the driver's sockets and tasks still end, soon."""
        if self._closed:
            return
        try:
            if self._prepared is not None:
                with contextlib.suppress(PyMongoError, Unavailable):
                    await self.log.close()
        finally:
            self._closed = True
            with pymongo.timeout(GOODBYE_SECONDS):
                await asyncio.shield(self._client.close())
