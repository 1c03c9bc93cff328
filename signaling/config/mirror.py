"""The `mirror` section: rooms as plain documents in a MongoDB of the operator's (row A25)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from signaling.config.mongo import Mongo
from signaling.config.store import Store
from signaling.config.store_rules import check_store, same_database
from signaling.errors import ConfigError

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Mirror(Mongo, frozen=True):
    """Rooms that other programs read as plain documents, and an inbox through which they post;
    docs/operations/mirror.md. No API changes any of it.
    """

    url: Annotated[
        str,
        Meta(description="`mongodb://` or `mongodb+srv://`, as `store.url`. Empty: no mirror."),
    ] = ""
    database: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=38,
            description="A database of its own: never that of the store.",
        ),
    ] = "sotto_mirror"
    timeout_seconds: Annotated[
        float, Meta(gt=0, le=10, description="How long one call may wait for it.")
    ] = 5.0
    rooms: Annotated[
        tuple[str, ...],
        Meta(
            max_length=1000,
            description=(
                "Ids of the rooms that are mirrored, and that the inbox posts to. What is named no "
                "longer leaves the mirror."
            ),
        ),
    ] = ()
    bodies: Annotated[
        bool,
        Meta(
            description=(
                "Write what people said as well, in the clear. Otherwise the envelope only: who, "
                "when, where. Encrypted bodies are never written."
            )
        ),
    ] = False
    phi: Annotated[
        bool, Meta(description="Mirror rooms that are marked `phi` too, which are refused else.")
    ] = False
    inbox_authors: Annotated[
        tuple[str, ...],
        Meta(
            max_length=100,
            description=(
                "Ids of the bots in whose name documents of `inbox` may speak. Empty: the inbox "
                "is left alone."
            ),
        ),
    ] = ()
    inbox_per_minute: Annotated[
        int,
        Meta(ge=1, le=60_000, description="Documents taken from the inbox; the others wait."),
    ] = 600
    poll_seconds: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60,
            description="How often the inbox is looked at where there is no change stream.",
        ),
    ] = 1.0
    keep_days: Annotated[
        float,
        Meta(gt=0, le=365, description="So long are quarantined documents and receipts kept."),
    ] = 7.0


def check_mirror(mirror: Mirror, store: Store, *, production: bool) -> Iterator[ConfigError]:
    """What types cannot say. Whether a room is there is seen when it is mirrored."""
    if not mirror.url:
        return
    if mirror.url == "memory:":
        yield ConfigError("mirror.url", "is mongodb://, mongodb+srv:// or empty")
        return
    yield from check_store(mirror, production=production, section="mirror")
    if same_database(store, mirror):
        yield ConfigError("mirror.database", "is the store's: a mirror has one of its own")
    for ident in mirror.rooms:
        if _ID.fullmatch(ident) is None:
            yield ConfigError("mirror.rooms", f"{ident!r} is not the id of a room")
