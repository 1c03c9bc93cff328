"""Devices that an account signed in from: recognised by a secret that they keep.

Not sessions: a device outlives them, so that its owner is known again (and not throttled with
strangers) at the next sign-in. Browsers keep the secret in a `__Host-` cookie, others as they can.
"""

from __future__ import annotations

import hmac

from msgspec.structs import replace

from signaling.accounts.model import Device
from signaling.accounts.parts import Parts, Where
from signaling.accounts.tables import secret_key
from signaling.accounts.tokens import new_secret
from signaling.keys.port import KeyDestroyed
from signaling.storage.port import Conflict
from signaling.storage.table import Row

MOST = 50  # of one account; the one not seen for longest goes
FORGOTTEN = 400 * 86400.0  # the longest that browsers keep a cookie (RFC 6265bis section 5.5)
PREFIX = "dv_"


class Devices:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rows = parts.tables.devices

    async def recognise(self, app: str, token: str) -> Device | None:
        """Whose device this is. None for anything that was not given out, or was removed."""
        ident, _, secret = token.removeprefix(PREFIX).partition(".")
        if not token.startswith(PREFIX) or not ident or not secret or len(token) > 200:
            return None
        try:
            row = await self._rows.get(app, ident)
        except KeyDestroyed:
            return None  # its account was deleted
        if row is None or not hmac.compare_digest(row.value.secret, secret_key(secret)):
            return None
        return row.value

    async def seen(
        self, app: str, account: str, where: Where, known: Device | None
    ) -> tuple[str, str | None]:
        """Its id, and for a new device the token that it is to keep."""
        now = self._parts.clock.unix()
        if known is not None and known.account == account:
            row = await self._rows.get(app, known.id)
            if row is not None:
                after = replace(row.value, seen=now, network=where.network)
                await self._refresh(app, row, after)
                return known.id, None
        secret = new_secret(self._parts.entropy)
        device = Device(
            id=self._parts.ids.new(),
            account=account,
            secret=secret_key(secret),
            name=where.device_name[:64],
            network=where.network,
            created=now,
            seen=now,
        )
        await self._rows.create(app, device.id, device, expires=now + FORGOTTEN)
        await self._make_room(app, account)
        return device.id, f"{PREFIX}{device.id}.{secret}"

    async def _refresh(self, app: str, row: Row[Device], after: Device) -> None:
        try:
            await self._rows.extend(app, row, after, after.seen + FORGOTTEN)
        except Conflict:
            return  # two sign-ins at once; the other one wrote the same

    async def list(self, app: str, account: str) -> list[Device]:
        """The one seen last first."""
        found: list[Device] = []
        after = ""
        while page := await self._rows.scan(app, term=account, after=after, limit=100):
            found += [row.value for row in page]
            after = page[-1].key
        return sorted(found, key=lambda device: -device.seen)

    async def remove(self, app: str, account: str, ident: str) -> bool:
        row = await self._rows.get(app, ident)
        if row is None or row.value.account != account:
            return False
        return await self._rows.delete(app, ident)

    async def remove_all(self, app: str, account: str) -> None:
        for device in await self.list(app, account):
            await self._rows.delete(app, device.id)

    async def clear(self, app: str, account: str) -> int:
        """As `remove_all`, also of an account whose key is gone already; how many."""
        return await self._rows.clear(app, account)

    async def _make_room(self, app: str, account: str) -> None:
        for device in (await self.list(app, account))[MOST:]:
            await self._rows.delete(app, device.id)
