"""What an erasure is while it goes on, and what others attach to one. Pure types.

    waiting -> running -> done
       ^    held <-> running       (a legal hold; it goes on by itself when the hold ends)

A job is a list of steps, each of which may be repeated. `step` and `after` say how far it came, so
that whoever takes it over after a crash goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Kind(StrEnum):
    MESSAGES = "messages"
    RANGE = "range"
    ROOM = "room"
    PERSON = "person"


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    HELD = "held"
    DONE = "done"


class Job(Struct, frozen=True, kw_only=True):
    """`people` are those whose hold would stop it; `done` of `total` tell how far the current step
    is. `claim` is until when `worker` has it to itself. When it is done, `certificate` says what
    was erased and nothing else here names anybody. A `dry` one counts, whatever is held, and ends
    without a certificate; `hold` then says what would stop it.
    """

    id: str
    kind: Kind
    by: str
    asked: float
    room: str = ""
    account: str = ""
    messages: tuple[str, ...] = ()
    first: int = 0
    last: int = 0
    people: tuple[str, ...] = ()
    state: State = State.WAITING
    hold: str = ""
    step: int = 0
    after: str = ""
    done: int = 0
    total: int = 0
    counts: dict[str, int] = {}
    claim: float = 0.0
    worker: str = ""
    finished: float | None = None
    certificate: bytes = b""
    key: str = ""
    signature: bytes = b""
    dry: bool = False


class Progress(Protocol):
    """A running job as its steps see it."""

    @property
    def job(self) -> Job: ...

    async def note(
        self,
        counts: Mapping[str, int] | None = None,
        *,
        after: str = "",
        done: int = 0,
        total: int = 0,
    ) -> None:
        """Durable before it returns; `counts` are added. Raises `claims.Lost`."""


class Step(Protocol):
    async def __call__(self, app: str, progress: Progress) -> None: ...


class Eraser(Protocol):
    """What else may hold something of a room, a person or a message: queues, caches, mirrors.

    Repeating it must do no harm. Returns how many things it removed; `name` is their word in the
    certificate.
    """

    @property
    def name(self) -> str: ...

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int: ...
