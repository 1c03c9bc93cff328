"""How many connections stand, in all and from one address. Pure counting; driven by `listener`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from signaling.config import Limits
from signaling.http.rates import host_of


class Gate:
    """Open connections of the public listeners, shared by all of them.

    `exempt` says whose addresses stand for many people: proxies are counted in all only.
    """

    def __init__(
        self, limits: Limits, exempt: Callable[[str], bool] = lambda address: False
    ) -> None:
        self._limits = limits
        self._exempt = exempt
        self._by_address: Counter[str] = Counter()
        self.total = 0
        self.refused: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        if self.total >= self._limits.connections:
            self.refused["connections"] += 1
            return False
        host = host_of(address)
        many = self._by_address[host] >= self._limits.connections_per_address
        if many and not self._exempt(address):
            self.refused["connections_per_address"] += 1
            return False
        self.total += 1
        self._by_address[host] += 1
        return True

    def leave(self, address: str) -> None:
        self.total -= 1
        host = host_of(address)
        self._by_address[host] -= 1
        if self._by_address[host] <= 0:
            del self._by_address[host]


class Open(Gate):
    """Lets everybody in: for what was counted before."""

    def __init__(self) -> None:
        super().__init__(Limits())

    def enter(self, address: str) -> bool:
        return True

    def leave(self, address: str) -> None:
        return None


def address_of(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
