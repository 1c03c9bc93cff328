"""What everything stands on in a run, and what goes wrong with it: killed, cut off, stopped, put
60 s ahead, all drawn from the seed of the run.

One thing goes wrong at a time, each kind at least once. Driven by `convergence` and `contests`.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.peers.redis_server import RedisServer
from tests.proofs.server import Installation
from tests.rows.house import move
from tests.sync.relay import Relay
from tests.sync.watched import Watched

AHEAD = 60
"""Seconds that a server's clock is put ahead."""


@dataclass
class Site:
    """One process of the server, and the relay in front of it, whose port stays. What its bus
    loses is counted below `counts`; its frames are `watched`; `clock` says how far its time of day
    is off."""

    there: Installation
    counts: Path
    watched: Watched
    clock: Path
    front: Relay = field(default_factory=lambda: Relay(0))
    starts: int = 0
    ahead: bool = False

    async def start(self) -> None:
        self.there.start()
        self.starts += 1
        await self.there.ready()
        self.front.target = self.there.facts["https"]

    def turn_clock(self) -> None:
        """60 s ahead, or back. A process that is started meanwhile is ahead as well."""
        self.ahead = not self.ahead
        move(self.clock, AHEAD if self.ahead else 0)

    def send(self, number: int) -> None:
        assert self.there.process is not None
        self.there.process.send_signal(number)


@dataclass
class Stage:
    """What a run stands on. `mongo` is the relay to the store, where that is elsewhere; `stopped`:
    for how many seconds a process stands still."""

    sites: list[Site]
    redis: RedisServer
    mongo: Relay | None = None
    stopped: float = 10.0
    kills: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)


Act = tuple[str, Callable[[], Awaitable[None]]]


def _acts(stage: Stage, source: random.Random) -> list[Act]:
    """Everything that can go wrong; connections more often than the rest, and clocks there and
    back."""
    acts: list[Act] = [("redis", partial(_restart, stage.redis, source))]
    for site in stage.sites:
        acts += [("connections", partial(_cut, site.front))] * 2
        acts += [("clock", partial(_turn, site))] * 2
        acts.append(("server", partial(_kill_server, site)))
        acts.append(("stopped", partial(_stop, site, stage.stopped)))
    if stage.mongo is not None:
        acts.append(("mongo link", partial(_close, stage.mongo, source)))
    return acts


async def torment(stage: Stage, source: random.Random, done: asyncio.Event, pause: float) -> None:
    """Something goes wrong every now and then, until `done`, and until each kind came; the clocks
    are right at the end."""
    acts = _acts(stage, source)
    turns: list[Act] = []
    while not done.is_set() or len(stage.kills) < len({name for name, _ in acts}):
        await asyncio.sleep(source.uniform(0.3, 2.0) * pause)
        if not turns:
            turns = source.sample(acts, len(acts))  # each kind comes, in any order
        name, act = turns.pop()
        stage.kills[name] = stage.kills.get(name, 0) + 1
        await act()
    for site in stage.sites:
        if site.ahead:
            site.turn_clock()


async def _cut(relay: Relay) -> None:
    relay.cut()


async def _close(relay: Relay, source: random.Random) -> None:
    relay.closed = True
    relay.cut()
    await asyncio.sleep(source.uniform(0.1, 1.5))
    relay.closed = False


async def _kill_server(site: Site) -> None:
    site.front.closed = True  # another program may have its port before it is back
    await site.there.kill()
    await site.start()
    site.front.closed = False


async def _stop(site: Site, seconds: float) -> None:
    """It stands still, and does not know that it did."""
    site.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        site.send(signal.SIGCONT)


async def _turn(site: Site) -> None:
    site.turn_clock()


async def _restart(redis: RedisServer, source: random.Random) -> None:
    await asyncio.to_thread(redis.stop)
    await asyncio.sleep(source.uniform(0.1, 1.0))
    await asyncio.to_thread(redis.start)
