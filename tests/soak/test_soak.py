"""An hour of a real call, with chat and sync beside it, leaves a server as it was.

`make test-long PART=soak`; SOTTO_SOAK_MINUTES says how long. The same things go on for some minutes
first, so that what a server makes once is there when its memory, descriptors, threads and tasks are
looked at; then for the whole time, and after everybody has gone they are looked at again.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rows.house import House, Visit, standing, visiting
from tests.soak.people import (
    Room,
    following,
    made,
    own_address,
    residents,
    visitors,
    writing,
)

MINUTES = float(os.environ.get("SOTTO_SOAK_MINUTES", "60"))
WARM_MINUTES = min(3.0, MINUTES)
GONE_SECONDS = 150.0
"""Until the last of a killed client is forgotten (30 s), and a machine under load has caught up."""
IDLE_SECONDS = 20.0
"""After them aiohttp closes a connection that it kept for another request."""
MEMORY_MOST = 32 << 20
"""An allocator's slack after hundreds of joins; ten thousand left 5 MB (`docs/performance.md`)."""
THREADS_MOST = 2
"""Pools of threads grow to their bound one by one."""


class Held(NamedTuple):
    """What a server has, as its own metrics tell."""

    memory: int
    descriptors: int
    threads: int
    tasks: int


FAMILIES = {
    "process_resident_memory_bytes": "memory",
    "process_open_fds": "descriptors",
    "process_threads": "threads",
    "sotto_tasks": "tasks",
}
GONE = ("sotto_calls", "sotto_participants", "sotto_transports")


async def metrics(visit: Visit) -> dict[str, float]:
    text = (await visit.send("GET", visit.house.operator + "/metrics")).text
    return {name: float(value) for name, value in re.findall(r"^(\w+) ([\d.e+]+)$", text, re.M)}


async def held(visit: Visit) -> Held:
    found = await metrics(visit)
    return Held(**{field: int(found[name]) for name, field in FAMILIES.items()})


def near(now: Held, start: Held) -> bool:
    return (
        now.memory <= start.memory + MEMORY_MOST
        and now.descriptors <= start.descriptors
        and now.threads <= start.threads + THREADS_MOST
        and now.tasks <= start.tasks
    )


async def alone(visit: Visit) -> None:
    """Until nobody is in a call, and connections that nobody uses were closed."""
    async with asyncio.timeout(GONE_SECONDS):
        while True:
            found = await metrics(visit)
            if not any(found[name] for name in GONE):
                break
            await asyncio.sleep(1)
    await asyncio.sleep(IDLE_SECONDS)


async def lively(room: Room, minutes: float) -> None:
    """The call, the chat and the devices, for so long."""
    end = time.monotonic() + 60 * minutes
    async with residents(room, "ana", "ben", "cy") as staying, asyncio.TaskGroup() as group:
        coming = [group.create_task(visitors(room, name, end)) for name in ("dee", "eve")]
        posts = group.create_task(writing(room, end))
        devices = [
            group.create_task(following(room, room.person(name), end)) for name in ("ben", "fay")
        ]
        await asyncio.gather(*coming, posts, *devices)
        for peer in staying:
            stats = await peer.stats()
            assert stats["state"] == "connected", (peer.name, stats["events"][-20:])
            assert "reconnecting" not in stats["events"], peer.name
            said = [item for item in stats["inbox"] if item["topic"] == "soak"]
            assert len(said) == sum(task.result() for task in coming), peer.name
    for name, tasks in (("visits", coming), ("posts", [posts]), ("devices", devices)):
        print(f"{name}: {[task.result() for task in tasks]}", flush=True)


def errors(log: str) -> list[str]:
    """Lines of the server's log, which is JSON, that tell of an error; whatever is no JSON too."""
    lines = [line for line in log.splitlines() if line.strip()]
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    wrong = [line["message"] for line in parsed if line["level"] in ("error", "critical")]
    return wrong + [line for line in lines if line.startswith("Traceback")]


@pytest.mark.long
async def test_an_hour_of_a_call_with_chat_and_sync_leaves_nothing_behind(tmp_path: Path) -> None:
    here = own_address()
    settings = {"media.bind": here, "media.advertise": here, "log.format": "json"}
    (tmp_path / "server").mkdir()
    house = House(tmp_path / "server", settings)
    with standing(house):
        async with visiting(house) as visit:
            room = await made(visit, tmp_path, ("ana", "ben", "cy", "dee", "eve", "fay"))
            await lively(room, WARM_MINUTES)
            await alone(visit)
            start = await held(visit)
            await lively(room, MINUTES)
            await alone(visit)
            end = time.monotonic() + GONE_SECONDS
            while not near(now := await held(visit), start) and time.monotonic() < end:
                await asyncio.sleep(1)
            print(f"before: {start}\nafter:  {now}", flush=True)
            assert near(now, start), (start, now)
    assert not errors(house.written())
