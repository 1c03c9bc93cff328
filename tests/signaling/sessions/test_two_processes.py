"""Two processes, one store, one real Redis: what ends in one has ended in the other in a second.

The store is the MongoDB stand-in, since an embedded one belongs to one process. What comes by Redis
is shown where the other process reads the log of revocations every ten minutes; with Redis stopped
the same second holds, by that log.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from signaling.accounts.sessions.revocation import POLL_SECONDS
from signaling.accounts.sessions.service import changed
from signaling.accounts.signin import SignedIn
from tests.peers.mongo.stand_in import StandIn
from tests.peers.redis_server import RedisServer
from tests.signaling.sessions.house import ALICE, APP, account
from tests.signaling.sessions.second_process import Places, Process, main
from tests.slack import within

HELD = 20
NEVER = 600.0
"""Between two looks into the log: what arrives came over the bus."""
by_the_bus = pytest.mark.parametrize("two", [NEVER], indirect=True)


@pytest.fixture(scope="module")
def mongo() -> Iterator[StandIn]:
    server = StandIn.start()
    yield server
    server.stop()


@dataclass
class Two:
    """This process, what the other holds, and what it says."""

    here: Process
    there: Connection
    sessions: list[str]
    redis: RedisServer

    def hear(self, count: int, since: float) -> list[float]:
        """The seconds that each of `count` ends took to arrive."""
        took: list[float] = []
        while len(took) < count:
            assert self.there.poll(30), f"{len(took)} of {count} arrived"
            took.append(self.there.recv()[1] - since)
        return took


async def sign_in(here: Process, name: str) -> tuple[str, str]:
    await here.accounts.rows.create(APP, name, account(name))
    opened = await here.service.open(
        SignedIn(
            app=APP, account=name, kind=account(name).kind, roles=frozenset(), amr=("pwd",),
            mfa=False, at=time.time(), device=f"device of {name}",
        ),
        cookie=False,
    )  # fmt: skip
    assert opened.access_token is not None
    return opened.session, opened.access_token


@pytest.fixture
async def two(request: pytest.FixtureRequest, mongo: StandIn, tmp_path: Path) -> AsyncIterator[Two]:
    every: float = getattr(request, "param", POLL_SECONDS)
    (tmp_path / "redis").mkdir()
    redis = RedisServer.new(tmp_path / "redis")
    (tmp_path / "redis" / "port").write_text(str(redis.port))
    places = Places(
        f"mongodb://127.0.0.1:{mongo.port}", f"t{secrets.token_hex(6)}", str(tmp_path),
        str(tmp_path / "redis"), every,
    )  # fmt: skip
    here = Process(*await places.open("first"))
    opened = [await sign_in(here, f"{ALICE}-{number}") for number in range(HELD)]
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=main, args=(places, [token for _, token in opened], theirs))
    child.start()
    assert await asyncio.to_thread(mine.poll, 120)
    assert mine.recv()[0] == "ready"
    yield Two(here, mine, [session for session, _ in opened], redis)
    mine.send("stop")
    await asyncio.to_thread(child.join, 60)
    await here.stop()
    redis.stop()


@by_the_bus
async def test_c5_the_end_of_a_session_reaches_the_other_process_in_a_second(two: Two) -> None:
    took = []
    for session in two.sessions:
        since = time.time()
        assert await two.here.service.end_session(APP, session)
        took += await asyncio.to_thread(two.hear, 1, since)
    print(f"ends by Redis: {sorted(took)[len(took) // 2] * 1000:.1f} ms, at most {max(took):.3f} s")
    within(1, took)


@by_the_bus
async def test_7_4_2_disabling_an_account_reaches_the_other_process_in_a_second(two: Two) -> None:
    took = []
    for number in range(5):
        name = f"{ALICE}-{number}"
        await two.here.accounts.rows.change(
            APP, name, lambda view: msgspec.structs.replace(view, disabled=True)
        )
        since = time.time()
        await two.here.revocations.revoke(changed(APP, account=name))
        took += await asyncio.to_thread(two.hear, 1, since)
    within(1, took)
    assert not two.there.poll(0.3)


async def test_without_redis_the_log_is_followed_in_a_second(two: Two) -> None:
    two.redis.stop()
    took = []
    for session in two.sessions:
        since = time.time()
        assert await two.here.service.end_session(APP, session)
        took += await asyncio.to_thread(two.hear, 1, since)
    print(f"ends by the log: at most {max(took):.3f} s")
    within(1, took)
