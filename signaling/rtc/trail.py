"""Who did what on the socket of a call, for the audit: a port, and nobody behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant

MECHANICS = frozenset(
    {
        "offer", "answer", "trickle", "ping", "ping_req", "sync_state", "track_setting",
        "update_layers",
    }
)  # fmt: skip
"""Requests that keep a connection working and touch nobody's rights: they leave no trace."""


class Trail(Protocol):
    """Must not block or raise."""

    def asked(self, participant: Participant, case: str) -> None:
        """A request was handled and not refused."""
        ...

    def refused(self, participant: Participant, case: str, reason: str) -> None: ...


class NoTrail:
    """Nobody keeps it."""

    def asked(self, participant: Participant, case: str) -> None:
        return None

    def refused(self, participant: Participant, case: str, reason: str) -> None:
        return None
