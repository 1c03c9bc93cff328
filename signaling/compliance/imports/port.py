"""What an import is while it goes on, and what an archive says, whoever wrote it. Pure types.

    uploading -> checking -> ready -> running -> done
                    |                    |
                    +----> refused <-----+         cancelled, from any of them but the last ones

Everything in an archive is somebody's claim: ids of rooms, messages and people in it are *foreign*
and never used as ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from signaling.chat.bodies import Body, FileRef
from signaling.chat.ops import CallState, Mode, Part
from signaling.chat.ops import Kind as RoomKind
from signaling.errors import Code

# What a foreign name is cut to, and what a foreign id may have.
NAME = 100
MOST_PEOPLE = 20_000


class Format(StrEnum):
    """Who wrote the archive."""

    SOTTO = "sotto"
    SLACK = "slack"
    MATTERMOST = "mattermost"


class State(StrEnum):
    UPLOADING = "uploading"
    CHECKING = "checking"  # every byte is looked at; nothing is brought yet
    READY = "ready"  # the people in it are known; it waits to be started
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"  # `code` and `detail` say why; what was brought before stays
    CANCELLED = "cancelled"


OVER = frozenset({State.DONE, State.REFUSED, State.CANCELLED})
WORKED_ON = frozenset({State.CHECKING, State.RUNNING})


class Job(Struct, frozen=True, kw_only=True):
    """`sha256` is what the administrator said of the archive, `digest` what it has; `key` seals it
    where it lies until the import is over. `position` counts messages of the archive that are
    behind us. `claim` is until when `worker` has the job to itself.
    """

    id: str
    format: Format
    by: str
    asked: float
    touched: float
    size: int
    label: str = ""
    sha256: str = ""
    digest: str = ""
    key: bytes = b""
    state: State = State.UPLOADING
    owner: str = ""
    done: int = 0
    total: int = 0
    position: int = 0
    counts: dict[str, int] = {}
    rooms: tuple[str, ...] = ()
    code: str = ""
    detail: str = ""
    claim: float = 0.0
    worker: str = ""
    finished: float | None = None


class Known(Struct, frozen=True, kw_only=True):
    """Somebody in the archive, and the account that an administrator said they are."""

    id: str
    name: str
    account: str = ""


class Crowd(Struct, frozen=True, kw_only=True):
    """All people of one archive."""

    people: tuple[Known, ...] = ()


class Person(Struct, frozen=True):
    id: str
    name: str


class Place(Struct, frozen=True, kw_only=True):
    """A room. `members` by foreign id, in an order that follows from the archive alone."""

    id: str
    name: str = ""
    topic: str = ""
    kind: RoomKind = RoomKind.GROUP
    mode: Mode = Mode.SEARCHABLE
    created: float = 0.0
    phi: bool = False
    members: tuple[tuple[str, Part], ...] = ()


class Attached(Struct, frozen=True, kw_only=True):
    """A file. `path` is where its bytes lie in the archive, empty when they do not; `ref` is what
    its message said about it.
    """

    id: str
    name: str
    media_type: str = ""
    size: int = 0
    path: str = ""
    ref: FileRef | None = None


class Called(Struct, frozen=True, kw_only=True):
    """A call that is over. `accounts` by foreign id: who called first."""

    state: CallState
    accounts: tuple[str, ...] = ()
    seconds: int = 0


class Kept(Struct, frozen=True, kw_only=True):
    """What somebody keeps for themselves: a draft (`body`; `message` is the thread's head, if any)
    or a saved `message`.
    """

    person: str
    room: str
    message: str = ""
    body: Body | None = None
    note: str = ""
    remind: float | None = None


class Message(Struct, frozen=True, kw_only=True):
    """`bodies`: what it said before each edit, and what it says; files belong to the last. `author`
    is a foreign id, `name` how they were called then, where that is another than now. `votes` are
    the voters by option. `parent` and what else it points at are foreign ids of the same room.
    What a `call` left is told by whoever called.
    """

    id: str
    at: float
    author: str
    bodies: tuple[Body, ...]
    name: str = ""
    kind: str = "text"
    parent: str = ""
    reply_to: str = ""
    mentions: tuple[str, ...] = ()
    custom: dict[str, Any] = {}
    files: tuple[Attached, ...] = ()
    reactions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    edited: float | None = None
    until: float | None = None
    pinned: bool = False
    deleted: bool = False
    closed: bool = False
    multiple: bool = False
    votes: tuple[tuple[str, ...], ...] = ()
    call: Called | None = None


Told = tuple[str, Message]
"""A room's foreign id and one of its messages."""


class Source(Protocol):
    """One archive, read again from its beginning with every call, always in the same order. Runs
    in a thread. Every call raises Bad. `skipped` counts what the last reading left out.
    """

    @property
    def skipped(self) -> dict[str, int]: ...

    def check(self) -> Iterator[int]:
        """Looks at every byte; yields how many since the last time."""

    def people(self) -> Iterator[Person]: ...

    def places(self) -> Iterator[Place]: ...

    def messages(self) -> Iterator[Told]: ...

    def kept(self) -> Iterator[Kept]: ...

    def data(self, path: str) -> Iterator[bytes]: ...


class Bad(Exception):  # noqa: N818 - names what happened
    """The archive is not taken; `code` is documented like every other."""

    def __init__(self, message: str, code: Code = Code.ARCHIVE_INVALID) -> None:
        super().__init__(message)
        self.code, self.message = code, message
