"""`sotto serve` in a process of its own, and receivers beside it that its operator allows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientError

from tests.rows.house import House, Visit, visiting

QUICK = {"delivery.retry_most_seconds": "1", "delivery.incoming_per_minute": "6000"}


def house_at(
    folder: Path, ports: Mapping[int, str], settings: Mapping[str, str] | None = None
) -> House:
    """`ports` of loopback that may be called, with the CA of each or ""."""
    allow = ", ".join(
        f'{{ network = "127.0.0.1/32", port = {port}, ca_file = "{ca}" }}'
        for port, ca in ports.items()
    )
    toml = f"[egress]\nallow = [{allow}]\n"
    return House(folder, {**QUICK, **(settings or {})}, toml=toml)


@contextlib.asynccontextmanager
async def living(house: House) -> AsyncIterator[Visit]:
    """Started with its owner; killed processes may be started again meanwhile."""
    await asyncio.to_thread(house.start)
    try:
        await asyncio.to_thread(house.setup)
        async with visiting(house) as there:
            yield there
    finally:
        await asyncio.to_thread(house.stop)


def kill(house: House) -> None:
    """As the kernel does it."""
    assert house.process is not None
    house.process.kill()
    house.process.wait(60)


async def must(there: Visit, method: str, path: str, body: Any = None, token: str = "") -> Any:
    answer = await there.ask(method, path, body, token or await there.owner())
    assert answer.status < 300, answer.text
    return answer.body


async def room(there: Visit, **more: Any) -> str:
    made = await must(there, "POST", "/rooms", {"kind": "group", "name": "Tea", **more})
    return str(made["id"])


async def say(there: Visit, where: str, text: str) -> None:
    """Again until it is acknowledged, as a client does it, with one key."""
    path, headers = f"/rooms/{where}/messages", {"Idempotency-Key": f"say-{where}-{text}"}
    token = there.house.token
    while True:
        with contextlib.suppress(OSError, asyncio.TimeoutError, RuntimeError, ClientError):
            answer = await there.ask("POST", path, {"text": text}, token, headers=headers)
            if answer.status == 201:
                return
            assert answer.status in (409, 429, 503), answer.text
        await asyncio.sleep(0.2)


async def until(what: Any, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.05)
