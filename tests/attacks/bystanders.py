"""People in another call while an attack runs: they must lose under 0.1 % of their packets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from tests.interop.peer import Peer, descendants, track
from tests.interop.servers import Server

SHARE = 0.001


class Bystanders:
    """Owned by its fixture; `unharmed` is the block in which the attack runs."""

    def __init__(self, server: Server, listener: Peer) -> None:
        self.server, self.listener = server, listener

    @contextlib.asynccontextmanager
    async def unharmed(self, at_least: float = 3.0) -> AsyncIterator[None]:
        before = await self.listener.stats()
        start = asyncio.get_running_loop().time()
        yield
        rest = at_least - (asyncio.get_running_loop().time() - start)
        await asyncio.sleep(max(0.5, rest))
        after = await self.listener.stats()
        assert self.server.process.poll() is None, self.server.log()[-3000:]
        assert after["state"] == "connected", after["events"]
        for kind in ("audio", "video"):
            old, new = track(before, kind), track(after, kind)
            packets, lost = new["packets"] - old["packets"], new["lost"] - old["lost"]
            assert packets > 0, f"{kind} stopped"
            assert lost <= SHARE * packets, f"{kind}: {lost} of {packets} lost"
        assert "Traceback" not in self.server.log(), self.server.log()[-3000:]

    def memory(self) -> int:
        """Bytes that the server and its processes hold (RssAnon of proc(5))."""
        total = 0
        for pid in (self.server.process.pid, *descendants(self.server.process.pid)):
            status = Path(f"/proc/{pid}/status").read_text()
            total += sum(int(kb) * 1024 for kb in re.findall(r"RssAnon:\s+(\d+) kB", status))
        return total

    def drops(self) -> dict[str, float]:
        """The engine's counted drops, by reason, from the operator's metrics."""
        words = ["curl", "-s", self.server.operator + "/metrics"]
        text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        found = re.findall(r'^\w*drops\w*\{[^}]*reason="(\w+)"[^}]*\} ([\d.e+]+)$', text, re.M)
        totals: dict[str, float] = {}
        for reason, value in found:
            totals[reason] = totals.get(reason, 0) + float(value)
        return totals

    async def counted(
        self, reasons: set[str], action: Callable[[], Awaitable[None]], at_least: float = 1
    ) -> None:
        """After the action these counters have grown, together (snapshots are 1 s old)."""
        before = self.drops()
        await action()
        for _ in range(30):
            now = self.drops()
            if sum(now.get(r, 0) - before.get(r, 0) for r in reasons) >= at_least:
                return
            await asyncio.sleep(0.1)
        grown = {r: n - before.get(r, 0) for r, n in now.items() if n > before.get(r, 0)}
        raise AssertionError(f"{reasons} did not grow by {at_least}: {json.dumps(grown)}")
