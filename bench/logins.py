"""200 sign-ins at once against one socket's ping: does hashing passwords stall the server's loop?

A socket on the sync door is pinged by the client (RFC 6455 section 5.5.2) every 10 ms, first while
nothing else happens, then while 200 sign-ins of 100 accounts run, each on a connection of its own.
Prints p50 and p99 of both and their ratio; the goal for p99 under load is 50 ms. The accounts are
invited and signed up before. The server has core 0, the client core 1. `make bench WHAT=logins`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from sotto_server import PASSWORD, Server, sotto
from table import line, spread, title

LOGINS = 200
# Two sign-ins each, twice: more than five in a quarter of an hour would be too many for one name.
ACCOUNTS = 100
EVERY = 0.01
FLAGS = {
    "sync.messages_per_second": "1000",
    "sync.messages_burst": "1000",
    "accounts.tries_per_address": "100000",
}
QUIET_SECONDS = 3.0
ROUNDS = 2
GOAL_MS = 50.0
UPGRADE = (
    "GET /sync HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: sotto.1\r\nAuthorization: Bearer {}\r\n\r\n"
)


class Pinger:
    """Pings of its own numbering over a bare TLS stream: nothing of a library is in the figure."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sent: dict[int, float] = {}
        self._number = 0
        self.waits: list[float] = []

    @classmethod
    async def open(cls, server: Server, trust: ssl.SSLContext) -> Pinger:
        reader, writer = await asyncio.open_connection("localhost", server.https, ssl=trust)
        writer.write(UPGRADE.format(server.token).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head
        return cls(reader, writer)

    def ping(self) -> None:
        self._number += 1
        self._sent[self._number] = time.perf_counter()
        payload = self._number.to_bytes(8, "big")
        # Masked with zeros, which RFC 6455 section 5.3 does not forbid.
        self._writer.write(b"\x89\x88\0\0\0\0" + payload)

    async def listen(self) -> None:
        while True:
            first, second = await self._reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await self._reader.readexactly(2))
            payload = await self._reader.readexactly(size)
            if first & 0xF == 0xA:
                sent = self._sent.pop(int.from_bytes(payload, "big"))
                self.waits.append(time.perf_counter() - sent)

    async def beat(self) -> None:
        while True:
            self.ping()
            await asyncio.sleep(EVERY)


async def post(session: aiohttp.ClientSession, url: str, body: Any, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.post(url, json=body, headers=headers) as answer:
        assert answer.status in (200, 201), await answer.text()
        return await answer.json()


async def accounts(session: aiohttp.ClientSession, server: Server, base: str) -> list[str]:
    """All signed up by one invitation."""
    names = [f"member.{number}" for number in range(ACCOUNTS)]
    made = await post(session, base + "/invitations", {"uses": ACCOUNTS}, server.token)
    link = str(made["url"]).rpartition("#")[2]
    for name in names:
        body = {"login": name, "password": PASSWORD, "link": link}
        await post(session, base + "/sign-up", body)
    return names


async def measured(pinger: Pinger, during: Any) -> list[float]:
    pinger.waits = []
    await during
    return sorted(pinger.waits)


async def sign_in_all(trust: ssl.SSLContext, base: str, names: Sequence[str]) -> None:
    connector = aiohttp.TCPConnector(limit=0, ssl=trust)
    async with aiohttp.ClientSession(connector=connector) as session:
        bodies = [{"login": name, "password": PASSWORD} for name in names] * (LOGINS // ACCOUNTS)
        await asyncio.gather(*(post(session, base + "/sign-in/password", body) for body in bodies))


def at(waits: Sequence[float], share: float) -> float:
    return waits[int(len(waits) * share)] * 1000


async def run(server: Server) -> bool:
    trust = ssl.create_default_context(cafile=server.authority)
    base = f"https://localhost:{server.https}/api/v1"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        names = await accounts(session, server, base)
    pinger = await Pinger.open(server, trust)
    tasks = [asyncio.create_task(pinger.listen()), asyncio.create_task(pinger.beat())]
    calm: list[list[float]] = []
    busy: list[list[float]] = []
    taken: list[float] = []
    for _ in range(ROUNDS):
        calm.append(await measured(pinger, asyncio.sleep(QUIET_SECONDS)))
        started = time.perf_counter()
        busy.append(await measured(pinger, sign_in_all(trust, base, names)))
        taken.append(time.perf_counter() - started)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
            await task
    return report(calm, busy, taken)


def report(
    calm: Sequence[Sequence[float]], busy: Sequence[Sequence[float]], taken: Sequence[float]
) -> bool:
    title(f"a socket's ping while {LOGINS} sign-ins run")
    line("", "p50 ms", "p99 ms", "most ms")
    for name, rounds in (("  nothing else", calm), (f"  {LOGINS} sign-ins", busy)):
        line(name, *(spread([at(w, share) for w in rounds]) for share in (0.5, 0.99, 0.999999)))
    late = [at(waits, 0.99) for waits in busy]
    ratio = [under / at(alone, 0.99) for under, alone in zip(late, calm, strict=True)]
    line("  times calm", "", spread(ratio, 1), f"goal p99 {GOAL_MS:.0f} ms")
    line("  all sign-ins took s", spread(taken))
    return sorted(late)[len(late) // 2] <= GOAL_MS


def main() -> bool:
    """True when the goal was met."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        with sotto(FLAGS, core=min(allowed)) as server:
            return asyncio.run(run(server))
    finally:
        os.sched_setaffinity(0, allowed)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
