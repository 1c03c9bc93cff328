"""200 people sign in at once, at the full cost of a hash, and nobody's socket notices."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from signaling.accounts.passwords.hashing import Cost, HashPool, workers_for
from signaling.accounts.signin import State
from tests.signaling.accounts.rig import Rig

PEOPLE = 200
PING_P99 = 0.05


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def pings(url: str, taken: list[float], end: asyncio.Event) -> None:
    async with aiohttp.ClientSession() as client, client.ws_connect(url) as socket:
        while not end.is_set():
            before = time.perf_counter()
            await socket.send_str("ping")
            await socket.receive()
            taken.append(time.perf_counter() - before)
            await asyncio.sleep(0.02)


@pytest.mark.long
@pytest.mark.part("media")
async def test_two_hundred_sign_ins_do_not_stall_a_socket(tmp_path: Path) -> None:
    rig = await Rig(tmp_path).start()
    rig.hashes.close()
    rig.hashes = HashPool(Cost(), rig.entropy, workers_for(os.cpu_count()), waiting=PEOPLE)
    rig.change(tries_per_address=10 * PEOPLE)
    app = web.Application()
    app.router.add_get("/", echo)
    server = TestServer(app)
    await server.start_server()
    taken: list[float] = []
    end = asyncio.Event()
    try:
        for n in range(4):
            await rig.invited(f"user{n}")
        pinging = asyncio.create_task(pings(str(server.make_url("/")), taken, end))
        before = time.perf_counter()
        attempts = (rig.sign_in(f"user{n % 4}" if n < 4 else f"nobody{n}") for n in range(PEOPLE))
        done = await asyncio.gather(*attempts, return_exceptions=True)
        whole = time.perf_counter() - before
        end.set()
        await pinging
    finally:
        await server.close()
        await rig.close()
    signed = [one for one in done if not isinstance(one, BaseException)]
    assert [one.state for one in signed] == [State.DONE] * 4
    p99 = sorted(taken)[int(len(taken) * 0.99)]
    print(f"{PEOPLE} sign-ins in {whole:.1f} s, {len(taken)} pings, p99 {p99 * 1000:.1f} ms")
    assert p99 < PING_P99
