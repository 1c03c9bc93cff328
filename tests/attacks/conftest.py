"""Fixtures of the attack tests: a server of their own, and a call that must notice nothing."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.attacks.bystanders import Bystanders
from tests.interop import clients, scenario
from tests.interop.peer import running
from tests.interop.servers import Server, serving

_rooms = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running_server:
        yield running_server


@pytest.fixture
def room() -> str:
    return f"attacked-{next(_rooms)}"


@pytest.fixture
async def bystanders(server: Server, tmp_path: Path) -> AsyncIterator[Bystanders]:
    """Two clients in another call; leaving the fixture, they have lost under 0.1 %."""
    starting = [clients.start("libwebrtc", tmp_path, name=n) for n in ("ann", "ben")]
    async with contextlib.AsyncExitStack() as stack:
        ann, ben = await stack.enter_async_context(running(*starting))
        await scenario.join_all(server, f"quiet-{next(_rooms)}", [ann, ben])
        await ann.do("publish", kind="audio")
        await ann.do("publish", kind="video")
        await scenario.hears_and_sees(ben)
        yield Bystanders(server, ben)
