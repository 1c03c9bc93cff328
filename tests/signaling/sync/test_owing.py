"""Changes of presence are told to a slow reader later, and of each account only the last."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from signaling.chat.seeing import Shown, State
from signaling.sync import owing
from signaling.sync.owing import Owing


class Reader:
    """A session whose reader keeps up, or not."""

    number = 3

    def __init__(self, *, slow: bool = False, live: bool = True) -> None:
        self.slow, self.is_live = slow, live
        self.heard: list[dict[str, str]] = []

    def tell(self, frame: bytes) -> bool:
        told = self.is_live and not self.slow
        if told:
            said: dict[str, Any] = json.loads(frame)
            assert (said["type"], said["session"]) == ("presence", self.number)
            self.heard.append({one["account"]: one["state"] for one in said["people"]})
        return told


def shown(account: str, state: State) -> Shown:
    return Shown(account=account, state=state)


async def test_a_slow_reader_is_told_the_last_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owing, "AGAIN_SECONDS", 0.01)
    quick, slow, early = Reader(), Reader(slow=True), Reader(live=False)
    sessions: list[Any] = [quick, slow, early]
    owed = Owing()
    owed.tell(sessions, [shown("bob", State.ONLINE)])
    owed.tell(sessions, [shown("bob", State.BUSY), shown("cy", State.AWAY)])
    assert quick.heard == [{"bob": "online"}, {"bob": "busy", "cy": "away"}]
    slow.slow, early.is_live = False, True
    async with asyncio.timeout(20):
        while not slow.heard:
            await asyncio.sleep(0.01)
    assert slow.heard == [{"bob": "busy", "cy": "away"}]
    assert early.heard == [], "its state comes"
    owed.close()
