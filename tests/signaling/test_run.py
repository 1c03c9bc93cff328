"""Starting and ending: a drain waits for calls within its bound; a second signal does not wait."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from livekit.protocol import models

from signaling.run import Stopper, run
from signaling.service import notify, watchdog_interval
from tests.signaling.house import Running, serving
from tests.slack import SLACK


async def join(house: Running, room: str, who: str) -> str:
    return f"{house.http}/rtc?access_token={house.token(room, who)}&protocol=15"


async def test_a_drain_waits_for_the_last_call(tmp_path: Path) -> None:
    async with serving(tmp_path, {"process.drain_seconds": "20"}) as house:
        async with house.client.ws_connect(await join(house, "plan", "ann")) as socket:
            await socket.receive(timeout=30)
            draining = asyncio.create_task(house.app.drain())
            await asyncio.sleep(0.3)
            assert not draining.done()
            # The open room lets people in, a new one does not open.
            async with house.client.ws_connect(await join(house, "plan", "bob")) as other:
                await other.receive(timeout=30)
            headers = {"Authorization": f"Bearer {house.token('new', 'eve')}"}
            async with house.client.post(
                house.http + "/whip/new",
                data=b"v=0",
                headers={**headers, "Content-Type": "application/sdp"},
            ) as answer:
                assert answer.status == 503
                assert answer.headers["Retry-After"] == "5"
            assert not draining.done()
        for room in house.app._rooms.all():
            for participant in room.participants():
                participant.leave(models.DisconnectReason.CLIENT_INITIATED)
        await asyncio.wait_for(draining, 30)


async def test_a_drain_has_a_bound(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, {"process.drain_seconds": "0.4"}) as house,
        house.client.ws_connect(await join(house, "plan", "ann")) as socket,
    ):
        await socket.receive(timeout=30)
        began = time.monotonic()
        await house.app.drain()
        assert 0.3 < time.monotonic() - began < 0.4 + SLACK


class Slow:
    """An app whose drain takes for ever."""

    def __init__(self, start: float = 0.0) -> None:
        self.log: list[str] = []
        self._start = start

    async def start(self) -> None:
        await asyncio.sleep(self._start)
        self.log.append("start")

    async def drain(self) -> None:
        self.log.append("drain")
        await asyncio.sleep(600)

    async def stop(self) -> None:
        self.log.append("stop")

    def reload(self) -> None:
        self.log.append("reload")


async def test_the_second_signal_does_not_wait() -> None:
    app = Slow()
    stopper = Stopper(lambda: app.log.append("left"))
    ready = asyncio.Event()
    running = asyncio.create_task(run(app, lambda _: ready.set(), stopper))  # type: ignore[arg-type]
    await asyncio.wait_for(ready.wait(), 30)
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0.1)
    assert app.log == ["start", "reload", "drain"]
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 30)
    assert app.log == ["start", "reload", "drain", "stop"]
    await asyncio.wait_for(_until(lambda: app.log[-1] == "left"), 30)


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.05)


async def test_a_signal_while_starting_stops() -> None:
    app, stopper = Slow(start=600), Stopper()
    running = asyncio.create_task(run(app, lambda _: None, stopper))  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    stopper.hit()
    await asyncio.wait_for(running, 30)
    assert app.log == ["stop"]


async def test_a_failed_start_leaves_nothing_open(tmp_path: Path) -> None:
    async with serving(tmp_path / "one") as house:
        port = house.app.facts()["operator"]
        with pytest.raises(Exception, match=r"operator\.listen"):
            async with serving(tmp_path / "two", {"operator.listen": f"127.0.0.1:{port}"}):
                pass


def test_nobody_asked_for_a_notice() -> None:
    assert not notify("READY=1", {})
    assert watchdog_interval({}) is None
    assert watchdog_interval({"WATCHDOG_USEC": "4000000"}) == 2.0
    assert watchdog_interval({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}) is None


@pytest.fixture(autouse=True)
async def signals_as_before() -> object:
    loop = asyncio.get_running_loop()
    yield
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with contextlib.suppress(ValueError, RuntimeError):
            loop.remove_signal_handler(number)
