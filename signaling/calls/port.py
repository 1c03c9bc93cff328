"""What calls ask of their neighbours: telling devices, notifying who sleeps, ending media."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from signaling.chat.ports import Calling


class CallNoticeKind(StrEnum):
    """`over`: take the ringing away, it was answered elsewhere or given up."""

    CALL = "call"
    MISSED = "missed"
    OVER = "over"


class CallNotice(Struct, frozen=True, kw_only=True):
    """For an account's sleeping devices. `collapse`: a later one takes the place of an earlier;
    `reject`: with this a device says no without a session (`rejectCallByToken`).
    """

    kind: CallNoticeKind
    call: str
    room: str
    sender: str
    video: bool
    ttl_s: int
    collapse: str
    reject: str = ""


class Devices(Protocol):
    """The sync sessions of an account: hints, which may be lost."""

    async def tell(self, app: str, account: str, hint: Calling) -> None: ...


class Notifier(Protocol):
    """Push. Must not raise for what one device's service answers."""

    async def notify(self, app: str, account: str, notice: CallNotice) -> None: ...


class Media(Protocol):
    """The media server of this process. Idempotent; must not block."""

    def close(self, room: str) -> None:
        """Everybody leaves the call of this room."""

    def remove(self, room: str, account: str) -> None:
        """All participants of an account leave it."""

    def here(self) -> Mapping[str, Mapping[str, str]]:
        """By room who is in: participant to account."""


class Leaving(Protocol):
    """Sessions, in every process, of an account in a room's call; None: of everybody in it."""

    async def leave(self, app: str, account: str | None, room: str) -> None:
        """They may not be in the room any more."""

    async def look(self, app: str, account: str | None, room: str) -> None:
        """They may more or less in it from now on."""


class NoNotifier:
    """Nobody is notified."""

    async def notify(self, app: str, account: str, notice: CallNotice) -> None:
        return None


class NoMedia:
    """There is no media server."""

    def close(self, room: str) -> None:
        return None

    def remove(self, room: str, account: str) -> None:
        return None

    def here(self) -> Mapping[str, Mapping[str, str]]:
        return {}


class NoLeaving:
    """Nobody is in a call."""

    async def leave(self, app: str, account: str | None, room: str) -> None:
        return None

    async def look(self, app: str, account: str | None, room: str) -> None:
        return None
