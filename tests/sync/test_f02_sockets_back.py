"""F2: the process dies and its supervisor starts it again; the sockets are back within 2 s (p95).

What is lost or doubled meanwhile: `test_convergence.py` and `tests/proofs/test_kills.py`. Here
everybody asks again at once and without a pause, as nobody's client does, so that what is measured
is the server. How long a start takes is the machine's, and tests share it: what they hold is that
everybody is back soon after the first; the whole is printed, and stands in faults.md.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.ports import free_port
from tests.rows.house import ROOT, House, Visit
from tests.signaling.delivery.served import kill, living
from tests.signaling.storage.conftest import stand_in
from tests.signaling.storage.places import fresh_database

__all__ = ["stand_in"]

PROMISED = 2.0
SOCKETS, ACCOUNTS, KILLS = 40, 8, 5
AGAIN = 0.05
MISSED = (aiohttp.ClientError, OSError, TypeError)


def pause() -> float:
    """What the supervisor waits before it starts a process again, by the unit that is shipped."""
    unit = (ROOT / "deploy" / "sotto.service").read_text()
    (found,) = re.findall(r"^RestartSec=(\d+)ms$", unit, re.M)
    return int(found) / 1000


@pytest.mark.parametrize("store", ["sqlite", "mongodb"])
async def test_f02_sockets_are_back_after_a_kill(
    store: str, tmp_path: Path, stand_in: Callable[[], int]
) -> None:
    settings = {"http.listen": f"127.0.0.1:{free_port()}"}
    if store == "mongodb":
        settings |= {
            "store.url": f"mongodb://127.0.0.1:{stand_in()}/?directConnection=true",
            "store.database": fresh_database(), "store.insecure_without_auth": "true",
        }  # fmt: skip
    house = House(tmp_path, settings)
    firsts: list[float] = []
    waits: list[float] = []
    async with living(house) as there:
        tokens = [(await there.joined())[0] for _ in range(ACCOUNTS)] * (SOCKETS // ACCOUNTS)
        sockets = await asyncio.gather(*(hello(there, token) for token in tokens))
        for _ in range(KILLS):
            await asyncio.to_thread(kill, house)
            gone = time.monotonic()
            coming = [asyncio.create_task(hello(there, token)) for token in tokens]
            for socket in sockets:
                await socket.close()
            await asyncio.sleep(gone + pause() - time.monotonic())
            house.launch()
            found = []
            for one in asyncio.as_completed(coming):
                await one
                found.append(time.monotonic() - gone)
            sockets = [task.result() for task in coming]
            firsts.append(found[0])
            waits += [wait - found[0] for wait in found]
        for socket in sockets:
            await socket.close()
    soon = statistics.quantiles(waits, n=20)[-1]
    print(
        f"F2 on {store}: the first is back after {statistics.median(firsts):.2f} s "
        f"({max(firsts):.2f}), p95 {soon:.2f} s later; promised {PROMISED} in all"
    )
    assert soon <= PROMISED


async def hello(there: Visit, token: str) -> aiohttp.ClientWebSocketResponse:
    """A socket of somebody who asks until somebody answers."""
    headers = {"Authorization": f"Bearer {token}"}
    async with asyncio.timeout(120):
        while True:
            try:
                socket = await there.client.ws_connect(
                    there.house.url + "/sync", headers=headers, protocols=("sotto.1",)
                )
                assert (await socket.receive_json(timeout=30))["type"] == "hello"
            except MISSED:
                await asyncio.sleep(AGAIN)
                continue
            return socket
