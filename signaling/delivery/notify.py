"""Who is told of what while their devices sleep: the one door for messages, calls and the rest.

Never to a device that is here now, never from somebody who is blocked, in quiet hours later or not
at all; what a notification says is `push.content`'s, who is told of a message `push.news`'s, how
it travels the outbox's. Driven by `push.news` and by whoever rings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

NoticeKind = Literal[
    "message", "mention", "reaction", "invite",
    "call", "missed", "over",
    "read", "deleted", "wake", "test",
]  # fmt: skip
Urgency = Literal["very-low", "low", "normal", "high"]
"""RFC 8030 section 5.3."""

DAY = 86400
SILENT = frozenset({"read", "deleted", "over"})
"""Take something from the screen and put nothing there."""


class Notice(Struct, frozen=True, kw_only=True):
    """Something happened in `room`, because of `sender`. `preview` is what was written, shown only
    where room and recipient allow it. Notices of one `collapse` (a call, say; else the room)
    replace each other, waiting and on the screen. `seq` is its place in the room's log.
    Of a ring, `call` is its id and `reject` what says no without a session; `over` takes it away.
    """

    kind: NoticeKind
    room: str = ""
    sender: str = ""
    preview: str | None = None
    collapse: str = ""
    ttl_s: int = 3 * DAY
    urgency: Urgency = "normal"
    id: str = ""
    seq: int = 0
    parent: str | None = None
    emoji: str = ""
    call: str = ""
    video: bool = False
    reject: str = ""


class RoomFacts(Struct, frozen=True, kw_only=True):
    """Of a room: `open` when the server may read it, `preview` when its owner lets what is said be
    seen outside of it.
    """

    name: str = ""
    open: bool = False
    transient: bool = False
    preview: bool = False


class Around(Protocol):
    """What is asked of rooms, accounts and presence."""

    async def room(self, app: str, room: str) -> RoomFacts | None:
        """None for a call that is no room's."""

    async def blocks(self, app: str, account: str, other: str) -> bool: ...

    async def muted(self, app: str, account: str, room: str) -> bool:
        """Nothing of this room is to reach the account's sleeping devices."""

    async def member(self, app: str, account: str, room: str) -> bool:
        """Who has left meanwhile is told nothing more of it."""

    async def read_upto(self, app: str, account: str, room: str, parent: str | None) -> int: ...

    async def here(self, app: str, account: str) -> Sequence[str]:
        """Devices with an open sync socket; a session for one that has no device."""

    async def name(self, app: str, account: str) -> str: ...


class Notifier(Protocol):
    """One for each process."""

    async def notify(self, app: str, account: str, notice: Notice) -> int:
        """To how many devices it goes. Raises Unavailable."""
