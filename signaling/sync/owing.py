"""Changes of presence to the sessions of one feed: a slow reader gets them later, the last of each.

Other hints a slow reader does without. This one it cannot: nothing would ever tell it again. A
session that is not live yet is owed nothing, since its state comes. Owned by the feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from signaling.chat.seeing import Shown
from signaling.sync.frames import encode
from signaling.sync.session_frames import PartitionPresence

if TYPE_CHECKING:
    from signaling.sync.live import Live

AGAIN_SECONDS = 1.0


class Owing:
    """See the module."""

    def __init__(self) -> None:
        self._late: dict[Live, dict[str, Shown]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, sessions: Iterable[Live], people: Sequence[Shown]) -> None:
        news = {shown.account: shown for shown in people}
        for live in tuple(sessions):
            self._send(live, {**self._late.pop(live, {}), **news})

    def _send(self, live: Live, owed: dict[str, Shown]) -> None:
        frame = PartitionPresence(session=live.number, people=tuple(owed.values()))
        if not live.tell(encode(frame)) and live.is_live:
            self._late[live] = owed
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(AGAIN_SECONDS, self._again)

    def _again(self) -> None:
        self._timer = None
        late, self._late = self._late, {}
        for live, owed in late.items():
            self._send(live, owed)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
