"""The mirrors' servers of row A25 and a house with a mirror: fixtures of its test files.

A stand-in with change streams, one without, and FerretDB; `SOTTO_TEST_MONGODB` adds a real one.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from signaling.config.store import Store as Settings
from tests.peers.ferretdb.server import FerretDb
from tests.peers.mongo.stand_in import StandIn
from tests.rows.house import House, standing, visiting
from tests.rows.mirrored import Mirrored, alone, mirrored, real

REAL = "SOTTO_TEST_MONGODB" in os.environ
SERVERS = ["streams", "polled", "ferretdb", *(["mongodb"] if REAL else [])]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Settings]]:
    """Each starts when it is first asked for."""
    running: dict[str, Any] = {}

    def get(name: str) -> Settings:
        if name == "mongodb":
            return real()
        if name not in running:
            if name == "ferretdb":
                running[name] = FerretDb.start(tmp_path_factory.mktemp("ferretdb"))
            else:
                running[name] = StandIn.start(*(["oplog"] if name == "streams" else []))
        server = running[name]
        return server.settings() if isinstance(server, FerretDb) else alone(server.port)

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture(scope="module")
def mirroring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(House(tmp_path_factory.mktemp("mirror"))) as house:
        yield house


@pytest.fixture
async def at(mirroring: House, servers: Callable[[str], Settings]) -> AsyncIterator[Mirrored]:
    name = "mongodb" if REAL else "streams"
    async with visiting(mirroring) as there, mirrored(there, servers(name)) as made:
        yield made


def port_of(settings: Settings) -> int:
    return int(settings.url.rpartition(":")[2].partition("/")[0])
