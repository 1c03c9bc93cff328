"""Which store the configuration asks for. Called by the composition root and by commands."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from signaling.clock import Clock, SystemClock
from signaling.config import Config
from signaling.config.key_store import KeyStore
from signaling.config.mongo import Lasting as Settings
from signaling.config.mongo import Mongo
from signaling.errors import ConfigError, Unavailable
from signaling.ids import Entropy, SystemEntropy
from signaling.storage.apart import ApartStore
from signaling.storage.port import Store

# Below `process.state_dir`. A key store in MongoDB keeps nothing there.
DIRECTORY = "store"
KEYS_DIRECTORY = "key_store"


def section_of(settings: Settings) -> str:
    return "key_store" if isinstance(settings, KeyStore) else "store"


def directory_of(settings: Settings, state: Path) -> Path:
    if settings.directory:
        return Path(settings.directory)
    return state / (KEYS_DIRECTORY if isinstance(settings, KeyStore) else DIRECTORY)


async def open_stores(
    config: Config, state: Path, clock: Clock | None = None, entropy: Entropy | None = None
) -> Store:
    """The store, with that of the keys where they have one of their own. Raises as `open_store`;
    `apart.settle` says whether the two belong together.
    """
    check_apart(config, state)
    data = await open_store(config.store, state, clock, entropy)
    if not config.key_store.apart:
        return data
    try:
        return ApartStore(data, await open_store(config.key_store, state, clock, entropy))
    except BaseException:
        await data.close()
        raise


def check_apart(config: Config, state: Path) -> None:
    """Raises ConfigError where a copy of the store's directory would hold the keys as well."""
    if config.key_store.url or not config.key_store.directory:
        return
    store = directory_of(config.store, state).resolve()
    if directory_of(config.key_store, state).resolve().is_relative_to(store):
        raise ConfigError("key_store.directory", "lies within that of the store")


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
            where = f"{section_of(settings)}.directory"
            raise ConfigError(where, f"{directory}: {error}") from error
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


def insecurities(config: Config) -> list[str]:
    """What `/readyz` and the log must show of the databases that are configured."""
    named: dict[str, Mongo] = {
        "store": config.store, "key_store": config.key_store, "mirror": config.mirror,
    }  # fmt: skip
    return [
        f"insecure_{name}_without_auth"
        for name, settings in named.items()
        if settings.url.startswith("mongodb") and settings.insecure_without_auth
    ]
