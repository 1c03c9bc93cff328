"""The store's contract: the calls on which every capability is built, so that one code path
stands above all adapters. Pure types; the contract suite in `tests/signaling/storage` holds every
adapter to these docstrings.

Every call names the app (tenant) first, and nothing crosses from one app to another. Adapters
raise `Unavailable` when the store cannot answer and ValueError for a name or size that they can
never store; reading such a name finds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

MAX_NAME = 512  # bytes of UTF-8 in an app, kind, key, term, room or ident
MAX_VALUE = 4 * 1024 * 1024  # a document: well below the 16 MB of MongoDB, with its terms
MAX_BODY = 1024 * 1024  # an op: one message, never an attachment
MAX_BATCH = 1000  # ops of one append, ops picked at once, documents of one removal
MAX_VERSION = 2**63 - 1  # of an op, chosen by its author
GENESIS = bytes(32)  # the chain before the first op


class Conflict(Exception):  # noqa: N818 - names what happened
    """The document was created, changed or removed since it was read: read again, then decide."""


class Document(msgspec.Struct, frozen=True):
    """`version` is opaque, grows with every put and is never that of an earlier namesake."""

    key: str
    version: int
    value: bytes
    terms: tuple[str, ...] = ()
    expires: float | None = None


class NewOp(msgspec.Struct, frozen=True):
    """`version` counts within `ident` (one client, or one session of the HTTP API), from 1. An op
    that `turns` is one that others must have seen before they append (`seen`).
    """

    ident: str
    version: int
    body: bytes
    turns: bool = False


class Appended(msgspec.Struct, frozen=True, eq=False):
    """`seq` of a duplicate is that of the ident's newest op if it is that one, otherwise 0.
    `chain` is that after the op, where the adapter has it at hand; it follows from the place, so
    two answers are equal without it.
    """

    seq: int
    duplicate: bool = False
    chain: bytes = b""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Appended):
            return False
        return (self.seq, self.duplicate) == (other.seq, other.duplicate)

    def __hash__(self) -> int:
        return hash((self.seq, self.duplicate))


class Op(msgspec.Struct, frozen=True):
    """One entry. An erased op keeps its seq and chain; `digest` then stands in for its body."""

    seq: int
    ident: str
    version: int
    body: bytes
    chain: bytes
    digest: bytes = b""

    @property
    def erased(self) -> bool:
        return bool(self.digest)


class Head(msgspec.Struct, frozen=True):
    """The newest op of a room and its chain; ops up to `floor` are gone. An empty room: 0."""

    seq: int = 0
    chain: bytes = GENESIS
    floor: int = 0


def digest_of(op: Op) -> bytes:
    """SHA-256 of the body, also when the body was erased."""
    return op.digest or hashlib.sha256(op.body).digest()


def link(chain: bytes, ident: str, version: int, digest: bytes) -> bytes:
    """The chain after an op. Over the body's digest, so that erasing a body does not break it."""
    head = chain + digest + version.to_bytes(8, "big")
    return hashlib.sha256(head + ident.encode()).digest()


def is_name(text: str, *, empty: bool = False) -> bool:
    """Whether an adapter can hold this name: UTF-8, bounded; no NUL apart from rooms and keys."""
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            return False
    return (0 if empty else 1) <= size <= MAX_NAME


class Meta(Protocol):
    """Documents by (app, kind, key) with compare and set; no transaction spans two of them."""

    async def get(self, app: str, kind: str, key: str) -> Document | None:
        """An expired document is not found."""

    async def put(
        self,
        app: str,
        kind: str,
        key: str,
        value: bytes,
        *,
        expect: int,
        terms: Sequence[str] = (),
        expires: float | None = None,
    ) -> int:
        """The new version. `expect` 0 creates, otherwise replaces that version; else Conflict.

        Durable when it returns. `Unavailable` leaves open whether it took place.
        """

    async def delete(self, app: str, kind: str, key: str, *, expect: int | None = None) -> bool:
        """Whether there was one; with `expect`, Conflict unless it has that version."""

    async def remove(self, app: str, kind: str, keys: Sequence[str]) -> int:
        """As `delete` of each, in one go; how many there were. At most `MAX_BATCH` keys.

        After `Unavailable` repeat it: some may be removed already.
        """

    async def scan(
        self, app: str, kind: str, *, term: str | None = None, after: str = "", limit: int = 100
    ) -> list[Document]:
        """By key (code points), beyond `after`; `term` is one of the document's terms."""


class Log(Protocol):
    """One op log per room. Rooms whose name begins with NUL are the server's own (audit)."""

    async def append(
        self,
        app: str,
        room: str,
        ops: Sequence[NewOp],
        *,
        expect: int | None = None,
        seen: int | None = None,
    ) -> list[Appended]:
        """Contiguous, in order; an op at or below its ident's cursor is a duplicate and skipped.

        With `expect`, the seq of the room's newest op, nothing new is stored once there is a newer
        one: Conflict, which says that nothing of `ops` is stored. Duplicates conflict with nothing.

        With `seen`, nothing new is stored once an op that turns lies beyond that seq: the answer is
        then shorter than `ops`, and what it leaves out is not stored. Who has seen the head is
        never turned away; an adapter that forgot which ops turned may turn away who has not.

        Durable when it returns. After `Unavailable` repeat the same ops: what was stored comes
        back as a duplicate. Embedded and memory store all or nothing; MongoDB may keep the first
        few of a batch whose server died, and the repeat completes it.
        """

    async def read(
        self,
        app: str,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[Op]:
        """Rising and contiguous, above the floor. With `after` the first `limit` beyond it (below
        `before`), otherwise the last `limit` below `before`, or of all."""

    async def pick(self, app: str, room: str, seqs: Sequence[int]) -> list[Op]:
        """Those of these that are above the floor, rising, in one go. At most `MAX_BATCH` seqs."""

    async def head(self, app: str, room: str) -> Head: ...

    async def cursor(self, app: str, room: str, ident: str) -> int:
        """The newest version of `ident` that was stored, 0 if none; outlives purged ops."""

    async def purge(self, app: str, room: str, upto: int) -> None:
        """Raise the floor; what is at or below it is unreadable at once and leaves the disk.

        `Unavailable` leaves open whether it took place; one that was begun is finished by `sweep`.
        """

    async def erase(self, app: str, room: str, seqs: Sequence[int]) -> None:
        """Replace bodies by their digests, on disk too. Unknown or purged seqs are skipped.

        After `Unavailable` repeat it: of more than a thousand the first may be erased already.
        """


class Blobs(Protocol):
    """Ciphertext chunks, beside the database. Names are [a-z0-9._-], at most 128."""

    async def put(self, app: str, name: str, data: bytes) -> None: ...
    async def get(self, app: str, name: str) -> bytes | None: ...
    async def delete(self, app: str, name: str) -> bool: ...


class Store(Protocol):
    """An open store. Owned by the composition root; everybody else borrows it."""

    @property
    def meta(self) -> Meta: ...
    @property
    def log(self) -> Log: ...
    @property
    def blobs(self) -> Blobs: ...

    async def ready(self) -> None:
        """Returns if reads and durable writes work now, otherwise raises `Unavailable`."""

    async def sweep(self) -> int:
        """Remove expired documents for good; how many. Expiry is exact without it. Finishes purges
        that were cut short.
        """

    async def close(self) -> None: ...
