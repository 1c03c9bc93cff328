"""An authenticated request against a bare aiohttp handler: requests per second and p99, as ratios.

`GET /api/v1/session` with a bearer token that the server has seen before: everything that every
request passes (edge, token, rate, scope, answer, audit), and a handler that does almost nothing.
The bare side answers the same bytes from one handler of an application without middleware. Both
have core 0 in turn, round by round, over TLS with the same certificate (the API takes nothing else
but from its own machine in development) and in the clear; the client has core 1. A closed loop of
16 connections; the first round is thrown away. `make bench WHAT=requests`, or
`python bench/authenticated.py`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from sotto_server import PATH, Server, bare, sotto
from table import line, spread, title

CONNECTIONS = 16
SECONDS = 2.0
ROUNDS = 6
GOAL = 2.0


class Caller(asyncio.Protocol):
    """Asks again as soon as it was answered; cheaper than the cheapest server."""

    def __init__(self, request: bytes, waits: list[float], until: float) -> None:
        self.request, self.waits, self.until = request, waits, until
        self.body = b""
        self._left = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._left += data
        head, found, body = self._left.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        now = time.perf_counter()
        self.waits.append(now - self._sent)
        self._left = b""
        if not self.body:
            assert head.startswith(b"HTTP/1.1 200"), head
            self.body = body
        if now < self.until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _length(head: bytes) -> int:
    _, _, rest = head.partition(b"Content-Length: ")
    return int(rest.partition(b"\r\n")[0])


def request_of(server: Server) -> bytes:
    authorization = f"Authorization: Bearer {server.token}\r\n" if server.token else ""
    head = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
    return (head + authorization + "\r\n").encode()


async def drive(server: Server, trust: ssl.SSLContext | None, seconds: float) -> list[float]:
    """What each request waited, in seconds."""
    loop, waits = asyncio.get_running_loop(), list[float]()
    port = server.http if trust is None else server.https
    until = time.perf_counter() + seconds
    request = request_of(server)
    callers = []
    for _ in range(CONNECTIONS):
        _, caller = await loop.create_connection(
            lambda: Caller(request, waits, until), "localhost", port, ssl=trust
        )
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    return waits


async def body_of(server: Server) -> str:
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(
        lambda: Caller(request_of(server), [], 0), "localhost", server.http
    )
    await caller.done
    return caller.body.decode()


Round = dict[str, float]


def measured(server: Server, trust: ssl.SSLContext | None) -> Round:
    gc.collect()
    before = server.ask("cpu")
    waits = sorted(asyncio.run(drive(server, trust, SECONDS)))
    spent = server.ask("cpu") - before
    return {
        "rate": len(waits) / SECONDS,
        "p50": waits[len(waits) // 2] * 1000,
        "p99": waits[int(len(waits) * 0.99)] * 1000,
        "cpu": spent / len(waits) * 1e6,
    }


def compare(ours: Server, theirs: Server, trust: ssl.SSLContext | None) -> bool:
    rounds: dict[str, list[Round]] = {"sotto": [], "bare": []}
    for number in range(ROUNDS):
        for name, server in (("sotto", ours), ("bare", theirs)):
            found = measured(server, trust)
            if number:
                rounds[name].append(found)
    line("", "requests/s", "p50 ms", "p99 ms", "us CPU a request")
    for name, found_rounds in rounds.items():
        line(f"  {name}", *(_spread(found_rounds, key) for key in ("rate", "p50", "p99", "cpu")))
    rate = [b["rate"] / s["rate"] for s, b in zip(rounds["sotto"], rounds["bare"], strict=True)]
    late = [s["p99"] / b["p99"] for s, b in zip(rounds["sotto"], rounds["bare"], strict=True)]
    line("  times bare (goal 2)", f"rate {spread(rate)}", "", f"p99 {spread(late)}")
    return median(rate) <= GOAL and median(late) <= GOAL


def _spread(rounds: Sequence[Round], key: str) -> str:
    return spread([found[key] for found in rounds], 0 if key in ("rate", "cpu") else 2)


def main() -> bool:
    """True when both goals were met over TLS."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        with sotto(core=min(allowed)) as ours:
            body = asyncio.run(body_of(ours))
            with bare(body, ours.authority, core=min(allowed)) as theirs:
                title("authenticated request, in the clear")
                compare(ours, theirs, None)
                title("authenticated request, TLS")
                return compare(ours, theirs, ssl.create_default_context(cafile=ours.authority))
    finally:
        os.sched_setaffinity(0, allowed)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
