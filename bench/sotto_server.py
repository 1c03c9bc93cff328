"""A Sotto server with a fake engine in a process of its own, and its first account: for benches.

    with sotto(flags, core=0) as server: server.https, server.http, server.token

Beside it `bare`: an aiohttp application with one handler and nothing around it, on the same kind of
sockets and the same certificate. The media engine is a fake, since no call is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import resource
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp import web

sys.path.append(str(Path(__file__).parents[1]))

from signaling.run import SWITCH_SECONDS, settle
from tests.signaling.house import serving

LOGIN, PASSWORD = "root.ana", "correct horse battery staple 1"
PATH = "/api/v1/session"
# Nothing in these benches is about how often somebody may ask.
FLAGS = {
    "api.rate_factor": "1000",
    "sync.sockets_per_account": "100000",
    "accounts.tries_per_address": "1000000",
}


@dataclass
class Server:
    """One child process; `ask` sends it a word and returns its answer."""

    pid: int
    http: int
    https: int
    token: str
    authority: str
    pipe: Connection

    def ask(self, word: str) -> Any:
        self.pipe.send(word)
        return self.pipe.recv()


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def cpu() -> float:
    taken = os.times()
    return taken.user + taken.system


async def obey(pipe: Connection) -> None:
    """Answers `memory` and `cpu` until `stop`."""
    answers: dict[str, Callable[[], float]] = {"memory": resident, "cpu": cpu}
    while (word := await asyncio.to_thread(pipe.recv)) != "stop":
        pipe.send(answers[word]())


async def _sotto(pipe: Connection, folder: str, flags: Mapping[str, str]) -> None:
    async with serving(Path(folder), {**FLAGS, **flags}) as running:
        link = (running.app.setup_link or "").rpartition("#")[2]
        body = {"login": LOGIN, "password": PASSWORD, "link": link}
        async with running.client.post(running.https + "/api/v1/sign-up", json=body) as answer:
            token = (await answer.json())["access_token"]
        facts = running.app.facts()
        authority = str(Path(folder) / "tls" / "authority.crt")
        # As `sotto serve` does once it has started.
        sys.setswitchinterval(SWITCH_SECONDS)
        settle()
        pipe.send((facts["http"], facts["https"], token, authority))
        await obey(pipe)


async def _bare(pipe: Connection, folder: str, flags: Mapping[str, str]) -> None:
    """Also an idle WebSocket. `flags`: the body to answer, and where the certificate lies."""
    body, headers = flags["body"].encode(), {"Cache-Control": "no-store"}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers=headers)

    app = web.Application()

    async def hold(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("sotto.1",), compress=False)
        await socket.prepare(request)
        await socket.send_str("{}")
        async for _ in socket:
            pass
        return socket

    app.router.add_get(PATH, answer)
    app.router.add_get("/sync", hold)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(flags["certificate"], flags["key"])
    plain = web.TCPSite(runner, "127.0.0.1", 0)
    secure = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    for site in (plain, secure):
        await site.start()
    ports = [address[1] for address in runner.addresses]
    pipe.send((ports[0], ports[1], "", ""))
    await obey(pipe)
    await runner.cleanup()


def _run(kind: str, pipe: Connection, folder: str, flags: Mapping[str, str], core: int) -> None:
    os.sched_setaffinity(0, {core})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run({"sotto": _sotto, "bare": _bare}[kind](pipe, folder, flags))


@contextlib.contextmanager
def _child(kind: str, flags: Mapping[str, str], core: int) -> Iterator[Server]:
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        child = spawn.Process(target=_run, args=(kind, theirs, folder, flags, core), daemon=True)
        child.start()
        theirs.close()
        try:
            http, https, token, authority = mine.recv()
            yield Server(child.pid or 0, http, https, token, authority, mine)
        finally:
            with contextlib.suppress(OSError):
                mine.send("stop")
            child.join(20)
            child.kill()


@contextlib.contextmanager
def sotto(flags: Mapping[str, str] | None = None, core: int = 0) -> Iterator[Server]:
    with _child("sotto", flags or {}, core) as server:
        yield server


@contextlib.contextmanager
def bare(body: str, authority: str, core: int = 0) -> Iterator[Server]:
    """Answers `body`, with the certificate that stands beside the authority's."""
    beside = Path(authority).parent
    files = {"certificate": str(beside / "server.crt"), "key": str(beside / "server.key")}
    with _child("bare", {"body": body, **files}, core) as server:
        yield server
