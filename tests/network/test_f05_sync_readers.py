"""F5 on the sync socket: devices that stop reading. The others do not notice, little is held for
each stalled one, and it is cut in a way that lets it resume where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

from signaling.sync.errors import Close
from sotto_client import Backoff, Client, Local
from sotto_client.replica import Frame
from tests.network.faults import RUNS, repeated
from tests.network.test_f05_stalled_reader import RECEIVE_BUFFER, uncollected
from tests.rows.house import House, Visit
from tests.rows.rightful import Person, people
from tests.signaling.delivery.served import living

CUT_SECONDS = 30.0
"""Ten of silence, once all that lies between has filled."""
TEXT = "m" * 7000
REMEMBERED = 700
"""Messages after which a room takes no more memory: a process keeps the newest 512 of each."""


class Reader(Client):
    """Notes when each message came."""

    def __init__(self, there: Visit, who: Person) -> None:
        async def token() -> str:
            return who.token

        backoff = Backoff(lambda: 0.5, first=0.2)
        super().__init__(
            there.house.url, Local(":memory:"), token, http=there.client, backoff=backoff
        )
        self.came: dict[str, float] = {}
        self.ended = 0.0
        """When its socket was over, to it."""

    async def _hear(self, frame: Frame) -> None:
        for change in frame.get("changes", ()):
            text = (change.get("op", {}).get("body") or {}).get("text", "")
            self.came.setdefault(text[:12], time.monotonic())
        await super()._hear(frame)

    def stall(self) -> None:
        """Stops reading, as a frozen tab does: the kernel's buffers fill, then the server's."""
        transport = self._transport()
        kernel = transport.get_extra_info("socket")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        transport.pause_reading()

    def go_on(self) -> None:
        with contextlib.suppress(AssertionError, RuntimeError):  # it noticed by itself
            self._transport().resume_reading()

    def _transport(self) -> asyncio.Transport:
        assert self._socket is not None
        connection = self._socket._response.connection
        assert connection is not None and isinstance(connection.transport, asyncio.Transport)
        return connection.transport


def resident_mb(house: House) -> float:
    assert house.process is not None
    status = Path(f"/proc/{house.process.pid}/status").read_text()
    line = next(row for row in status.splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def talk(
    speaker: Person, room: str, readers: list[Reader], seconds: float, label: str
) -> list[float]:
    """Twenty messages a second; milliseconds from each one's request to each reader's having it."""
    end, number = time.monotonic() + seconds, 0
    sent: dict[str, float] = {}
    while (began := time.monotonic()) < end:
        mark = f"{label}{number:>11}"[:12]
        sent[mark] = began
        await speaker.post(room, mark + TEXT)
        number += 1
        await asyncio.sleep(max(0.0, 0.05 - (time.monotonic() - began)))
    for reader in readers:
        await reader.wait(lambda reader=reader: mark in reader.came, 30)  # type: ignore[misc]
    return [(reader.came[m] - at) * 1000 for m, at in sent.items() for reader in readers]


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


async def one_stall(folder: Path, seconds: float, readers: int, stalled: int) -> float:
    """Milliseconds that the others' p99 grew by beyond a tenth."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    # Nobody is cut for the ping that it did not answer: only for what it does not read.
    settings = {"sync.sockets_per_account": "1000", "sync.ping_seconds": "300"}
    async with living(House(folder, settings)) as there, contextlib.AsyncExitStack() as stack:
        ann, bob = await people(there, 2)
        room, (auditor, _) = await ann.room(bob), await there.joined("auditor")
        everybody = [Reader(there, bob) for _ in range(readers)]
        for reader in everybody:
            await stack.enter_async_context(reader)
            await reader.room(room).synced(60)
        slow, quick = everybody[:stalled], everybody[stalled:]
        with uncollected():
            for number in range(REMEMBERED):
                await ann.post(room, f"{number}" + TEXT)
            calm = p99(await talk(ann, room, quick, max(6.0, seconds / 2), "c"))
            before = resident_mb(there.house)
            for reader in slow:
                reader.stall()
            busy = p99(await talk(ann, room, quick, seconds, "b"))
            held = (resident_mb(there.house) - before) / stalled
        codes = await cut(there, auditor, stalled)
        for reader in slow:
            reader.go_on()
        for reader in (*slow, *quick):
            await reader.room(room).synced(120)
        print(f"F5: p99 {calm:.1f} ms calm, {busy:.1f} ms busy, {held:.2f} MB for each, {codes}")
        assert held <= 2
        assert codes == {str(int(Close.TRY_LATER))}, "what it was cut with says: come again"
        for reader in everybody:
            assert not reader.room(room).replica.resets and not reader.trouble, "it began anew"
            assert reader.room(room).view() == quick[0].room(room).view()
        assert {reader.connections for reader in quick} == {1}
        assert {reader.connections for reader in slow} == {2}
        return busy - 1.1 * calm


async def cut(there: Visit, auditor: str, stalled: int) -> set[str]:
    """With what the server ended as many sockets as stalled, while they still did."""
    found = await there.recorded(auditor, "sync.close", "allowed", count=stalled)
    assert len(found) == stalled, "another one was cut"
    return {one["details"]["close_code"] for one in found}


@RUNS
async def test_f05_stalled_devices_cost_the_others_nothing(tmp_path: Path, runs: int) -> None:
    seconds, readers, stalled = (CUT_SECONDS, 24, 4) if runs == 1 else (60.0, 100, 10)
    # 10 % of some milliseconds is noise on shared cores; so some are allowed.
    await repeated(
        "F5 p99 on the sync socket grown by more than a tenth, ms",
        runs,
        tmp_path,
        30.0,
        lambda folder, _: one_stall(folder, seconds, readers, stalled),
    )
