"""The step between a first factor and being signed in where policy asks for a second one.

The ticket of an `enrol_required` sign-in is good for nothing but enrolling; the confirmed factor
completes the sign-in.
"""

from __future__ import annotations

from typing import Any

from signaling.accounts.factors import Enrolled, Factors, TotpOffer
from signaling.accounts.model import Account, Pending
from signaling.accounts.parts import Where
from signaling.accounts.registry import Registry
from signaling.accounts.signin import State, enrolled
from signaling.accounts.signing import Concluding, Outcome, failed, usable
from signaling.storage.table import Row


class Enrolling:
    def __init__(self, registry: Registry, factors: Factors, concluding: Concluding) -> None:
        self._registry = registry
        self._factors = factors
        self._concluding = concluding

    async def offer_totp(self, app: str, ticket: str) -> TotpOffer:
        _, account = await self._find(app, ticket)
        return await self._factors.offer_totp(app, account.id)

    async def confirm_totp(
        self, app: str, ticket: str, code: str, where: Where
    ) -> tuple[Outcome, tuple[str, ...]]:
        row, account = await self._find(app, ticket)
        done = await self._factors.confirm_totp(app, account.id, code)
        return await self._complete(app, row, done, where)

    async def passkey_options(self, app: str, ticket: str) -> tuple[str, dict[str, Any]]:
        _, account = await self._find(app, ticket)
        return await self._factors.passkey_options(app, account)

    async def add_passkey(
        self,
        app: str,
        ticket: str,
        registration: str,
        credential: dict[str, Any],
        name: str,
        where: Where,
    ) -> tuple[Outcome, tuple[str, ...]]:
        row, account = await self._find(app, ticket)
        done = await self._factors.add_passkey(app, account.id, registration, credential, name)
        return await self._complete(app, row, done, where)

    async def _find(self, app: str, ticket: str) -> tuple[Row[Pending], Account]:
        row = await self._concluding.find(app, ticket)
        if row.value.progress.state is not State.ENROL:
            raise failed()
        account = usable(await self._registry.get(app, row.value.account), row.value)
        return row, account

    async def _complete(
        self, app: str, row: Row[Pending], done: Enrolled, where: Where
    ) -> tuple[Outcome, tuple[str, ...]]:
        await self._concluding.take(app, row)
        progress = enrolled(row.value.progress, done.proof)
        outcome = await self._concluding.reached(app, done.account, row.value, progress, where)
        return outcome, done.codes
