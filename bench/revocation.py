"""From a revocation to the last socket that it ends: 5,000 sockets on one `sotto dev`.

Two figures. Own: each socket has a token of its own, 200 of these are revoked one after the other,
each timed from the signed request until its socket's session has ended. Shared: 2,000 of the
sockets have one token, and it is revoked. `make bench WHAT=revocation`, or
`python bench/revocation.py`.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from table import line, title

from signaling.clock import SystemClock
from tests.signaling.access.rig import Signer
from tests.signaling.access.test_server import Server, make_key_set

SOCKETS = 5000
SHARED = 2000
REVOKED = 200
AT_ONCE = 20
GOAL_SECONDS = 1.0
ROOM = {"resources": {"channels": {"room": 1}}}


class Client:
    """One socket, with one session bound; reads all the time, as clients do."""

    def __init__(self, signer: Signer, opener: str, token: str) -> None:
        self.signer, self.opener, self.token = signer, opener, token
        self.ended = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        headers = {"Sec-WebSocket-Protocol": "sotto.1", "Authorization": f"Bearer {self.opener}"}
        socket = await self.signer.session.ws_connect(self.signer.base + "/sync", headers=headers)
        await socket.receive_json()
        frame = {"type": "bind", "session": 1, "token": self.token, "channels": ["room"]}
        await socket.send_json(frame)
        answer = await socket.receive_json()
        assert answer["type"] == "bound", answer
        self.task = asyncio.create_task(self._read(socket))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            frame: Any = message.json()
            if frame["type"] == "ping":
                await socket.send_json({"type": "pong", "id": frame["id"]})
            elif frame["type"] == "error" and not self.ended.done():
                self.ended.set_result(time.perf_counter())


async def spread(works: Sequence[Any]) -> list[Any]:
    """All of them, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(work: Any) -> Any:
        async with gate:
            return await work

    return list(await asyncio.gather(*(one(work) for work in works)))


async def revoked(signer: Signer, token: str, clients: Sequence[Client]) -> float:
    """Seconds until the last of them has ended."""
    started = time.perf_counter()
    answer = await signer.signed("DELETE", f"/grant/{token}")
    assert answer.status == 200
    ends = await asyncio.wait_for(asyncio.gather(*(c.ended for c in clients)), 30)
    last: float = max(ends)
    return last - started


async def measure(signer: Signer) -> dict[str, float]:
    shared = await signer.granted(ROOM)
    own = await spread([signer.granted(ROOM) for _ in range(SOCKETS - SHARED)])
    openers = await spread([signer.granted(ROOM) for _ in range(SOCKETS // 50)])
    tokens = [*own, *[shared] * SHARED]
    clients = [Client(signer, openers[i // 50], token) for i, token in enumerate(tokens)]
    await spread([client.open() for client in clients])
    taken = []
    for i in range(REVOKED):
        client = clients[i * (len(own) // REVOKED)]
        taken.append(await revoked(signer, client.token, [client]))
    everybody = await revoked(signer, shared, clients[len(own) :])
    cuts = statistics.quantiles(taken, n=100)
    return {
        "sockets": len(clients),
        "own_p50_ms": round(cuts[49] * 1000, 1),
        "own_p99_ms": round(cuts[98] * 1000, 1),
        "shared_sockets": SHARED,
        "shared_last_ms": round(everybody * 1000, 1),
        "goal_ms": GOAL_SECONDS * 1000,
    }


async def run(folder: Path) -> dict[str, float]:
    keyset = make_key_set(folder / "state")
    server = Server(folder, "--set", "sync.sockets_per_account=10000")
    try:
        url = await server.url()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            return await measure(Signer(session, url, SystemClock(), keyset))
    finally:
        server.stop()


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(run(Path(folder)))
    title("revocation to the last refused operation")
    for name, figure in figures.items():
        line(f"  {name.replace('_', ' ')}", figure)
    line("  goal over p99 of own", round(figures["goal_ms"] / figures["own_p99_ms"], 1))
    late = max(figures["own_p99_ms"], figures["shared_last_ms"]) > GOAL_SECONDS * 1000
    sys.exit(1 if late else 0)


if __name__ == "__main__":
    main()
