"""One process at a time does something: a lease in the store, by compare and set.

A hint against double work, not a lock: what it guards must bear being done twice.
"""

from __future__ import annotations

from signaling.clock import Clock
from signaling.keys.port import INSTALLATION
from signaling.storage.port import Conflict, Meta

KIND = "lease"


class Lease:
    """Held for `seconds` from the last `hold` on."""

    def __init__(self, meta: Meta, clock: Clock, name: str, holder: str, seconds: float) -> None:
        self._meta = meta
        self._clock = clock
        self._name = name
        self._holder = holder.encode()
        self._seconds = seconds
        self._renewed: float | None = None

    async def hold(self) -> bool:
        """Takes or renews it. False while another process has it."""
        now = self._clock.monotonic()
        if self._renewed is not None and now - self._renewed < self._seconds / 3:
            return True
        self._renewed = None
        document = await self._meta.get(INSTALLATION, KIND, self._name)
        if document is not None and document.value != self._holder:
            return False
        try:
            await self._meta.put(
                INSTALLATION,
                KIND,
                self._name,
                self._holder,
                expect=0 if document is None else document.version,
                expires=self._clock.unix() + self._seconds,
            )
        except Conflict:
            return False
        self._renewed = now
        return True

    async def release(self) -> None:
        document = await self._meta.get(INSTALLATION, KIND, self._name)
        if document is not None and document.value == self._holder:
            try:
                await self._meta.delete(INSTALLATION, KIND, self._name, expect=document.version)
            except Conflict:
                return
        self._renewed = None
