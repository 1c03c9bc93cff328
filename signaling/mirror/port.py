"""What the mirror writes and takes, and the database that it asks for. Pure types and protocols.

The database is the operator's: others read it, write into `inbox`, and may have changed anything.
So nothing that is found there decides about a room; the worst that a wrong place can do is that a
room is written once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import asdict

Document = dict[str, Any]


class Reason(StrEnum):
    """Why a room is not mirrored, or a document did not become a post. Beside these the codes of
    `signaling.errors`, when the room itself refused it.
    """

    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    SHAPE = "shape"
    ROOM_NOT_NAMED = "room_not_named"
    ROOM_NOT_FOUND = "room_not_found"
    ROOM_TRANSIENT = "room_transient"
    ROOM_PHI = "room_phi"
    AUTHOR_REFUSED = "author_refused"


class Place(Struct, frozen=True, kw_only=True):
    """How far a room was written: up to `upto`, whose link in the log's chain is `chain`; nothing
    up to `floor` is left; with `bodies` or without.
    """

    upto: int = 0
    floor: int = 0
    chain: str = ""
    bodies: bool = False


class Waiting(Struct, frozen=True, kw_only=True):
    """A document of the inbox as it lies there. `name` is the condition that finds it, as BSON."""

    name: bytes
    data: bytes


class Quarantined(Struct, frozen=True, kw_only=True):
    """What did not become a post. `id` is the same when the same document comes again; `source` is
    the document as extended JSON, as far as it is short and can be read.
    """

    id: str
    document: str
    reason: str
    detail: str
    at: datetime
    size: int
    source: str | None = None

    def as_document(self) -> Document:
        kept = asdict(self)
        return {"_id": kept.pop("id"), **kept}


class NoStreams(Exception):  # noqa: N818 - names what happened
    """This server has no change streams (one that stands alone, or no MongoDB at all)."""


class MirrorStore(Protocol):
    """Every call raises Unavailable when the database does not answer."""

    async def prepare(self) -> None:
        """Indexes, which may be there."""

    # Rooms

    async def rooms(self) -> list[str]:
        """All that anything is left of."""

    async def place(self, room: str) -> Place | None: ...
    async def set_place(self, room: str, place: Place, facts: Document | None) -> None:
        """`facts` are the room's own fields, when they may have changed."""

    async def write(self, documents: Sequence[Document]) -> None:
        """Each replaces what is older than itself (`upto`), and never a tombstone."""

    async def bury(self, room: str, ids: Sequence[str], upto: int) -> None:
        """Tombstones in the place of these messages, whether they are there or not."""

    async def vanish(self, room: str, ids: Sequence[str], upto: int) -> None:
        """As `bury`, of those that are there."""

    async def bury_account(self, account: str) -> int:
        """Of everything that an account wrote; how many there were."""

    async def reflecting(self, room: str, seqs: Sequence[int], ids: Sequence[str]) -> list[str]:
        """The messages that were made of any of these ops, and those whose threads these are in."""

    async def purge(self, room: str, floor: int) -> None: ...
    async def forget_room(self, room: str) -> int:
        """How many messages there were."""

    # The inbox

    async def waiting(self, limit: int) -> list[Waiting]: ...
    async def took(self, document: str) -> bool:
        """Whether it became a post before."""

    async def note_taken(self, document: str, receipt: Document) -> None: ...
    async def quarantine(self, one: Quarantined, most: int) -> None:
        """The oldest go when there are more than `most`."""

    async def remove(self, name: bytes) -> None:
        """From the inbox."""

    async def notice(self, document: Document) -> None:
        """What became of a person; the same again changes nothing."""

    async def expire(self, before: datetime) -> None:
        """Receipts, notices and what was quarantined."""

    async def changes(self, wake: Callable[[], None]) -> None:
        """Calls `wake` for whatever comes into the inbox, until it fails. Raises NoStreams."""

    async def close(self) -> None: ...
