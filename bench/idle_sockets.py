"""Memory of one idle sync socket over TLS: 10,000 of them held by one server process.

Resident bytes of the server for each socket, between a tenth of them and all, after all has
settled; beside it what the same number costs a bare aiohttp server with an idle WebSocket handler.
The client, which holds plain TLS sockets, is another process: descriptors end at 20,000 here. The
media engine is a fake, since no call is made. `make bench WHAT=sockets`, or
`python bench/idle_sockets.py [sockets]`.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
import sys
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from sotto_server import Server, bare, sotto
from table import line, title

SOCKETS = 10_000
AT_ONCE = 20
GOAL_BYTES = 60_000
FLAGS = {"sync.ping_seconds": "300", "sync.pong_seconds": "300"}
UPGRADE = (
    "GET /sync HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: sotto.1\r\nAuthorization: Bearer {}\r\n\r\n"
)


async def _open(server: Server, context: ssl.SSLContext) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.https, ssl=context)
    writer.write(UPGRADE.format(server.token or "none").encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head.split(b"\r\n")[0], head
    await reader.readuntil(b"}")  # the greeting
    return writer


async def _fill(held: list[Any], count: int, server: Server, context: ssl.SSLContext) -> None:
    while len(held) < count:
        batch = min(AT_ONCE, count - len(held))
        held += await asyncio.gather(*(_open(server, context) for _ in range(batch)))


async def measure(server: Server, count: int) -> tuple[float, float]:
    """Bytes of one socket, and of the whole server with all of them."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    held: list[Any] = []
    await _fill(held, count // 10, server, context)
    await asyncio.sleep(2)
    few = server.ask("memory")
    await _fill(held, count, server, context)
    await asyncio.sleep(3)
    many = server.ask("memory")
    for writer in held:
        writer.transport.abort()
    return (many - few) / (count - count // 10), many


def main() -> bool:
    """True when the goal was met."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SOCKETS
    title(f"{count} idle sockets over TLS on one process")
    with sotto(FLAGS) as server:
        each, whole = asyncio.run(measure(server, count))
        with bare("{}", server.authority) as theirs:
            plain, all_plain = asyncio.run(measure(theirs, count))
    line("", "kB a socket", "MB in all")
    for name, one, total in (("sotto", each, whole), ("bare aiohttp", plain, all_plain)):
        line(f"  {name}", f"{one / 1000:.1f}", f"{total / 1e6:.0f}")
    line("  times bare", f"{each / plain:.2f}", f"goal {GOAL_BYTES / 1000:.0f} kB")
    return each <= GOAL_BYTES


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
