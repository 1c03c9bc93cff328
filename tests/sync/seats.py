"""A device in a run, whichever client it is: Python in this process, TypeScript in a Node process.

The TypeScript one is `web/e2e/sync-driver.ts`, told what to do by lines of JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec

from sotto_client import Backoff, Client, Local

WEB = Path(__file__).resolve().parents[2] / "web"
FIRST_SECONDS = 0.05
"""Impatient: tests do not wait a second for the first try."""
LONGEST_LINE = 256 * 2**20


@dataclass(frozen=True)
class Seen:
    """What a device has of a room, as JSON has it."""

    view: Any
    seqs: list[int]
    pending: int
    resets: int
    connections: int

    @property
    def texts(self) -> list[str]:
        return [(m.get("body") or {}).get("text", "") for m in self.view["messages"]]


class Seat(Protocol):
    """See the module."""

    async def start(self, room: str) -> None: ...
    async def post(self, room: str, text: str) -> None: ...
    async def synced(self, room: str, seconds: float) -> None: ...
    async def seen(self, room: str) -> Seen: ...
    async def stop(self) -> None:
        """Idempotent."""


class PythonSeat:
    """A `Client` of `sotto_client`; owned by the seat, with its copies."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def start(self, room: str) -> None:
        self.client.room(room)
        await self.client.start()

    async def post(self, room: str, text: str) -> None:
        self.client.room(room).post(text)

    async def synced(self, room: str, seconds: float) -> None:
        await self.client.room(room).synced(seconds)

    async def seen(self, room: str) -> Seen:
        found = self.client.room(room)
        return Seen(
            view=json.loads(msgspec.json.encode(found.view())),
            seqs=[entry["seq"] for entry in found.replica.entries()],
            pending=len(found.replica.pending()),
            resets=found.replica.resets,
            connections=self.client.connections,
        )

    async def stop(self) -> None:
        await self.client.stop()
        self.client.local.close()


def python_seat(
    url: str, token: str, place: Path, http: aiohttp.ClientSession, random: Callable[[], float]
) -> PythonSeat:
    async def bearer() -> str:
        return token

    backoff = Backoff(random, first=FIRST_SECONDS)
    return PythonSeat(Client(url, Local(place), bearer, http=http, backoff=backoff))


class NodeSeat:
    """States: made -> open -> stopped. `authority` is the certificate that its sockets trust."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls,
        url: str,
        token: str,
        account: str,
        authority: Path | None,
        environment: Mapping[str, str] | None = None,
    ) -> NodeSeat:
        node = shutil.which("node")
        assert node is not None, "node is missing"
        trust = {} if authority is None else {"NODE_EXTRA_CA_CERTS": str(authority)}
        process = await asyncio.create_subprocess_exec(
            node, "--experimental-websocket", "--no-warnings", "e2e/sync-driver.mjs",
            cwd=WEB, env={**os.environ, **trust, **(environment or {})}, limit=LONGEST_LINE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        seat = cls(process)
        first = FIRST_SECONDS * 1000
        await seat.ask("open", url=url, token=token, account=account, first_ms=first)
        return seat

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            asked = self._asked.pop(said["id"])
            if "error" in said:
                asked.set_exception(AssertionError(said["error"]))
            else:
                asked.set_result(said["answer"])
        for asked in self._asked.values():
            asked.set_exception(AssertionError("the Node device is gone"))

    async def ask(self, do: str, **words: Any) -> Any:
        """Raises AssertionError with what it says went wrong."""
        assert self._process.stdin is not None
        number = next(self._ids)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "do": do, **words})
        self._process.stdin.write(line.encode() + b"\n")
        return await asked

    async def start(self, room: str) -> None:
        await self.ask("follow", path=f"room:{room}")
        await self.ask("start")

    async def post(self, room: str, text: str) -> None:
        await self.ask("post", room=room, text=text)

    async def synced(self, room: str, seconds: float) -> None:
        await self.ask("synced", path=f"room:{room}", ms=seconds * 1000)

    async def seen(self, room: str) -> Seen:
        found = await self.ask("seen", path=f"room:{room}")
        return Seen(**{name: found[name] for name in Seen.__dataclass_fields__})

    async def stop(self) -> None:
        """Idempotent. Its process ends with its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 60)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader
