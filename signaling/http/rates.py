"""Who is one host; a token bucket for each, and which of its refusals are told of.

Pure arithmetic, time is an argument. Driven by the middleware.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from functools import lru_cache

# Addresses remembered; the least recently seen are forgotten, which only ever favours them.
MAX_ADDRESSES = 50_000


@lru_cache(maxsize=4096)
def host_of(address: str) -> str:
    """Whom a limit of one address counts. An IPv6 host has a whole /64 to itself (RFC 6177); IPv4
    within IPv6 is the IPv4 address. What is no address stands for itself.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


class Buckets:
    """`take` is true while the address stays within `rate` a second after `burst` at once."""

    def __init__(self, rate: float, burst: int, size: int = MAX_ADDRESSES) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._size = size
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, now: float) -> bool:
        level, then = self._known.pop(who, (self._burst, now))
        level = min(self._burst, level + max(0.0, now - then) * self._rate)
        allowed = level >= 1.0
        self._known[who] = (level - 1.0 if allowed else level, now)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return allowed

    def __len__(self) -> int:
        return len(self._known)


class Refusals:
    """Of many that are turned away one is told of, with their count: each of `who` once in `window`
    seconds, and no more than `most` of them in that time."""

    def __init__(self, window: float = 60.0, most: int = 1000) -> None:
        self._window = window
        self._most = most
        self._known: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, who: str, now: float) -> int:
        """Refusals since the last that was told of, this one with them; 0: this is not told of."""
        then, untold = self._known.get(who, (None, 0))
        if then is not None and now < then + self._window:
            self._known[who] = (then, untold + 1)
            return 0
        if then is None and len(self._known) >= self._most and not self._forgotten(now):
            return 0
        self._known.pop(who, None)
        self._known[who] = (now, 0)
        return untold + 1

    def _forgotten(self, now: float) -> bool:
        """Whether the one told of longest ago could make room."""
        oldest = next(iter(self._known))
        if now < self._known[oldest][0] + self._window:
            return False
        del self._known[oldest]
        return True
