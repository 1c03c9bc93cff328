"""The `key_store` section: wrapped keys in a store of their own, apart from what they seal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from signaling.config.mirror import Mirror
from signaling.config.mongo import Lasting
from signaling.config.store import Store
from signaling.config.store_rules import check_store, same_database
from signaling.errors import ConfigError


class KeyStore(Lasting, frozen=True):
    """Wrapped keys apart from what they seal, so that a destroyed key is in no copy of the data;
    docs/operations/keys.md. Neither `url` nor `directory`: they lie in the store.
    `sotto keys move` brings those of an installation over.
    """

    url: Annotated[
        str,
        Meta(description="Empty: SQLite in `directory`. Otherwise MongoDB, as `store.url`."),
    ] = ""
    directory: Annotated[
        str,
        Meta(
            description=(
                "Directory of the SQLite file of keys. Not within that of the store, nor in its "
                "backups."
            )
        ),
    ] = ""
    database: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=38,
            description="A database of its own: never that of the store or the mirror.",
        ),
    ] = "sotto_keys"

    @property
    def apart(self) -> bool:
        return bool(self.url or self.directory)


def check_key_store(
    keys: KeyStore, store: Store, mirror: Mirror, *, production: bool
) -> Iterator[ConfigError]:
    """What types cannot say. Whether two stores belong together is seen when they are opened."""
    if not keys.apart:
        return
    if keys.url == "memory:" or store.url == "memory:":
        yield ConfigError("key_store.url", "`memory:` would forget one half of what is needed")
        return
    yield from check_store(keys, production=production, section="key_store")
    if same_database(keys, store):
        yield ConfigError("key_store.database", "is the store's: keys have one of their own")
    if same_database(keys, mirror):
        yield ConfigError("key_store.database", "is the mirror's: keys have one of their own")
