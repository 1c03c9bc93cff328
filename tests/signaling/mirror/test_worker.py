"""Two processes and one mirror: one writes, and the other goes on when it died."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import pytest

from signaling.compliance.audit.forward.lease import Lease
from signaling.errors import Unavailable
from signaling.mirror import worker
from signaling.mirror.database import MirrorDatabase
from signaling.mirror.inbox import Inbox, Rules
from signaling.mirror.port import Document
from signaling.mirror.worker import LEASE_SECONDS, Worker
from tests.peers.mongo.fault_proxy import FaultProxy
from tests.peers.mongo.stand_in import StandIn
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP
from tests.signaling.mirror.rig import Scene, Writer, scene


class Counting(MirrorDatabase):
    """How many documents it wrote."""

    written = 0

    async def write(self, documents: Sequence[Document]) -> None:
        await super().write(documents)
        self.written += len(documents)


@dataclass
class Process:
    database: Counting
    lease: Lease
    worker: Worker


def process(stage: Scene, name: str, *rooms: str, url: str = "") -> Process:
    ground, chat = stage.served.house.ground, stage.served.house.chat
    settings = msgspec.structs.replace(stage.settings, url=url) if url else stage.settings
    database = Counting(settings)
    stage.databases.append(database)
    lease = Lease(ground.store.meta, ground.clock, "mirror", name, LEASE_SECONDS)

    async def still() -> None:
        if not await lease.hold():
            raise Unavailable("another process writes the mirror", 1)

    absent = cast(Any, None)
    writer = Writer(stage.served.house, database)
    writer.still = still  # type: ignore[method-assign]
    writer.__post_init__()
    rules = Rules(rooms=(), authors=(), phi=False, keep_days=1.0)
    inbox = Inbox(
        APP, chat, absent, absent, database, absent, absent, absent, absent, absent, still, absent,
        rules,
    )  # fmt: skip
    made = Worker(APP, rooms, chat, database, lease, writer.follower, inbox, 0.1)
    return Process(database, lease, made)


@contextlib.asynccontextmanager
async def running(one: Process) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(one.worker.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def stage(
    embedded: Ground, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.1)
    async with scene(embedded, server) as made:
        yield made


async def becomes(stage: Scene, room: str, count: int) -> None:
    async with asyncio.timeout(120):
        while len(await stage.writer.messages(room)) < count:
            await asyncio.sleep(0.02)


async def test_one_writes_and_the_next_takes_over_when_its_lease_is_over(stage: Scene) -> None:
    room = await stage.served.room("bob")
    one, other = (process(stage, name, room) for name in ("one", "other"))
    async with running(one):
        await stage.served.ann.post(room, "m0")
        await becomes(stage, room, 1)
        async with running(other):
            for n in range(1, 20):
                await stage.served.ann.post(room, f"m{n}")
            await becomes(stage, room, 20)
            assert other.database.written == 0
            # It hangs for good, and gives nothing back.
            one.lease.hold = asyncio.Event().wait  # type: ignore[method-assign]
            await stage.served.ann.post(room, "m20")
            stage.served.house.ground.clock.advance(LEASE_SECONDS + 1)
            await becomes(stage, room, 21)
            assert other.database.written > 0
    assert await stage.writer.texts(room) == [f"m{n}" for n in range(21)]


async def test_it_waits_for_its_database_and_goes_on(stage: Scene, server: StandIn) -> None:
    room = await stage.served.room("bob")
    proxy = FaultProxy(server.port)
    await proxy.start()
    url = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true"
    async with running(process(stage, "one", room, url=url)):
        await stage.served.ann.post(room, "m0")
        await becomes(stage, room, 1)
        await proxy.stop()
        for n in range(1, 10):
            await stage.served.ann.post(room, f"m{n}")
        await asyncio.sleep(0.5)
        assert len(await stage.writer.messages(room)) == 1
        await proxy.start()
        await becomes(stage, room, 10)
    await proxy.stop()
    assert await stage.writer.texts(room) == [f"m{n}" for n in range(10)]
