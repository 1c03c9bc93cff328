"""Secrets that all processes of an installation share, made once and kept sealed in the store."""

from __future__ import annotations

import msgspec

from signaling.ids import Entropy
from signaling.keys.port import INSTALLATION, Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

SIZE = 32


class Shared(msgspec.Struct, frozen=True):
    secret: bytes


async def shared_secret(store: Store, sealer: Sealer, entropy: Entropy, name: str) -> bytes:
    """32 bytes. Two processes that start at once end with the same."""
    table = Table(store, "shared_secret", Shared, sealer)
    found = await table.get(INSTALLATION, name)
    if found is None:
        try:
            found = await table.create(INSTALLATION, name, Shared(entropy.token(SIZE)))
        except Conflict:
            return await shared_secret(store, sealer, entropy, name)
    return found.value.secret
