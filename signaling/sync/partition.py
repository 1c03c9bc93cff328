"""What a session syncs: one partition, named by its path. Ports; pure types.

    room:<id>   the log of a room; made by chat
    account     an account's own data: drafts, saved messages, read cursors (`account.py`)
    presence    who is there among the people one may see; never stored (`presence_partition.py`)

A partition is a log with contiguous `seq`. Reading, opening and integrating belong to whoever owns
it; sessions, cursors and fan-out are this room's. Every call may raise Refused or Unavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta, Struct

from signaling.accounts.principal import Principal
from signaling.storage.port import Head, Op

Version = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class Change(Struct, frozen=True):
    """One op of a client: `version` counts within its file, from 1, without gaps."""

    version: Version
    op: msgspec.Raw


class Entry(Struct, frozen=True, kw_only=True):
    """One op of the log as clients get it. `op` is JSON; `account` and `at` are the server's word.

    `altered`: not what its author sent, so the author gets it whole. `rights`: who may read, or
    what they may do, may be different from here on.
    """

    seq: int
    ident: str
    version: int
    account: str = ""
    at: int = 0
    """Milliseconds of Unix time when the server took it; never orders anything."""
    op: msgspec.Raw
    chain: bytes
    digest: bytes
    """SHA-256 of the body as it is stored, so that erasing it does not break the chain."""
    altered: bool = False
    rights: bool = False


class Refusal(Struct, frozen=True):
    """A change that kept its place in the log with an empty effect."""

    version: int
    code: str
    reason: str


class Integrated(Struct, frozen=True, kw_only=True):
    """`upto`: the ident's cursor now. `seq`: the newest op of these in the log; 0: all were known."""

    upto: int
    seq: int = 0
    refusals: tuple[Refusal, ...] = ()


class State(Struct, frozen=True, kw_only=True):
    """What a bootstrap carries beside the ops: what is left of ops that are gone, and the newest
    hybrid clock (milliseconds) of any op that the log ever had."""

    clock: int = 0
    state: msgspec.Raw | None = None


class Partition(Protocol):
    """One partition, bound to an app. Shared by all its sessions; holds no session's state."""

    @property
    def room(self) -> str:
        """The name of its log in the store, which is also its topic on the bus."""

    async def may_read(self, principal: Principal) -> None:
        """Raises Refused (206 on the wire) for who may not, as if it were not there."""

    async def head(self) -> Head: ...

    async def read(self, after: int, limit: int) -> list[Entry]:
        """Rising, contiguous above the floor."""

    async def open(self, ops: Sequence[Op]) -> list[Entry]:
        """Ops of the log as a hint or a read brought them."""

    async def cursor(self, ident: str) -> int: ...

    async def state(self) -> State: ...

    async def integrate(
        self, principal: Principal, ident: str, changes: Sequence[Change]
    ) -> Integrated:
        """Rising versions without gaps from cursor + 1. Durable when it returns, and announced.

        Raises ClientError for a change that is no op at all: nothing of the call was stored.
        """


class Partitions(Protocol):
    """Finds partitions by path: `room:<id>`, `account`."""

    async def find(self, principal: Principal, path: str) -> Partition | None:
        """None: there is none of this name (205). Raises ValueError for a path of no form (204).

        The same object for the same partition while anybody uses it is not promised; `app` and
        `room` tell partitions apart.
        """
