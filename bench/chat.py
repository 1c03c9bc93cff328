"""What the chat sections measure: Sotto on either store, Centrifugo, and the one load client.

The load is a Go program (`bench/sockets`) that speaks both protocols in the same way, in a process
of its own on the same two cores as the server. `Sockets` gives it orders, `Site` is a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from centrifugo import CACHE, Centrifugo
from servers import BenchError

from signaling.clock import SystemClock
from signaling.config.store import Store as StoreSettings
from signaling.errors import Unavailable
from signaling.ids import SystemEntropy
from signaling.storage.open import open_store
from signaling.storage.port import NewOp, Store
from tests.peers.mongo.stand_in import StandIn
from tests.proofs.server import Api, Installation

TALKING, QUIET, MEMBERS = 50, 50, 11
"""Each message goes to ten others; nobody talks in the quiet rooms."""
# Nothing here is about how often somebody may ask.
SETTINGS = {
    "api.rate_factor": "1000",
    "sync.sockets_per_account": "100000",
    "sync.messages_per_second": "100000",
    "sync.messages_burst": "100000",
    "limits.connections_per_address": "20000",
}
SEALED = 420
"""Bytes of a message of 80 letters as Sotto stores it."""
BEHIND_SECONDS = 1.0
"""A store with as much as that waiting when the time is over does not keep up: more would wait."""


class LoadError(BenchError):
    """The load client itself is gone, which says nothing about a server."""


def sockets() -> Path:
    """The load client, built once for each state of its sources."""
    source = Path(__file__).with_name("sockets")
    digest = hashlib.sha256()
    for path in sorted(source.glob("*.go")) + [source / "go.mod"]:
        digest.update(path.read_bytes())
    found = CACHE / f"sockets-{digest.hexdigest()[:16]}"
    if not found.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = found.with_suffix(".new")
        try:
            subprocess.run(["go", "build", "-o", str(partial), "."], cwd=source, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BenchError(f"bench/sockets does not build ({error})") from None
        partial.rename(found)
    return found


class Sockets:
    """The load client's process. It ends when its input does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(sockets())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    async def ask(self, do: str, **more: Any) -> Any:
        """The answer to one command; raises BenchError with what it said instead."""
        return await asyncio.to_thread(self._ask, {"do": do, **more})

    def _ask(self, order: dict[str, Any]) -> Any:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        line = b""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            raise LoadError(f"{order['do']}: the load client ended")
        answer = json.loads(line)
        if "error" in answer:
            raise BenchError(f"{order['do']}: {answer['error']}")
        return answer["answer"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass
class Site:
    """A server that is up, with a load client that knows it."""

    name: str
    pid: int
    load: Sockets
    rooms: list[str]
    api: Api | None = None
    tokens: tuple[str, ...] = ()

    def resident(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * 4096


async def people(api: Api, rooms: int) -> tuple[list[str], list[str]]:
    """Access tokens of everybody, and the rooms that all of them are in."""
    owner = await api.owner()
    tokens, accounts = [], []
    for number in range(MEMBERS):
        made = await api.invited(owner, f"some.{number:02}", "member")
        tokens.append(made["access_token"])
        accounts.append((await api.must("GET", "/account", None, tokens[-1]))["id"])
    made_rooms = []
    for number in range(rooms):
        body = {"kind": "group", "name": f"r{number}", "members": accounts[1:]}
        made_rooms.append((await api.must("POST", "/rooms", body, tokens[0]))["id"])
    return tokens, made_rooms


@contextlib.asynccontextmanager
async def sotto(
    home: Path,
    name: str = "sotto embedded",
    settings: Mapping[str, str] | None = None,
    rooms: int = TALKING + QUIET,
    talking: int = TALKING,
) -> AsyncIterator[Site]:
    """`sotto serve` with its people and rooms; what is there from before is used again."""
    there = Installation(home, {**SETTINGS, **(settings or {})})
    known = home / "bench.json"
    load = Sockets()
    try:
        async with there.running() as api:
            if not known.exists():
                known.write_text(json.dumps(await people(api, rooms)))
            tokens, ids = json.loads(known.read_text())
            assert there.process is not None
            pid = there.process.pid
            address = f"127.0.0.1:{there.facts['https']}"
            await load.ask(
                "start", kind="sotto", address=address, rooms=ids, tokens=tokens,
                talking=talking, pids=[pid],
            )  # fmt: skip
            yield Site(name, pid, load, ids, api, tuple(tokens))
            if count := await load.ask("complaints"):
                print(f"  {name}: {count} frames said that something went wrong")
    except subprocess.TimeoutExpired:
        print(f"  {name}: was killed, since it did not stop", flush=True)
    finally:
        load.close()


@contextlib.asynccontextmanager
async def centrifugo(home: Path) -> AsyncIterator[Site]:
    server, load = Centrifugo(home), Sockets()
    ids = [f"r{number}" for number in range(TALKING + QUIET)]
    try:
        server.start()
        assert server.process is not None
        pid = server.process.pid
        await load.ask(
            "start", kind="centrifugo", address=f"127.0.0.1:{server.port}", rooms=ids,
            tokens=[""] * MEMBERS, talking=TALKING, pids=[pid],
        )  # fmt: skip
        yield Site("centrifugo", pid, load, ids)
        if count := await load.ask("complaints"):
            print(f"  centrifugo: {count} frames said that something went wrong")
    finally:
        load.close()
        server.stop()


@contextlib.contextmanager
def stand_in() -> Iterator[dict[str, str]]:
    """Settings of a server whose MongoDB is the stand-in of the tests: its wire protocol before a
    memory, on the same cores. It says little about MongoDB itself."""
    running = StandIn.start()
    try:
        yield {
            "store.url": f"mongodb://127.0.0.1:{running.port}/?directConnection=true",
            "store.database": f"bench_{secrets.token_hex(4)}",
            "store.insecure_without_auth": "true",
        }
    finally:
        running.stop()


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


async def bare_writes(
    folder: Path, settings: Mapping[str, str], rate: float, seconds: float
) -> dict[str, float] | None:
    """The store alone at that rate: what no acknowledgement is faster than. Milliseconds; None when
    it cannot keep up."""
    given: dict[str, Any] = {key.partition(".")[2]: value for key, value in settings.items()}
    if "insecure_without_auth" in given:
        given["insecure_without_auth"] = True
        given["database"] = f"bare_{secrets.token_hex(4)}"
    store = await open_store(StoreSettings(**given), folder, SystemClock(), SystemEntropy())
    try:
        took = await _paced(store, rate, seconds)
    finally:
        await store.close()
    if took is None:
        return None
    return {"p50": quantile(took, 0.5), "p99": quantile(took, 0.99)}


async def _paced(store: Store, rate: float, seconds: float) -> list[float] | None:
    took: list[float] = []
    tasks: list[asyncio.Task[None]] = []
    refused: list[Unavailable] = []
    body = os.urandom(SEALED)

    async def one(number: int) -> None:
        begun = time.perf_counter()
        ident, version = f"i{number // TALKING % MEMBERS}", number // TALKING // MEMBERS + 1
        try:
            await store.log.append("app", f"r{number % TALKING}", [NewOp(ident, version, body)])
        except Unavailable as error:
            refused.append(error)
        else:
            took.append((time.perf_counter() - begun) * 1e3)

    start = time.perf_counter()
    while not refused and (passed := time.perf_counter() - start) < seconds:
        while len(tasks) < int(passed * rate):
            tasks.append(asyncio.create_task(one(len(tasks))))
        await asyncio.sleep(0.001)
    if refused or len(tasks) - len(took) > rate * BEHIND_SECONDS:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return None
    await asyncio.gather(*tasks)
    return None if refused else took[len(took) // 8 :]
