"""What is to be delivered, who delivers it, and what became of it. Pure types and protocols.

An item waits in a lane; a lane's items go in order, a batch at a time. Whoever makes items puts
them into the outbox and is done: at least once, over restarts and in any process. A `Sender` is one
way out (`push`, `webhook`, `route`) and says of each batch what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Item(Struct, frozen=True, kw_only=True):
    """One thing to deliver. Times in Unix seconds.

    `lane` names the queue ("route:<id>:<room>", "push:<subscription>"); `kind` which Sender;
    `target` the id of the subscription, webhook or route; `body` is JSON for the Sender; `id` is
    unique: the receiver's key against doubles. Not before `due`; after `expires` it is dropped and
    counted. It takes the place of a waiting one of its lane with the same `collapse`.

    `room` and `subject` (a message, say) are what it is about: `Outbox.drop` finds it by them, and
    a body is sealed with its room's key. `place` numbers it within its lane where its maker has
    such a number: two items with one place are one.
    """

    app: str
    lane: str
    kind: str
    target: str
    body: bytes
    id: str
    due: float = 0.0
    expires: float | None = None
    collapse: str = ""
    room: str = ""
    subject: str = ""
    place: int = 0


class Delivered(Struct, frozen=True):
    """The receiver has it. With `settle_s` it may still lose what it got within so long (syslog
    acknowledges nothing): the items are kept until then, and go again after a `Settling.epoch`.
    With `taken` it was too much at once: so many of the first went, and the others are next.
    """

    settle_s: float = 0.0
    taken: int | None = None


class Retry(Struct, frozen=True):
    """Not now. `after_s`: the receiver's wish; the outbox's own back-off may be longer."""

    after_s: float
    reason: str


class Dead(Struct, frozen=True):
    """These items will never be taken: they become dead letters, which can be sent again."""

    reason: str


class Gone(Struct, frozen=True):
    """There is no such target any more: what waits for it is dropped."""

    reason: str


Outcome = Delivered | Retry | Dead | Gone


class Sender(Protocol):
    """One way out. Never raises for what the other side does; what it raises is tried again."""

    async def send(self, app: str, target: str, items: Sequence[Item]) -> Outcome: ...


class Settling(Sender, Protocol):
    """A way out that acknowledges nothing."""

    def epoch(self, app: str, target: str) -> int:
        """Another number after each loss of what it may not have kept."""


class Outbox(Protocol):
    """One for each process; all of them work off the same lanes."""

    async def put(self, items: Sequence[Item], *, ephemeral: bool = False) -> None:
        """Durable when it returns, in this order within each lane. `ephemeral` items (those of
        transient rooms) stay in the memory of this process and end with it.
        """

    async def drop(self, app: str, *, target: str = "", room: str = "", subject: str = "") -> int:
        """Forget what waits and what is dead: all that is for `target`, about `room`, about
        `subject`, as far as they are named. How many there were.
        """
