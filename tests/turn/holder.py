"""`python holder.py HOST SECRET_FILE`: a client of its own that keeps one allocation until its
standard input ends. Says `held` when it has it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from turn.check import Allocation, Server, connect
from turn.credentials import issue


async def hold(host: str, secret: str) -> None:
    made = issue(secret, "somebody", time.time())
    server = Server(host, 3478, "udp", made.username, made.password)
    async with connect(host, server.port, "udp") as wire:
        allocation = Allocation(wire, server)
        await allocation.allocate()
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await allocation.release()


if __name__ == "__main__":
    asyncio.run(hold(sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8").strip()))
