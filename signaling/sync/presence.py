"""What a sync socket has to do with presence: it says that its device is there, and answers who is.

Whether a socket lives is known here; who may see whom is not (`chat.seeing`). An adapter between
the door and `chat.presence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from signaling.accounts.principal import Principal
from signaling.chat.attendance import Attendance, Place
from signaling.chat.seeing import Shown
from signaling.sync.connection import Connection
from signaling.sync.frames import PresenceAnswer, PresenceAsk

SLACK = 5.0
"""Seconds that a beat may be late before its device counts as gone."""


class Who(Protocol):
    """Those of these accounts who are there, as far as the viewer may see it."""

    async def __call__(self, app: str, viewer: str, accounts: Iterable[str]) -> Sequence[Shown]: ...


class Presence:
    """See the module. A socket by an access token is nobody: it says and sees nothing."""

    def __init__(self, attendance: Attendance, who: Who) -> None:
        self.attendance, self._who = attendance, who

    async def came(self, connection: Connection) -> None:
        if (place := _place_of(connection.principal)) is not None:
            lapse = connection.lapse + SLACK
            await self.attendance.came(place, _device_of(connection), connection.id, lapse)

    async def heard(self, connection: Connection) -> None:
        """Also when it went into the background, or came back."""
        if (place := _place_of(connection.principal)) is not None:
            await self.attendance.heard(
                place, _device_of(connection), connection.id, connection.lapse + SLACK,
                idle=connection.is_idle,
            )  # fmt: skip

    async def gone(self, connection: Connection) -> None:
        if (place := _place_of(connection.principal)) is not None:
            await self.attendance.gone(place, connection.id)

    async def asked(self, connection: Connection, ask: PresenceAsk) -> None:
        place, found, own = _place_of(connection.principal), [], []
        if place is not None:
            found = list(await self._who(*place, ask.accounts))
            if place[1] in ask.accounts:
                own = await self.attendance.devices(place)
        connection.send(PresenceAnswer(id=ask.id, people=found, devices=own))


def _place_of(principal: Principal) -> Place | None:
    return None if principal.account is None else (principal.app, principal.account)


def _device_of(connection: Connection) -> str:
    """It may have several sockets, in several processes; a session without one stands for it."""
    return connection.principal.device or connection.principal.session or ""
