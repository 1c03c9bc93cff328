"""Bugs that a sync engine is likely to have, each as a patch of the real code: five of the client,
in Python here and by the same names in TypeScript (`web/e2e/sync-planted.ts`), three of the server.

Each was found in a prototype by the machine, or is of the kind that it is for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from signaling.chat.ports import News
from signaling.storage.port import Head
from signaling.sync.batch import Batch
from signaling.sync.engine import Effect, Phase, Session
from signaling.sync.feed import Feed
from sotto_client.local import Local
from sotto_client.replica import Replica

Plant = Callable[[pytest.MonkeyPatch], None]


def bootstrap_keeps_what_was_integrated(patch: pytest.MonkeyPatch) -> None:
    """Pending changes that the server has already survive a reset."""
    patch.setattr(Local, "drop_pending_upto", lambda self, path, version: None)


def cursor_is_saved_apart(patch: pytest.MonkeyPatch) -> None:
    """Entries and cursor in two transactions: a crash between them tears the copy."""

    def arrived(self: Replica, frame: dict[str, Any]) -> None:
        on = self._local._inner._on if hasattr(self._local, "_inner") else self._local._on
        on.execute("COMMIT")
        on.execute("BEGIN IMMEDIATE")
        original(self, frame)

    original = Replica._arrived
    patch.setattr(Replica, "_arrived", arrived)


def ident_is_used_again(patch: pytest.MonkeyPatch) -> None:
    """On a restored server the file goes on under its old name."""

    def rename(self: Replica) -> None:
        self.file.cursor, self.file.chain, self.file.acked = 0, "", 0
        self._sent = 0

    patch.setattr(Replica, "_rename", rename)


def clock_is_not_taken_along(patch: pytest.MonkeyPatch) -> None:
    """What a device hears does not move its own clock: its next change loses to the past."""

    def make(self: Replica, op: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
        self.file.clock = 0
        return original(self, op)

    original = Replica.make
    patch.setattr(Replica, "make", make)


def pending_leaves_at_the_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    """Too early: what one wrote flickers, or is gone when its place comes."""

    def acknowledged(self: Replica, uploaded: int) -> None:
        original(self, uploaded)
        self._local.drop_pending_upto(self.path, uploaded)

    def own(self: Replica, version: int) -> dict[str, Any]:
        return {"type": "void", "code": "lost"}

    original = Replica._acknowledged
    patch.setattr(Replica, "_acknowledged", acknowledged)
    patch.setattr(Replica, "_own", own)


def a_gap_in_hints_is_not_seen(patch: pytest.MonkeyPatch) -> None:
    """The server passes a hint on although the bus lost one before it."""

    def heard(self: Feed, news: News) -> None:
        if self.sessions and self._is_started and news.entries and news.to_seq > self.last:
            self._give(Batch(news.entries, news.chain))
        else:
            original(self, news)

    def passed_on(self: Session, batch: Batch) -> list[Effect]:
        if self.phase is not Phase.LIVE or batch.last <= self.cursor:
            return []
        return [self._download(batch)]

    original = Feed._news
    patch.setattr(Feed, "_news", heard)
    patch.setattr(Session, "news", passed_on)


def bootstrap_has_no_clock(patch: pytest.MonkeyPatch) -> None:
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


def floor_is_not_told(patch: pytest.MonkeyPatch) -> None:
    """What was purged stays on devices that are connected."""
    patch.setattr(Session, "floor", lambda self, floor: [])


CLIENT: tuple[Plant, ...] = (
    bootstrap_keeps_what_was_integrated,
    cursor_is_saved_apart,
    ident_is_used_again,
    clock_is_not_taken_along,
    pending_leaves_at_the_acknowledgement,
)
SERVER: tuple[Plant, ...] = (
    a_gap_in_hints_is_not_seen,
    bootstrap_has_no_clock,
    floor_is_not_told,
)
