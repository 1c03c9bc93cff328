"""A client process that a test drives by JSON lines; wherever it runs, in whatever language."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

Stats = dict[str, Any]
ROOT = Path(__file__).parent.parent.parent


class PeerError(Exception):
    """The client answered a command with an error, or died."""


class Peer:
    """Owns one client process; every command has an answer or an error within its time."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, name: str, argv: Sequence[str], log: Path, env: dict[str, str] | None = None
    ) -> Peer:
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=sink,
                env={**os.environ, **(env or {})},
                limit=1 << 24,
                cwd=ROOT,
                start_new_session=True,
            )
        return cls(name, process, log)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # a library that prints to stdout
            future = self._waiting.pop(answer.get("id", 0), None)
            if future is None or future.done():
                continue
            if "error" in answer:
                future.set_exception(PeerError(f"{self.name}: {answer['error']}"))
            else:
                future.set_result(answer["ok"])
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(PeerError(f"{self.name} ended: {self.tail()}"))
        self._waiting.clear()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    async def do(self, command: str, within: float = 60.0, **args: Any) -> Any:
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        assert self.process.stdin is not None
        line = json.dumps({"id": number, "do": command, "args": args})
        try:
            self.process.stdin.write(line.encode() + b"\n")
            await self.process.stdin.drain()
            async with asyncio.timeout(within):
                return await future
        except TimeoutError:
            raise PeerError(f"{self.name}: no answer to {command} in {within} s") from None
        except (BrokenPipeError, ConnectionResetError):
            raise PeerError(f"{self.name} ended: {self.tail()}") from None
        finally:
            self._waiting.pop(number, None)

    async def stats(self) -> Stats:
        result: Stats = await self.do("stats")
        return result

    async def until(self, met: Callable[[Stats], bool], within: float, what: str) -> Stats:
        """Poll until `met(stats)`; says what was waited for and what was there instead."""
        end = time.monotonic() + within
        while True:
            stats = await self.stats()
            if met(stats):
                return stats
            if time.monotonic() > end:
                raise AssertionError(f"{self.name}: {what} not within {within} s: {stats}")
            await asyncio.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL to the client and all below it, as a crash would be; browsers have groups of
        their own."""
        for pid in (self.process.pid, *descendants(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def close(self) -> None:
        with contextlib.suppress(PeerError):
            await self.do("leave", within=3)
        self.kill()
        await self.process.wait()
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, from /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


@contextlib.asynccontextmanager
async def running(*starting: Any) -> AsyncIterator[list[Peer]]:
    """Start peers together, and end them whatever happens."""
    peers: list[Peer] = []
    results = await asyncio.gather(*starting, return_exceptions=True)
    peers = [r for r in results if isinstance(r, Peer)]
    try:
        for result in results:
            if isinstance(result, BaseException):
                raise result
        yield peers
    finally:
        await asyncio.gather(*(p.close() for p in peers))


def track(stats: Stats, kind: str) -> dict[str, Any]:
    """The first track of that kind; zeros when there is none yet."""
    empty = {"sid": "", "packets": 0, "frames": 0, "width": 0, "gap_ms": 0, "lost": 0, "bytes": 0}
    return next((t for t in stats["tracks"] if t["kind"] == kind), empty)
