"""F5: sockets that stop reading: the others do not notice, little is held for each stalled one,
and it is cut with a code that lets it resume."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp
from livekit.protocol import rtc

from tests.interop.servers import Place, Server, serving
from tests.interop.signal_driver import SignalDriver
from tests.network.faults import RUNS, p95, repeated

RESUMABLE = {1001, 1006, 1012, 1013, 1014}
# These clients bring no media: without this the server tells them to leave after a minute, with
# 1000, which a busy machine takes to get here.
PATIENT = Place(extra=("--set=signaling_times.join_timeout=900",))
# What a stalled client's kernel takes; left alone it grows to megabytes before anybody notices.
RECEIVE_BUFFER = 64 * 1024


def resident_mb(server: Server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(row for row in status.splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def talk(
    speaker: SignalDriver, readers: Sequence[SignalDriver], seconds: float
) -> list[float]:
    """Milliseconds from a metadata update to each reader's hearing of it."""
    delays: list[float] = []
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        for reader in readers:
            reader.responses.pop("update", None)
        started = time.monotonic()
        mark = f"{number}:" + "m" * 8000
        await speaker.send(update_metadata=rtc.UpdateParticipantMetadata(metadata=mark))
        await asyncio.gather(*(_hears(reader, mark) for reader in readers))
        delays.append((time.monotonic() - started) * 1000)
        await asyncio.sleep(max(0.0, 0.05 - (time.monotonic() - started)))
    return delays


async def _hears(reader: SignalDriver, mark: str) -> None:
    while True:
        update = await reader.expect("update")
        if any(p.metadata == mark for p in update.participants):
            return


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """All readers live in this process: when its collector runs, each of them waits for 100 ms,
    longer and longer, whatever the server does."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def stall(driver: SignalDriver) -> None:
    """Stop reading, as a frozen tab does: the kernel's buffers fill, then the server's."""
    assert driver.reader is not None
    driver.reader.cancel()
    connection = driver.socket._response.connection
    assert connection is not None and connection.transport is not None
    kernel = connection.transport.get_extra_info("socket")
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    connection.transport.pause_reading()


async def cut_code(driver: SignalDriver) -> int:
    """Read on: what was queued, then the code of the server's close frame, 1006 when none came.

    `close_code` would not do: aiohttp gives 1000 for an end of the stream without a close frame.
    """
    with contextlib.suppress(asyncio.CancelledError):
        assert driver.reader is not None
        await driver.reader
    connection = driver.socket._response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.resume_reading()
    async with asyncio.timeout(20):
        while not driver.socket.closed:
            message = await driver.socket.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                return int(message.data)
    return int(aiohttp.WSCloseCode.ABNORMAL_CLOSURE)


async def one_stall(folder: Path, seconds: float, readers: int, stalled: int) -> float:
    """Milliseconds that the others' p95 grew by beyond a tenth."""
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(serving(folder / "server", PATIENT))
        everybody = []
        for number in range(readers):
            driver = SignalDriver(server, "stall", f"p{number}", canUpdateOwnMetadata=True)
            everybody.append(await stack.enter_async_context(driver))
            await driver.connect()
        speaker, slow, quick = everybody[0], everybody[1 : 1 + stalled], everybody[1 + stalled :]
        with uncollected():
            calm = p95(await talk(speaker, quick, max(4.0, seconds / 2)))
            before = resident_mb(server)
            for driver in slow:
                stall(driver)
            busy = p95(await talk(speaker, quick, seconds))
            held = (resident_mb(server) - before) / stalled
        codes = {await cut_code(driver) for driver in slow}
        print(f"F5: p95 {calm:.1f} ms calm, {busy:.1f} ms busy, {held:.2f} MB for each, {codes}")
        assert held <= 2
        assert codes <= RESUMABLE, codes
        return busy - 1.1 * calm


@RUNS
async def test_stalled_readers_cost_the_others_nothing(tmp_path: Path, runs: int) -> None:
    seconds, readers, stalled = (18, 24, 4) if runs == 1 else (60, 200, 20)
    # 10 % of a few milliseconds is noise on shared cores; so some are allowed.
    await repeated(
        "F5 p95 grown by more than a tenth, ms",
        runs,
        tmp_path,
        10.0,
        lambda folder, _: one_stall(folder, seconds, readers, stalled),
    )
