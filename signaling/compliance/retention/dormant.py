"""Accounts that nobody has used for long are erased like any other, once the operator says so.

Staff, bots and disabled accounts stay: they are somebody's to remove. A session that still holds
counts as use, and so does a device that was seen. `run` belongs to the composition root.
"""

from __future__ import annotations

import asyncio
import logging

from signaling.accounts.administration import Administration
from signaling.accounts.devices import Devices
from signaling.accounts.model import Account
from signaling.accounts.principal import Kind
from signaling.accounts.registry import Registry
from signaling.accounts.roles import STAFF
from signaling.accounts.sessions.service import SessionService
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.errors import ClientError, Unavailable
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

PAGE = 200
ACTOR = "system:retention"


class Dormant:
    """One for each process. `seconds`: so long without any use."""

    def __init__(
        self,
        registry: Registry,
        devices: Devices,
        sessions: SessionService,
        administration: Administration,
        audit: Audit,
        clock: Clock,
        seconds: float,
    ) -> None:
        self._registry, self._devices, self._sessions = registry, devices, sessions
        self._administration, self._audit = administration, audit
        self._clock, self._seconds = clock, seconds

    async def run(self, app: str, every: float) -> None:
        """Until it is cancelled; not at all while no time is set."""
        while self._seconds:
            try:
                await self.round(app)
            except (Unavailable, ClientError, Conflict) as error:
                log.warning("dormant accounts: not all were looked at: %s", type(error).__name__)
            await asyncio.sleep(every)

    async def round(self, app: str) -> int:
        """How many went."""
        gone, after = 0, ""
        while page := await self._registry.page(app, after, PAGE):
            for account in page:
                try:
                    if await self._sleeps(app, account):
                        await self._erase(app, account)
                        gone += 1
                except ClientError as error:
                    log.warning("a dormant account stays: %s", error.code)
            after = page[-1].id
        return gone

    async def _sleeps(self, app: str, account: Account) -> bool:
        oldest = self._clock.unix() - self._seconds
        fixed = account.kind is not Kind.ACCOUNT or not STAFF.isdisjoint(account.roles)
        if fixed or account.disabled or account.created > oldest:
            return False
        seen = [device.seen for device in await self._devices.list(app, account.id)]
        if max(seen, default=0.0) > oldest:
            return False
        return not await self._sessions.list(app, account.id)

    async def _erase(self, app: str, account: Account) -> None:
        await self._audit.record(
            AuditEvent(
                at=self._clock.unix(),
                app=app,
                actor=ACTOR,
                action="account.dormant",
                target=f"account:{account.id}",
            )
        )
        await self._administration.leave(app, account.id)
