"""Consent: which scopes an account granted to which client; listed and withdrawn by its owner."""

from __future__ import annotations

import msgspec

from signaling.clock import Clock
from signaling.storage.port import Conflict, Store
from signaling.storage.table import ATTEMPTS, Table

KIND = "oauth_consent"


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    client: str
    account: str
    scopes: frozenset[str]
    granted_at: float


def _key(account: str, client: str) -> str:
    return f"{account}:{client}"


class Consents:
    """See the module."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._rows: Table[Consent] = Table(
            store,
            KIND,
            Consent,
            terms=lambda consent: (f"account:{consent.account}", f"client:{consent.client}"),
        )
        self._clock = clock

    async def covers(self, app: str, account: str, client: str, scopes: frozenset[str]) -> bool:
        row = await self._rows.get(app, _key(account, client))
        return row is not None and scopes <= row.value.scopes

    async def give(self, app: str, account: str, client: str, scopes: frozenset[str]) -> None:
        """Adds to what was granted before."""
        key, now = _key(account, client), self._clock.unix()
        for _ in range(ATTEMPTS):
            row = await self._rows.get(app, key)
            try:
                if row is None:
                    consent = Consent(client=client, account=account, scopes=scopes, granted_at=now)
                    await self._rows.create(app, key, consent)
                else:
                    more = row.value.scopes | scopes
                    value = msgspec.structs.replace(row.value, scopes=more, granted_at=now)
                    await self._rows.replace(app, row, value)
            except Conflict:
                continue
            return
        raise Conflict(KIND)

    async def of_account(self, app: str, account: str) -> list[Consent]:
        rows = await self._rows.scan(app, term=f"account:{account}", limit=100)
        return sorted((row.value for row in rows), key=lambda consent: -consent.granted_at)

    async def withdraw(self, app: str, account: str, client: str) -> bool:
        return await self._rows.delete(app, _key(account, client))

    async def forget_client(self, app: str, client: str) -> None:
        while rows := await self._rows.scan(app, term=f"client:{client}", limit=100):
            for row in rows:
                await self._rows.delete(app, row.key)
