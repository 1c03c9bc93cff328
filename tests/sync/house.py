"""A whole server with people, and their devices: Python clients over real sockets."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from signaling.errors import Unavailable
from sotto_client import Backoff, Client, Local
from tests.signaling.files.rig import Person, There, people

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def device(
    http: aiohttp.ClientSession, url: str, person: Person, place: str = ":memory:"
) -> Client:
    """Impatient: tests do not wait a second for the first try."""

    async def token() -> str:
        return person.token

    return Client(url, Local(place), token, http=http, backoff=Backoff(lambda: 0.5, first=0.05))


async def room_of(owner: Person, *members: Person) -> str:
    accounts = [(await member.ask("GET", "/account")).json["id"] for member in members]
    made = await owner.ask("POST", "/rooms", {"kind": "group", "name": "Tea", "members": accounts})
    assert made.status == 201, made.body
    return str(made.json["id"])


@contextlib.asynccontextmanager
async def served(state: Path, **settings: str) -> AsyncIterator[There]:
    async with people(state, **settings) as there:
        yield there


__all__ = ["MEMORY", "Unavailable", "device", "room_of", "served"]
