"""Redis Sentinel: the leader is killed, another takes over, and the nodes find it by themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from signaling.bus.open import open_bus
from signaling.bus.port import Bus, Reach
from signaling.config.store import Bus as Settings
from signaling.config.store_rules import check_bus
from signaling.secret import Secret
from tests.peers.redis_server import USER, WORD
from tests.peers.redis_trio import Trio


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Trio]:
    with Trio.running(tmp_path) as made:
        yield made


async def told(sender: Bus, receiver: Bus, text: bytes, seconds: float) -> bool:
    """Said again and again, as everything on the bus is only a hint."""
    heard = asyncio.Event()

    def hear(payload: bytes) -> None:
        if payload == text:
            heard.set()

    subscription = receiver.subscribe("topic", hear)
    try:
        async with asyncio.timeout(seconds):
            while not heard.is_set():
                if sender.state().reach is Reach.SHARED:
                    await sender.publish("topic", text)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), 0.2)
        return True
    except TimeoutError:
        return False
    finally:
        subscription.close()


async def test_c24_the_bus_follows_the_leader_that_sentinels_name(trio: Trio) -> None:
    nodes = [await open_bus(trio.settings()) for _ in range(2)]
    try:
        assert await told(nodes[0], nodes[1], b"before", 60)
        await trio.acquainted()
        trio.kill(trio.servers[0])
        # A sentinel that is away as well is passed over.
        trio.kill(trio.sentinels[0])
        assert await told(nodes[0], nodes[1], b"after", 120)
        assert await told(nodes[1], nodes[0], b"and back", 60)
        # The old leader comes back as a follower: nobody goes over to it.
        trio.server(trio.servers[0])
        assert await told(nodes[0], nodes[1], b"still", 60)
    finally:
        for node in nodes:
            await node.close()


@pytest.mark.parametrize(
    ("url", "sentinels"),
    [
        ("redis://127.0.0.1:6379/0", ("localhost:26379",)),
        ("rediss://leader/0", ("localhost",)),
        ("rediss://leader/0", (":26379",)),
        ("rediss://leader/0", ("localhost:0",)),
        ("rediss://leader/0", ("localhost:x",)),
    ],
)
def test_sentinels_that_cannot_be_are_refused(url: str, sentinels: tuple[str, ...]) -> None:
    settings = Settings(url=url, sentinels=sentinels, user=USER, password=Secret(WORD))
    assert any(error.path == "bus.sentinels" for error in check_bus(settings))
