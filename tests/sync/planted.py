"""Bugs that a sync engine is likely to have, each as a patch of the real code that changes one
thing: of the client, in Python here and by the same names in TypeScript
(`web/e2e/sync-planted.ts`), of the server's sessions, and of its rooms.

Each was found in a prototype by the machine, or is of the kind that it is for. With each goes what
the machine finds of it: anything else that a test dies of is no catch.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from signaling.chat.ops import Erase, Op
from signaling.chat.ports import News
from signaling.chat.room import Room
from signaling.chat.rooms import Rooms
from signaling.chat.service import Chat, Judged
from signaling.chat.state import RoomState
from signaling.storage.port import Head
from signaling.sync.batch import Batch
from signaling.sync.engine import Effect, Phase, Session
from signaling.sync.feed import Feed
from sotto_client.local import Local
from sotto_client.replica import NeedsReset, Replica
from tests.sync.findings import What, Wrong

Patch = pytest.MonkeyPatch
Frame = dict[str, Any]


@dataclass(frozen=True)
class Bug:
    """`shows`: what the machine finds of it; `breaks`: what the patched code may die of instead."""

    plant: Callable[[Patch], None]
    shows: frozenset[What]
    breaks: tuple[type[Exception], ...] = ()

    @property
    def name(self) -> str:
        return self.plant.__name__

    def explains(self, error: BaseException) -> bool:
        if isinstance(error, Wrong):
            return error.what in self.shows
        return isinstance(error, self.breaks)


CLIENT: list[Bug] = []
SERVER: list[Bug] = []
ROOMS: list[Bug] = []


def bug(
    where: list[Bug], *shows: What, breaks: tuple[type[Exception], ...] = ()
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def planted(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        where.append(Bug(plant, frozenset(shows), breaks))
        return plant

    return planted


# Of the client


@bug(CLIENT, What.UNREST)
def bootstrap_keeps_what_was_integrated(patch: Patch) -> None:
    """Pending changes that the server has already survive a reset."""

    def bootstrap(self: Replica, frame: Frame, changes: list[Frame]) -> bool:
        with pytest.MonkeyPatch.context() as meanwhile:
            meanwhile.setattr(Local, "drop_pending_upto", lambda self, path, version: None)
            return original(self, frame, changes)

    original = Replica._bootstrap
    patch.setattr(Replica, "_bootstrap", bootstrap)


@bug(CLIENT, What.DIFFERENT, What.UNREST, breaks=(sqlite3.IntegrityError,))
def cursor_is_saved_apart(patch: Patch) -> None:
    """Entries and cursor in two transactions: a crash between them tears the copy."""

    def arrived(self: Replica, frame: Frame) -> None:
        on = self._local._inner._on if hasattr(self._local, "_inner") else self._local._on
        on.execute("COMMIT")
        on.execute("BEGIN IMMEDIATE")
        original(self, frame)

    original = Replica._arrived
    patch.setattr(Replica, "_arrived", arrived)


@bug(CLIENT, What.UNREST, What.MISCOUNTED, What.DIFFERENT)
def ident_is_used_again(patch: Patch) -> None:
    """On a restored server the file begins anew under its old name."""

    def rename(self: Replica) -> None:
        self.resets += 1
        self.file.cursor, self.file.chain, self.file.acked = 0, "", 0
        self._local.keep(self.file)
        self._sent = 0

    patch.setattr(Replica, "_rename", rename)


@bug(CLIENT, What.HIDDEN)
def clock_is_not_taken_along(patch: Patch) -> None:
    """What a device hears does not move its own clock: its next change loses to the past."""

    def deaf(hearing: Any) -> Any:
        def heard(self: Replica, frame: Frame, changes: list[Frame]) -> bool:
            clock = self.file.clock
            news: bool = hearing(self, frame, changes)
            self.file.clock = clock
            return news

        return heard

    for name in ("_bootstrap", "_follow"):
        patch.setattr(Replica, name, deaf(getattr(Replica, name)))


@bug(CLIENT, What.VANISHED, What.DIFFERENT)
def pending_leaves_at_the_acknowledgement(patch: Patch) -> None:
    """Too early: what one wrote is gone when its place comes. It is taken as it is: a client that
    begins anew whenever it misses something heals itself of this."""

    def acknowledged(self: Replica, uploaded: int) -> None:
        original(self, uploaded)
        self._local.drop_pending_upto(self.path, uploaded)

    def own(self: Replica, version: int) -> Frame:
        try:
            return also_original(self, version)
        except NeedsReset:
            return {"type": "void", "code": "lost"}

    original, also_original = Replica._acknowledged, Replica._own
    patch.setattr(Replica, "_acknowledged", acknowledged)
    patch.setattr(Replica, "_own", own)


# Of the server's sessions


@bug(SERVER, What.DIFFERENT, What.UNREST)
def a_gap_in_hints_is_not_seen(patch: Patch) -> None:
    """The server passes a hint on although the bus lost one before it."""

    def heard(self: Feed, news: News) -> None:
        missing = news.from_seq > self.newest + 1 and self._task is None and self._is_started
        if self.sessions and missing and news.entries and news.epoch == self.epoch:
            self._pace(news.entries, news.chain)
        else:
            right(self, news)

    def fresh(self: Session, batch: Batch) -> list[Effect]:
        if self.phase is Phase.LIVE and batch.first > self.cursor + 1:
            return [self._download(batch), *self._answer_marks()]
        return also_right(self, batch)

    right, also_right = Feed._news, Session._fresh
    patch.setattr(Feed, "_news", heard)
    patch.setattr(Session, "_fresh", fresh)


@bug(SERVER, What.HIDDEN)
def bootstrap_has_no_clock(patch: Patch) -> None:
    """What the server says of ops that are gone leaves out when they were made."""

    def resumed(
        self: Session, head: Head, upload: int, chain: bytes | None, state: bytes | None
    ) -> list[Effect]:
        if state is not None:
            known = json.loads(state)
            known.pop("clock", None)
            state = json.dumps(known).encode()
        return original(self, head, upload, chain, state)

    original = Session.resumed
    patch.setattr(Session, "resumed", resumed)


@bug(SERVER, What.DIFFERENT)
def floor_is_not_told(patch: Patch) -> None:
    """What was purged stays on devices that are connected."""
    patch.setattr(Session, "floor", lambda self, floor: [])


# Of the server's rooms


@bug(ROOMS, What.UNREST, What.DIFFERENT)
def a_refused_change_has_no_place(patch: Patch) -> None:
    """It is left out of the log, where an empty one should keep its place."""

    async def judge_all(self: Chat, *words: Any) -> list[Judged]:
        return [one for one in await right(self, *words) if one.notice is None]

    right: Any = Chat._judge_all
    patch.setattr(Chat, "_judge_all", judge_all)


@bug(ROOMS, What.DIFFERENT)
def an_erasure_is_not_told(patch: Patch) -> None:
    """It is gone from the store, and whoever had it keeps it."""

    async def say(self: Chat, room: Room, *ops: Op) -> Any:
        return await right(self, room, *(op for op in ops if not isinstance(op, Erase)))

    right: Any = Chat.say
    patch.setattr(Chat, "say", say)


@bug(ROOMS, What.DIFFERENT, What.UNREST)
def a_row_is_written_late(patch: Patch) -> None:
    """The log is purged before what it did to its room is kept."""

    async def write(self: Rooms, room: Room, state: RoomState) -> None:
        return None

    patch.setattr(Rooms, "_write", write)
