"""The published rate limits: the table, and the header fields that tell a client where it stands.

GCRA behind the Bus port, so that all processes count together; while the bus is away each counts by
itself, which admits more but never locks anybody out. `docs/reference/api.md` shows the table.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
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
    "messages": Rate(1200, 60, 200, "Posting, editing and reacting over HTTP."),
    "public": Rate(300, 60, 100, "Documents that anybody may read."),
    "auth": Rate(30, 60, 15, "Sign-in, sign-up, factors and recovery, beside their own throttles."),
    "token": Rate(120, 60, 60, "The OAuth endpoints."),
    "signed": Rate(6000, 60, 600, "Servers that sign with a secret key, each address."),
    "sensitive": Rate(20, 60, 10, "Acts that ask for a fresh proof of who you are."),
    "ring": Rate(30, 60, 10, "Beginning calls and ringing people."),
    "search": Rate(60, 60, 20, "Searches and filters that read much."),
    "upload": Rate(2400, 60, 400, "Pieces of files that are uploaded."),
    "export": Rate(10, 600, 3, "Exports of many records."),
    "socket": Rate(60, 60, 30, "Opening sockets and their tickets."),
}
POLICY, LIMIT = "RateLimit-Policy", "RateLimit"


class RateLimiter:
    """Counts by policy, operation and caller."""

    def __init__(self, bus: Bus, factor: float = 1.0, digest: Callable[[str], str] = str) -> None:
        """`factor` multiplies every published rate. `digest` is keyed: callers are told apart by
        their addresses, which nobody shall read in Redis."""
        self._bus = bus
        self._rates: dict[str, tuple[float, int, str]] = {}
        for name, rate in RATES.items():
            burst, per_second = max(1, int(rate.burst * factor)), rate.per_second * factor
            self._rates[name] = (per_second, burst, stated(name, per_second, burst))
        self._digest = functools.lru_cache(maxsize=4096)(digest)

    async def take(self, policy: str, operation: str, caller: str) -> dict[str, str]:
        """Header fields of the answer. Raises 429 when the caller must wait."""
        per_second, burst, said = self._rates[policy]
        key = f"rate:{policy}:{operation}:{self._digest(caller)}"
        limit = await self._bus.limit(key, per_second, burst)
        headers: dict[str, str] = {POLICY: said, LIMIT: remaining(policy, limit)}
        if not limit.allowed:
            wait = max(1, math.ceil(limit.retry_after))
            message = f"Too many requests; wait {wait} s."
            headers["Retry-After"] = str(wait)
            raise ClientError(Code.RATE_LIMITED, 429, message, headers=headers)
        return headers


def stated(policy: str, per_second: float, burst: int) -> str:
    """draft-ietf-httpapi-ratelimit-headers: quota and window.

    The quota of a GCRA is its burst, and its window the time in which a spent burst comes back.
    """
    return f'"{policy}";q={burst};w={max(1, math.ceil(burst / per_second))}'


def remaining(policy: str, limit: Limit) -> str:
    """What remains and when it is full."""
    return f'"{policy}";r={limit.remaining};t={math.ceil(limit.reset_after)}'
