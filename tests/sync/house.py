"""A whole server with people, and their devices: Python clients over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp

from signaling.errors import Unavailable
from sotto_client import Backoff, Client, Local
from tests.signaling.files.rig import Person, There, people
from tests.sync.watched import Watched, writing_down

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def device(
    http: aiohttp.ClientSession,
    url: str,
    person: Person,
    place: str = ":memory:",
    now: Callable[[], float] = time.time,
) -> Client:
    """Impatient: tests do not wait a second for the first try."""

    async def token() -> str:
        return person.token

    backoff = Backoff(lambda: 0.5, first=0.05)
    return Client(url, Local(place), token, http=http, backoff=backoff, now=now)


async def room_of(owner: Person, *members: Person) -> str:
    accounts = [(await member.ask("GET", "/account")).json["id"] for member in members]
    made = await owner.ask("POST", "/rooms", {"kind": "group", "name": "Tea", "members": accounts})
    assert made.status == 201, made.body
    return str(made.json["id"])


@contextlib.asynccontextmanager
async def served(state: Path, **settings: str) -> AsyncIterator[There]:
    """All that passes its sync socket is as its document says."""
    watched = Watched(state.parent / f"{state.name}.frames")
    with writing_down(watched.folder):
        async with people(state, **settings) as there:
            yield there
            await asyncio.to_thread(watched.check_served, there.house.http)


__all__ = ["MEMORY", "Unavailable", "device", "room_of", "served"]
