"""What sync and REST see of rooms, and what chat asks of its neighbours. Types and protocols only.

A `Partition` is anything with a log that devices keep a copy of: a room, or an account's own data.
`integrate` is the one way in. Rights are decided by the holder inside the `Actor`, on either plane.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from signaling.access.evaluate import Holder
from signaling.accounts.principal import Kind
from signaling.chat.ops import Entry
from signaling.chat.seeing import Shown
from signaling.errors import Code
from signaling.storage.port import Head


class Actor(Struct, frozen=True, kw_only=True):
    """Who acts, on either plane. `account` is whose act it is: the signed-in account, or the uuid
    for which an access token is used; `token` marks the latter. Made by `service.Chat.actor`.
    """

    app: str
    account: str
    holder: Holder
    who: tuple[str, ...]
    device: str = ""
    session: str = ""
    kind: Kind = Kind.ACCOUNT
    token: bool = False


class Notice(Struct, frozen=True, kw_only=True):
    """A change that was kept without effect (sync: 231, compensating write)."""

    version: int
    code: Code
    message: str


class Integrated(Struct, frozen=True, kw_only=True):
    """`cursor` is the ident's newest version in the log: the acknowledgement. `entries` are those
    that this call appended, in order, void ones included. `head` where there are notices.
    """

    cursor: int
    head: Head
    entries: Sequence[Any] = ()
    notices: Sequence[Notice] = ()


class Batch(Struct, frozen=True, kw_only=True):
    """A stretch of the log: contiguous, rising. `chain` is that after its last entry (or, when it
    is empty, at `after`); ask again while `entries[-1].seq < head.seq`.
    """

    entries: Sequence[Any]
    chain: bytes
    head: Head


class BadVersion(Exception):  # noqa: N818 - names what happened
    """A change skipped a version (sync: 210). `expected` is the next that is taken."""

    def __init__(self, expected: int) -> None:
        super().__init__(f"expected version {expected}")
        self.expected = expected


class Below(Exception):  # noqa: N818 - names what happened
    """The reader's place is below the floor: reset and bootstrap (sync: 211 or 222)."""

    def __init__(self, head: Head) -> None:
        super().__init__(f"the log begins after {head.floor}")
        self.head = head


class Hint(Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Something happened; lost hints are made good by polling heads."""


class News(Hint, frozen=True, kw_only=True, tag="news"):
    """The log grew from `from_seq` to `to_seq`. `entries` when they were small, else none: read.
    `epoch` differs when the log began anew (a transient room after a restart). `chain` is that
    after `to_seq`: with `entries`, always, so that sessions can pass them on without reading.
    """

    from_seq: int
    to_seq: int
    epoch: str = ""
    entries: Sequence[Any] = ()
    chain: bytes = b""


class Typing(Hint, frozen=True, kw_only=True, tag="typing"):
    """`account` writes for so many seconds more; 0: stopped."""

    account: str
    seconds: int
    parent: str | None = None


class CursorMoved(Hint, frozen=True, kw_only=True, tag="cursor"):
    """Somebody read or got a room up to here. In a room: receipts that may be shown. In an account:
    one's own cursors on another device, with the room's unread counts to be asked anew.
    """

    room: str
    account: str
    read: int = 0
    delivered: int = 0
    parent: str | None = None


class Calling(Hint, frozen=True, kw_only=True, tag="calling"):
    """Of an account: something happened in a call that it has to do with, to `account` on `device`.
    `until` a ring ends, in Unix seconds.
    """

    call: str
    room: str
    event: str
    caller: str
    account: str
    device: str = ""
    video: bool = False
    until: float = 0.0


class PresenceMoved(Hint, frozen=True, kw_only=True, tag="presence"):
    """Of a circle, in this process only: how these are now, as far as its account may see it."""

    people: Sequence[Shown]


class RightsChanged(Hint, frozen=True, kw_only=True, tag="rights"):
    """The members or what they may do changed: ask `may_read` again (sync: 228 when refused)."""


class Passed(Hint, frozen=True, kw_only=True, tag="passed"):
    """Between processes only: entries of a transient room, sealed (`passing`)."""

    sealed: bytes


Watcher = Callable[[Hint], None]
Cancel = Callable[[], None]


class Partition(Protocol):
    """One kind of log with its rules; `name` is the room's id, or the account's own.

    Every call raises Refused (403, or 404 for a room whose existence is private), ClientError for
    what is wrong with the request, and Unavailable when the store does not answer.
    """

    async def may_read(self, actor: Actor, name: str) -> None: ...

    async def integrate(
        self, actor: Actor, name: str, ident: str, changes: Sequence[Any]
    ) -> Integrated:
        """Versions at or below the ident's cursor are skipped; raises BadVersion for a gap. A
        change that is not allowed keeps its version without effect and comes back as a notice.
        """

    async def read(self, actor: Actor, name: str, after: int, limit: int) -> Batch:
        """Entries beyond `after`. Raises Below."""

    async def head(self, app: str, name: str) -> Head: ...

    async def epoch(self, app: str, name: str) -> str:
        """Which log this is: another one when it began anew. Empty for a log that lasts."""

    async def cursor(self, app: str, name: str, ident: str) -> int: ...

    async def chain(self, app: str, name: str, seq: int) -> bytes | None:
        """The chain after the op at `seq`; None when it is above the head or below the floor."""

    async def state(self, actor: Actor, name: str) -> tuple[int, Struct]:
        """For a bootstrap: what follows from the log up to a seq, which may lie anywhere from the
        floor to the head; entries after it complete it. A struct that encodes to JSON.
        """

    def watch(self, app: str, name: str, watcher: Watcher) -> Cancel:
        """`watcher` runs on the event loop; what it is told is a hint."""


class Committed(Protocol):
    """What delivery, search and receipts attach to a room's log: called once for each append of
    this process, after it is durable and before the acknowledgement, in the room's order.
    """

    async def __call__(self, app: str, room: str, entries: Sequence[Entry]) -> None: ...


class Attachable(Protocol):
    """Files' answer whether an account may put these files into a message (its own, complete,
    clean), and their word that it is about to. Raises ClientError otherwise.
    """

    async def __call__(
        self, actor: Actor, room: str, message: str, files: Sequence[str]
    ) -> None: ...


class Addable(Protocol):
    """Whether an account lets itself be added to a room by this one. Raises ClientError if not."""

    async def __call__(self, actor: Actor, account: str) -> None: ...


async def anybody(actor: Actor, account: str) -> None:
    """Where nobody's wishes are known."""


async def any_file(actor: Actor, room: str, message: str, files: Sequence[str]) -> None:
    """Where there is no file service: ids are taken as they are."""


CommittedHook = Callable[[str, str, Sequence[Entry]], Awaitable[None]]
