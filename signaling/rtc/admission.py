"""Whether a call token still stands, and what it still gives: asked before anybody uses one, told
who is in and who has left.

The port through which sessions reach calls: a token that was issued to a session names it in its
claims (`Binding`), and ends with it. Tokens that an application signed with its API key have no
binding, and nobody asks. Rooms drive this; `signaling.accounts.sessions.calls` implements it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.tokens import Claims


class Admission(Protocol):
    async def check(self, claims: Claims, room: str) -> Claims:
        """As far as its owner's rights go now. Raises Refused (401) for a token that was taken
        back, Unavailable when nobody knows.
        """

    def joined(self, participant: Participant) -> None:
        """It is in; from now on it follows its owner's rights, and ends with its session."""

    def left(self, participant: Participant) -> None: ...


class Everybody:
    """For servers and tests without sessions: a signature is enough."""

    async def check(self, claims: Claims, room: str) -> Claims:
        return claims

    def joined(self, participant: Participant) -> None:
        pass

    def left(self, participant: Participant) -> None:
        pass
