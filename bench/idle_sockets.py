"""Memory of one idle sync socket over TLS: a whole server in its own process, thousands of sockets.

    python -m bench.idle_sockets [sockets]

Prints resident bytes for each socket, between a tenth of them and all, after all has settled. The
client holds plain TLS sockets; the media engine is a fake, since no call is made.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import ssl
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.signaling.house import serving

PASSWORD = "correct horse battery staple 1"
UPGRADE = (
    "GET /sync HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: sotto.1\r\nAuthorization: Bearer {}\r\n\r\n"
)


def resident() -> int:
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


async def _serve(pipe: Connection, folder: str) -> None:
    flags = {
        "sync.sockets_per_account": "100000",
        "sync.ping_seconds": "120",
        "sync.pong_seconds": "60",
        "api.rate_factor": "1000",
    }
    async with serving(Path(folder), flags) as running:
        link = running.app.setup_link or ""
        body = {"login": "root.ana", "password": PASSWORD, "link": link.rpartition("#")[2]}
        url = running.https + "/api/v1/sign-up"
        async with running.client.post(url, json=body) as answer:
            made = await answer.json()
        pipe.send((running.app.facts()["https"], made.get("access_token") or json.dumps(made)))
        while await asyncio.to_thread(pipe.recv) != "stop":
            pipe.send(resident())


def serve(pipe: Connection, folder: str) -> None:
    asyncio.run(_serve(pipe, folder))


async def _open(port: int, token: str, context: ssl.SSLContext) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(UPGRADE.format(token).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head.split(b"\r\n")[0], head
    await reader.readuntil(b"}")
    return writer


async def _fill(
    held: list[Any], count: int, port: int, token: str, context: ssl.SSLContext
) -> None:
    while len(held) < count:
        batch = min(20, count - len(held))
        held += await asyncio.gather(*(_open(port, token, context) for _ in range(batch)))


def _ask(pipe: Connection) -> int:
    pipe.send("memory")
    return int(pipe.recv())


async def measure(count: int, pipe: Connection) -> dict[str, float]:
    port, token = pipe.recv()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    held: list[Any] = []
    await _fill(held, count // 10, port, token, context)
    await asyncio.sleep(2)
    few = _ask(pipe)
    await _fill(held, count, port, token, context)
    await asyncio.sleep(3)
    many = _ask(pipe)
    for writer in held:
        writer.transport.abort()
    return {"sockets": count, "bytes_each": (many - few) / (count - count // 10), "rss": many}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        child = context.Process(target=serve, args=(theirs, folder))
        child.start()
        try:
            print(json.dumps(asyncio.run(measure(count, mine))))
        finally:
            mine.send("stop")
            child.join(10)
            child.kill()


if __name__ == "__main__":
    main()
