"""Who is there: a device is present while a sync socket of it answers pings.

A hint on the bus that lapses by itself; never stored. An account that may not be seen is answered
like one that is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from signaling.accounts.principal import Principal, Role
from signaling.bus.port import Bus
from signaling.sync.connection import Connection
from signaling.sync.frames import PresenceAnswer, PresenceAsk

MaySee = Callable[[Principal, str], Awaitable[bool]]
SLACK = 5.0
"""Seconds that a beat may be late before its device counts as gone."""


async def own_or_administrators(principal: Principal, account: str) -> bool:
    """The rule as long as no room says who else may see whom."""
    return principal.account == account or principal.has_role(Role.OWNER, Role.ADMINISTRATOR)


class Presence:
    """See the module."""

    def __init__(self, bus: Bus, may_see: MaySee = own_or_administrators) -> None:
        self._bus = bus
        self.may_see = may_see

    @staticmethod
    def _key(app: str, account: str) -> str:
        return f"{app}:presence:{account}"

    async def there(self, connection: Connection) -> None:
        """Opened, or heard again."""
        who = connection.principal
        if who.account is not None:
            lapse = connection.lapse + SLACK
            key = self._key(who.app, who.account)
            await self._bus.presence_set(key, self._member(connection), lapse)

    async def gone(self, connection: Connection) -> None:
        who = connection.principal
        if who.account is not None:
            key = self._key(who.app, who.account)
            await self._bus.presence_set(key, self._member(connection), 0)

    @staticmethod
    def _member(connection: Connection) -> str:
        """A device may have several sockets, in several processes."""
        who = connection.principal
        return f"{who.device or who.session} {connection.id}"

    async def devices(self, app: str, account: str) -> list[str]:
        members = await self._bus.presence_list(self._key(app, account))
        return sorted({member.partition(" ")[0] for member in members})

    async def asked(self, connection: Connection, ask: PresenceAsk) -> None:
        who = connection.principal
        found = {
            account: await self.devices(who.app, account)
            for account in dict.fromkeys(ask.accounts)
            if await self.may_see(who, account)
        }
        there = {account: devices for account, devices in found.items() if devices}
        connection.send(PresenceAnswer(id=ask.id, accounts=there))
