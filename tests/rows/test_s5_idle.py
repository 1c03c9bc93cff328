"""Section 5.B, attack class 14: a thousand sockets that say nothing, or never enough."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import statistics
import time
from collections.abc import Callable

from tests.rows.house import House, Visit, visiting
from tests.slack import SLACK, within

MANY = 1000
SECONDS = 10.0
"""What `limits.header_seconds` and `limits.body_seconds` are where nobody changes them."""
POST = b"POST /api/v1/sign-in/password HTTP/1.1\r\nHost: localhost\r\n"
# What each says before it falls silent, and whether it has got through the TLS handshake.
KINDS = (
    (False, b""), (False, b"\x16\x03\x01\x02"), (True, b""), (True, b"GET / HTTP/1.1\r\nX-Slow: "),
    (True, POST + b"Content-Type: application/json\r\nContent-Length: 90\r\n\r\n{"),
)  # fmt: skip


async def idle(house: House, number: int, gate: asyncio.Semaphore) -> float:
    """Seconds until the server ended it."""
    greeted, words = KINDS[number % len(KINDS)]
    trust = house.trust if greeted else None
    async with gate:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", house.facts["https"], ssl=trust,
            server_hostname="localhost" if greeted else None,
        )  # fmt: skip
    began = time.monotonic()
    writer.write(words)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        async with asyncio.timeout(120):
            while await reader.read(65536):
                pass
    took = time.monotonic() - began
    writer.transport.abort()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return took


async def connections(there: Visit) -> int:
    text = (await there.send("GET", there.house.operator + "/metrics")).text
    [found] = [line for line in text.splitlines() if line.startswith("sotto_connections ")]
    return int(float(found.split()[1]))


async def test_s5b_a_thousand_idle_sockets_are_gone_and_others_served_meanwhile(
    housed: Callable[..., House],
) -> None:
    house, gate = housed(), asyncio.Semaphore(50)
    async with visiting(house) as there:
        token, _ = await there.joined()
        async with there.socket(token) as socket:
            tasks = [asyncio.create_task(idle(house, n, gate)) for n in range(MANY)]
            most, answered = 0, []
            while not all(task.done() for task in tasks):
                most = max(most, await connections(there))
                began = time.monotonic()
                assert (await there.ask("GET", "/session", token=token)).status == 200
                answered.append(time.monotonic() - began)
                await asyncio.sleep(0.2)
            await socket.send_json({"type": "ping", "id": 1})
            assert (await socket.receive_json(timeout=30))["type"] in ("ping", "pong")
        assert most > MANY, most  # all of them at once, and those of the others
        within(SECONDS + 1, [task.result() for task in tasks])
        assert statistics.median(answered) < 0.5 and max(answered) < 1 + SLACK, max(answered)
        async with asyncio.timeout(30):
            while await connections(there) > 5:
                await asyncio.sleep(0.1)
