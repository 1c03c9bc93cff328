"""Places where a store can be opened, closed and opened again: one for each adapter.

The contract suite runs over all of them. `SOTTO_TEST_MONGODB=mongodb://...` adds a real server,
whose user and password are in `SOTTO_TEST_MONGODB_USER` and `SOTTO_TEST_MONGODB_PASSWORD`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from signaling.clock import Clock
from signaling.config.store import Store as Settings
from signaling.ids import SeededEntropy
from signaling.secret import Secret
from signaling.storage.memory import MemoryStore
from signaling.storage.open import open_store
from signaling.storage.port import Store

NAMES = ["memory", "embedded", "mongo"]
if "SOTTO_TEST_MONGODB" in os.environ:
    NAMES.append("mongodb")


class Place(Protocol):
    """`lasting`: what was acknowledged is there after `open` was called again."""

    lasting: bool

    async def open(self, clock: Clock) -> Store: ...
    async def clear(self) -> None: ...


class MemoryPlace:
    lasting = False

    async def open(self, clock: Clock) -> Store:
        return MemoryStore(clock, SeededEntropy())

    async def clear(self) -> None:
        return None


class EmbeddedPlace:
    lasting = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def open(self, clock: Clock) -> Store:
        return await open_store(Settings(), self._directory, clock)

    async def clear(self) -> None:
        return None


class MongoPlace:
    """A database of its own on the server at `url`, which is dropped at the end."""

    lasting = True

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.settings = settings
        self._directory = directory

    async def open(self, clock: Clock) -> Store:
        return await open_store(self.settings, self._directory, clock)

    async def clear(self) -> None:
        from pymongo import AsyncMongoClient

        from signaling.storage.mongo.connect import arguments

        client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(**arguments(self.settings))
        try:
            await client.drop_database(self.settings.database)
        finally:
            await client.close()


def fresh_database() -> str:
    return f"sotto_test_{secrets.token_hex(6)}"


def stand_in_settings(port: int) -> Settings:
    return Settings(
        url=f"mongodb://127.0.0.1:{port}/",
        database=fresh_database(),
        insecure_without_auth=True,
        timeout_seconds=8.0,
    )


def real_settings() -> Settings:
    user = os.environ.get("SOTTO_TEST_MONGODB_USER", "")
    return Settings(
        url=os.environ["SOTTO_TEST_MONGODB"],
        database=fresh_database(),
        user=user,
        password=Secret(os.environ.get("SOTTO_TEST_MONGODB_PASSWORD", "")) if user else None,
        ca=os.environ.get("SOTTO_TEST_MONGODB_CA", ""),
    )


def make(name: str, directory: Path, stand_in: Callable[[], int]) -> Place:
    """`stand_in` starts the stand-in when first asked, and gives its port."""
    if name == "memory":
        return MemoryPlace()
    if name == "embedded":
        return EmbeddedPlace(directory)
    settings = stand_in_settings(stand_in()) if name == "mongo" else real_settings()
    return MongoPlace(settings, directory)


Opener = Callable[[], Awaitable[Store]]
