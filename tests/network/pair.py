"""Two processes of one installation: one store, one bus, and a client that hears what passes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from signaling.config.store import Bus
from tests.peers.mongo.stand_in import StandIn
from tests.peers.redis_server import WORD
from tests.rows.conftest import on_mongo
from tests.rows.house import House, Visit, visiting
from tests.sync.test_transient_processes import houses


@contextlib.asynccontextmanager
async def two_processes(folder: Path, bus: Bus) -> AsyncIterator[tuple[Visit, Visit]]:
    """With an owner."""
    mongo = await asyncio.to_thread(StandIn.start)
    settings = on_mongo(mongo) | {
        "bus.url": bus.url, "bus.sentinels": ",".join(bus.sentinels), "bus.user": bus.user,
        "bus.ca": bus.ca, "bus.certificate": bus.certificate, "bus.key": bus.key,
    }  # fmt: skip
    pair = houses(folder, settings)
    assert all(house.environment["SOTTO_BUS__PASSWORD"] == WORD for house in pair)
    try:
        await asyncio.to_thread(_started, pair)
        async with visiting(pair[0]) as one, visiting(pair[1]) as other:
            yield one, other
    finally:
        for house in pair:
            await asyncio.to_thread(house.stop)
        await asyncio.to_thread(mongo.stop)


def _started(pair: tuple[House, House]) -> None:
    """The first alone, until there is an owner: each makes the owner's link anew before."""
    one, other = pair
    one.start().setup()
    other.start()
