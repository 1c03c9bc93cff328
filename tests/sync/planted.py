"""Five bugs that a sync engine is likely to have, each as a patch of the real code.

Each was found in a prototype by the machine, or is of the kind that it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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


BUGS: tuple[Plant, ...] = (
    bootstrap_keeps_what_was_integrated,
    cursor_is_saved_apart,
    ident_is_used_again,
    clock_is_not_taken_along,
    pending_leaves_at_the_acknowledgement,
)
