"""Which store the configuration asks for. Called by the composition root and by commands."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from signaling.clock import Clock, SystemClock
from signaling.config.store import Store as Settings
from signaling.errors import ConfigError, Unavailable
from signaling.ids import Entropy, SystemEntropy
from signaling.storage.port import Store

# Below `process.state_dir`.
DIRECTORY = "store"


def directory_of(settings: Settings, state: Path) -> Path:
    return Path(settings.directory) if settings.directory else state / DIRECTORY


async def open_store(
    settings: Settings,
    state: Path,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> Store:
    """Raises ConfigError when it can never be used (a newer schema, another server on the file).

    A MongoDB that does not answer yet is no error here: `ready` says so until it does. `settings`
    have passed `check_store`.
    """
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    if settings.url == "memory:":
        from signaling.storage.memory import MemoryStore

        return MemoryStore(clock, entropy)
    directory = directory_of(settings, state)
    if not settings.url:
        from signaling.storage.embedded import EmbeddedStore

        try:
            return EmbeddedStore(directory, clock, entropy)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError("store.directory", f"{directory}: {error}") from error
    from signaling.storage.mongo import MongoStore

    store = MongoStore(settings, directory, clock, entropy)
    try:
        await store.prepare()
    except Unavailable:
        return store
    except ConfigError:
        await store.close()
        raise
    return store


def insecurities(settings: Settings) -> list[str]:
    """What `/readyz` and the log must show of the store's configuration."""
    if settings.url.startswith("mongodb") and settings.insecure_without_auth:
        return ["insecure_store_without_auth"]
    return []
