"""Hints about rooms: whole within a process, without what was said between two."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime

from signaling.bus.local import LocalBus
from signaling.chat.bodies import Plain
from signaling.chat.hub import Hub
from signaling.chat.ops import Entry, Part, Post
from signaling.chat.ports import CursorMoved, Hint, News, RightsChanged, Typing

APP, ROOM = "app", "0192aaaa-0000-7000-8000-00000000aaaa"
CANARY = "canary-on-the-bus"


def blind(app: str, text: str) -> str:
    return hashlib.sha256(f"{app}:{text}".encode()).hexdigest()[:43]


class Tapped(LocalBus):
    """Keeps what passes over it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[tuple[str, bytes]] = []

    async def publish(self, topic: str, payload: bytes) -> None:
        self.passed.append((topic, payload))
        await super().publish(topic, payload)


def said() -> Entry:
    op = Post(id="00000000-0000-7000-8000-000000000001", body=Plain(text=CANARY))
    at = datetime.fromtimestamp(1_800_000_000, UTC)
    return Entry(
        seq=4, ident="7", version=1, clock=5, at=at, account="ana", part=Part.MEMBER, op=op
    )


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_was_said_is_told_here_and_never_on_the_bus() -> None:
    bus = Tapped()
    one, other = Hub(bus, blind, "one"), Hub(bus, blind, "other")
    here: list[Hint] = []
    there: list[Hint] = []
    one.watch(APP, ROOM, here.append)
    other.watch(APP, ROOM, there.append)
    news = News(from_seq=4, to_seq=4, epoch="e", entries=[said()], chain=b"c" * 32)
    await one.tell(APP, ROOM, news)
    await settle()
    assert here == [news]
    (hint,) = there
    assert isinstance(hint, News)
    assert (hint.from_seq, hint.to_seq, hint.epoch, list(hint.entries)) == (4, 4, "e", [])
    for topic, payload in bus.passed:
        assert CANARY.encode() not in payload and ROOM not in topic


async def test_every_hint_reaches_the_other_process_once() -> None:
    bus = Tapped()
    one, other = Hub(bus, blind, "one"), Hub(bus, blind, "other")
    here: list[Hint] = []
    there: list[Hint] = []
    one.watch(APP, ROOM, here.append)
    other.watch(APP, ROOM, there.append)
    hints = [
        Typing(account="ana", seconds=5), RightsChanged(),
        CursorMoved(room=ROOM, account="ana", read=3, delivered=4, parent=None),
    ]  # fmt: skip
    for hint in hints:
        await one.tell(APP, ROOM, hint)
    await settle()
    assert here == there == hints


async def test_who_stopped_watching_hears_nothing_and_junk_harms_nobody() -> None:
    bus = Tapped()
    one, other = Hub(bus, blind, "one"), Hub(bus, blind, "other")
    gone: list[Hint] = []
    stays: list[Hint] = []
    cancel = other.watch(APP, ROOM, gone.append)
    other.watch(APP, ROOM, stays.append)
    cancel()
    cancel()
    await one.tell(APP, ROOM, RightsChanged())
    ((topic, _),) = bus.passed
    for junk in (b"", b"\xff", b"\x93\x01", b"\x92\xa1x\x81\xa4type\xa4none", b"\x92\x01\x02"):
        await bus.publish(topic, junk)
    await one.tell(APP, ROOM, Typing(account="ana", seconds=0))
    await settle()
    assert gone == []
    assert stays == [RightsChanged(), Typing(account="ana", seconds=0)]


async def test_rooms_and_apps_are_apart() -> None:
    bus = Tapped()
    hub = Hub(bus, blind, "one")
    heard: list[Hint] = []
    for app, name in ((APP, "@ana"), ("another", ROOM)):
        hub.watch(app, name, heard.append)
    await hub.tell(APP, ROOM, RightsChanged())
    await settle()
    assert heard == []
    hub.close()
