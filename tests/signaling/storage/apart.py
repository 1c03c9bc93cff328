"""Configurations with a store of keys, keys on them, and a store that stops at a chosen write."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from signaling.clock import SystemClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.config import Config
from signaling.config.key_store import KeyStore
from signaling.config.kms import Kms
from signaling.config.store import Store as StoreSettings
from signaling.errors import Unavailable
from signaling.ids import SystemEntropy
from signaling.keys.open import Keys, open_keys
from signaling.keys.port import INSTALLATION, bind
from signaling.storage.apart import SEALED, ApartStore, settle
from signaling.storage.open import open_stores
from signaling.storage.port import Meta, Store
from tests.signaling.storage import places

KINDS = ["embedded", "mongo"]
APP = "app"
AAD = bind(APP, "kind", "key")


@dataclass
class Site:
    """One installation: `config` has both stores, `joined` the first alone."""

    config: Config
    state: Path

    @property
    def joined(self) -> Config:
        return replace(self.config, key_store=KeyStore())

    @contextlib.asynccontextmanager
    async def stores(self, config: Config | None = None) -> AsyncIterator[Store]:
        """Opened, and found to belong together."""
        store = await open_stores(config or self.config, self.state)
        try:
            await settle(store, SystemEntropy())
            yield store
        finally:
            await store.close()

    @contextlib.asynccontextmanager
    async def both(self) -> AsyncIterator[ApartStore]:
        """Opened, whatever they are."""
        store = await open_stores(self.config, self.state)
        assert isinstance(store, ApartStore)
        try:
            yield store
        finally:
            await store.close()

    @contextlib.asynccontextmanager
    async def keys(self, config: Config | None = None) -> AsyncIterator[Keys]:
        """As a server opens them, with the first thing that it seals."""
        config = config or self.config
        async with self.stores(config) as store:
            keys = await open_keys(
                config, self.state, store.meta, MemoryAudit(), SystemClock(), SystemEntropy()
            )
            try:
                if not await store.meta.scan(INSTALLATION, SEALED, limit=1):
                    await store.meta.put(INSTALLATION, SEALED, "1", b"sealed", expect=0)
                yield keys
            finally:
                await keys.close()


def site(data: str, keys: str, folder: Path, stand_in: Callable[[], int]) -> Site:
    """`data` and `keys` are kinds of adapters."""
    store = StoreSettings(directory=str(folder / "store"))
    key_store = KeyStore(directory=str(folder / "keys-apart"))
    if data == "mongo":
        made = places.stand_in_settings(stand_in())
        store = replace(made, directory=store.directory)
    if keys == "mongo":
        made = places.stand_in_settings(stand_in())
        key_store = KeyStore(
            url=made.url, database=made.database, insecure_without_auth=True, timeout_seconds=8.0
        )
    masters = Kms(directory=str(folder.parent / "masters"))
    return Site(Config(store=store, key_store=key_store, kms=masters), folder / "state")


class Stopping:
    """A `Meta` whose writes end after `left` of them, as if the process had died there."""

    def __init__(self, inner: Meta, left: list[int]) -> None:
        self._inner = inner
        self._left = left
        self.get, self.scan = inner.get, inner.scan

    def _spend(self) -> None:
        if self._left[0] <= 0:
            raise Unavailable("died", None)
        self._left[0] -= 1

    async def put(self, *where: object, **what: object) -> int:
        self._spend()
        return await self._inner.put(*where, **what)  # type: ignore[arg-type]  # passed on

    async def delete(self, *where: object, **what: object) -> bool:
        self._spend()
        return await self._inner.delete(*where, **what)  # type: ignore[arg-type]  # passed on

    async def remove(self, app: str, kind: str, keys: Sequence[str]) -> int:
        self._spend()
        return await self._inner.remove(app, kind, keys)
