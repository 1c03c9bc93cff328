"""How often somebody may guess: per address, per network, per account, per known device.

An attacker who guesses at an account uses up what strangers may try, not what its owner's devices
may: those have a count of their own and meet no limit of address or network. So nobody is locked
out from where they signed in before. Everything here is keyed by what was typed, never by what
exists, and fails closed when the bus is away (`strict`).
"""

from __future__ import annotations

import math

from signaling.accounts.model import Failures
from signaling.accounts.parts import Parts, Where
from signaling.errors import ClientError, Code
from signaling.storage.port import Conflict
from signaling.storage.table import Row

GUESSES, WINDOW = 5, 900.0  # 5 at once and 5 more in a quarter of an hour: ten in the first one
MOST_IN_A_ROW = 100  # SP 800-63B-4 section 3.2.2, from devices that are not known
REMEMBERED = 30 * 86400.0
NETWORK_FACTOR = 4  # a network is many people


class Throttle:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._failures = parts.tables.failures

    async def arrive(self, app: str, where: Where, device: str) -> None:
        """`device`: one that is known, and counted for itself. Raises 429, or Unavailable without
        the bus."""
        settings = self._parts.settings
        burst = settings.tries_per_address
        rate = burst / settings.tries_window
        if device:
            await self._take(app, f"try\0device\0{device}", rate, burst)
            return
        await self._take(app, f"try\0address\0{where.address}", rate, burst)
        wide = NETWORK_FACTOR
        await self._take(app, f"try\0network\0{where.network}", rate * wide, burst * wide)

    async def guess(self, app: str, subject: str, device: str) -> None:
        """Counts a guess at `subject` (blinded) before it is checked. Raises 429."""
        rate = GUESSES / WINDOW
        if device:
            await self._take(app, f"guess\0{device}\0{subject}", rate, GUESSES)
            return
        await self._take(app, f"guess\0\0{subject}", rate, GUESSES)
        row = await self._count(app, subject)
        if row.value.count > MOST_IN_A_ROW:
            raise too_many(3600.0)

    async def _count(self, app: str, subject: str) -> Row[Failures]:
        expires = self._parts.clock.unix() + REMEMBERED
        for _ in range(8):
            row = await self._failures.get(app, subject)
            try:
                if row is None:
                    return await self._failures.create(app, subject, Failures(1), expires=expires)
                if row.value.count > MOST_IN_A_ROW:
                    return row
                after = Failures(row.value.count + 1)
                return await self._failures.extend(app, row, after, expires)
            except Conflict:
                continue
        raise too_many(1.0)

    async def right(self, app: str, subject: str) -> int:
        """The guess was right, or the secret was replaced: the row of failures ends. Its length."""
        row = await self._failures.get(app, subject)
        await self._failures.delete(app, subject)
        return row.value.count if row is not None else 0

    async def once(self, app: str, what: str, who: str, per_hour: int) -> None:
        """A plain limit for acts that are no guesses: letters sent, links made."""
        await self._take(app, f"{what}\0{who}", per_hour / 3600.0, per_hour)

    async def _take(self, app: str, what: str, rate: float, burst: int) -> None:
        """Blinded: the bus may be a Redis, whose dumps hold no address and no account."""
        key = f"{app}:{self._parts.tables.sealer.blind(app, what)}"
        limit = await self._parts.bus.limit(key, rate, burst, strict=True)
        if not limit.allowed:
            raise too_many(limit.retry_after)


def too_many(seconds: float) -> ClientError:
    wait = max(1, math.ceil(seconds))
    return ClientError(
        Code.RATE_LIMITED, 429, "Too many tries; wait.", headers={"Retry-After": str(wait)}
    )
