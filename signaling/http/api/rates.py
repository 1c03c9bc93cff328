"""The published rate limits: the table, and the header fields that tell a client where it stands.

GCRA behind the Bus port, so that all processes count together; while the bus is away each counts by
itself, which admits more but never locks anybody out. `docs/reference/api.md` shows the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from signaling.bus.port import Bus, Limit
from signaling.errors import ClientError, Code


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` requests in `seconds`, `burst` of them at once; `why` goes into the table."""

    count: int
    seconds: int
    burst: int
    why: str

    @property
    def per_second(self) -> float:
        return self.count / self.seconds


RATES: dict[str, Rate] = {
    "default": Rate(600, 60, 200, "Everything that has no limit of its own."),
    "write": Rate(240, 60, 80, "What changes something."),
    "public": Rate(300, 60, 100, "Documents that anybody may read."),
    "auth": Rate(30, 60, 15, "Sign-in, sign-up, factors and recovery, beside their own throttles."),
    "token": Rate(120, 60, 60, "The OAuth endpoints."),
    "signed": Rate(6000, 60, 600, "Servers that sign with a secret key, each address."),
    "sensitive": Rate(20, 60, 10, "Acts that ask for a fresh proof of who you are."),
    "search": Rate(60, 60, 20, "Searches and filters that read much."),
    "export": Rate(10, 600, 3, "Exports of many records."),
    "socket": Rate(60, 60, 30, "Opening sockets and their tickets."),
}


class RateLimiter:
    """Counts by policy, operation and caller."""

    def __init__(self, bus: Bus, factor: float = 1.0) -> None:
        """`factor` multiplies every published rate."""
        self._bus = bus
        self._factor = factor

    async def take(self, policy: str, operation: str, caller: str) -> dict[str, str]:
        """Header fields of the answer. Raises 429 when the caller must wait."""
        rate = RATES[policy]
        burst = max(1, int(rate.burst * self._factor))
        per_second = rate.per_second * self._factor
        key = f"rate:{policy}:{operation}:{caller}"
        limit = await self._bus.limit(key, per_second, burst)
        headers = fields(policy, per_second, burst, limit)
        if not limit.allowed:
            wait = max(1, math.ceil(limit.retry_after))
            message = f"Too many requests; wait {wait} s."
            headers["Retry-After"] = str(wait)
            raise ClientError(Code.RATE_LIMITED, 429, message, headers=headers)
        return headers


def fields(policy: str, per_second: float, burst: int, limit: Limit) -> dict[str, str]:
    """draft-ietf-httpapi-ratelimit-headers: quota and window, what remains and when it is full.

    The quota of a GCRA is its burst, and its window the time in which a spent burst comes back.
    """
    window = max(1, math.ceil(burst / per_second))
    return {
        "RateLimit-Policy": f'"{policy}";q={burst};w={window}',
        "RateLimit": f'"{policy}";r={limit.remaining};t={math.ceil(limit.reset_after)}',
    }
