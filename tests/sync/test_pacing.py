"""No client sends more than the server said that it takes: rate and burst of frames, changes that
wait. Whoever writes faster loses no socket (error 104) and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sotto_client.outbox import Outbox
from tests.signaling.files.rig import There
from tests.sync.house import device, room_of, served
from tests.sync.test_typescript_client import node

RATE, BURST = 10, 10


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[There]:
    """Takes few frames."""
    limits = {"sync__messages_per_second": str(RATE), "sync__messages_burst": str(BURST)}
    async with served(tmp_path, **limits) as made:
        yield made


def upload(session: int, *versions: int) -> dict[str, Any]:
    op = {"type": "post", "id": "x", "body": {"format": "m.plain.v1", "text": "tea"}}
    changes = [{"version": version, "clock": version, "op": op} for version in versions]
    return {"type": "upload", "session": session, "changes": changes}


def left(outbox: Outbox) -> list[dict[str, Any]]:
    return [outbox.take() for _ in range(len(outbox))]


def test_frames_leave_below_the_servers_rate_and_burst() -> None:
    outbox, now, sent = Outbox(RATE, BURST, 0.0), 0.0, list[float]()
    for number in range(100):
        outbox.put({"type": "mark", "session": 1, "request": number})
    while outbox:
        now += (seconds := outbox.wait(now))
        if not seconds:
            outbox.take()
            sent.append(now)
    for begin, first in enumerate(sent):
        for end in range(begin, len(sent)):
            taken = end - begin + 1
            assert taken <= BURST + RATE * (sent[end] - first) + 1e-6, (begin, end)
    assert sent[-1] < 100 / RATE / 0.7


def test_a_burst_of_one_is_still_one() -> None:
    outbox = Outbox(1, 1, 0.0)
    outbox.put({"type": "mark", "session": 1, "request": 1})
    assert outbox.wait(0.0) == 0


def test_uploads_that_wait_together_leave_together() -> None:
    outbox = Outbox(RATE, BURST, 0.0)
    mark = {"type": "mark", "session": 1, "request": 1}
    for frame in (upload(1, 1), upload(1, 2), mark, upload(1, 3), upload(2, 1)):
        outbox.put(frame)
    assert left(outbox) == [upload(1, 1, 2), mark, upload(1, 3), upload(2, 1)]
    for version in range(1, 1201):
        outbox.put(upload(1, version))
    frames = left(outbox)
    assert max(len(str(frame)) for frame in frames) < 65_536
    versions = [change["version"] for frame in frames for change in frame["changes"]]
    assert versions == list(range(1, 1201))


async def test_a_steady_stream_keeps_its_socket_with_the_python_client(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    http, url = there.house.client, there.house.http
    async with device(http, url, there.ana) as ana:
        await ana.room(room).synced()
        for number in range(300):
            ana.room(room).post(f"m{number}")
            await asyncio.sleep(0.001)
        await ana.room(room).synced(180)
        assert ana.connections == 1, ana.log.read()
        assert not [line for line in ana.log.read("warning") if "error" in line]
        texts = [getattr(m.body, "text", "") for m in ana.room(room).messages()]
        assert texts == [f"m{number}" for number in range(300)]


async def test_a_steady_stream_keeps_its_socket_with_the_typescript_client(there: There) -> None:
    room = await room_of(there.ana, there.bob)
    async with node(there, there.ana) as ana:
        await ana.start(room)
        await ana.synced(room, 180)
        for number in range(300):
            await ana.post(room, f"m{number}")
        await ana.synced(room, 180)
        found = await ana.seen(room)
        assert found.texts == [f"m{number}" for number in range(300)]
        assert found.connections == 1, await ana.ask("log")


async def test_a_long_absence_is_made_good_over_one_socket(tmp_path: Path) -> None:
    """More than the server holds of a session before its store has them."""
    async with served(tmp_path) as there:
        room = await room_of(there.ana, there.bob)
        ana = device(there.house.client, there.house.http, there.ana)
        for number in range(6000):
            ana.room(room).post(f"m{number}")
        async with ana:
            await ana.room(room).synced(240)
            assert ana.connections == 1, ana.log.read()
            assert not [line for line in ana.log.read("warning") if "error" in line]
            found = ana.room(room).replica.entries()
            posts = [
                entry["op"]["body"]["text"] for entry in found if entry["op"]["type"] == "post"
            ]
            assert posts == [f"m{number}" for number in range(6000)]
