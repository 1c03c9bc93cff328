"""Two devices of one account and two other people, while everything is killed at random.

`converge` runs one seed and checks what `reliability` asks: what was acknowledged is there, nothing
twice, each sender's order kept, seq without a gap, and two readers see the same.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peers.redis_server import RedisServer
from tests.proofs.server import ROOT, Api, Installation, client
from tests.sync.relay import Relay
from tests.sync.seats import NodeSeat, Seat, python_seat

WRITERS = ("ana", "ana", "ben", "cy")


@dataclass
class Stage:
    """What a run stands on. `mongo` is the relay to the store, where that is elsewhere."""

    there: Installation
    front: Relay
    mongo: Relay | None = None
    redis: RedisServer | None = None
    kills: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)


def lossy(seed: int) -> Mapping[str, str]:
    """The environment of a server whose bus is the LossyBus."""
    site = Path(__file__).with_name("lossy_site")
    return {
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}" if _is_checkout() else str(site),
        "SOTTO_TEST_LOSSY": str(seed),
        "SOTTO_TEST_ROOT": str(ROOT),
    }


def _is_checkout() -> bool:
    from tests.command import INSTALLED

    return not INSTALLED.exists()


async def _begin(stage: Stage, api: Api) -> str:
    """Accounts and a room; the room's id."""
    owner = await api.owner()
    ids = stage.accounts
    for name in dict.fromkeys(WRITERS):
        made = await api.invited(owner, f"some.{name}", "member")
        stage.tokens[name] = made["access_token"]
        ids[name] = (await api.must("GET", "/account", None, made["access_token"]))["id"]
    members = [ids[name] for name in ("ben", "cy")]
    body = {"kind": "group", "name": "Tea", "members": members}
    room = await api.must("POST", "/rooms", body, stage.tokens["ana"])
    return str(room["id"])


async def _nemesis(stage: Stage, source: random.Random, done: asyncio.Event, pause: float) -> None:
    """Something dies every now and then, until everybody has written and each thing died once."""
    acts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("connections", lambda: _cut(stage.front)),
        ("connections", lambda: _cut(stage.front)),
        ("server", lambda: _kill_server(stage)),
    ]
    if stage.mongo is not None:
        link = stage.mongo
        acts.append(("mongo link", lambda: _close_for(link, source.uniform(0.1, 1.5))))
    if stage.redis is not None:
        redis = stage.redis
        acts.append(("redis", lambda: _restart(redis, source.uniform(0.1, 1.0))))
    turns: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    while not done.is_set() or len(stage.kills) < len({name for name, _ in acts}):
        await asyncio.sleep(source.uniform(0.3, 2.0) * pause)
        if not turns:
            turns = source.sample(acts, len(acts))  # each kind comes, in any order
        name, act = turns.pop()
        stage.kills[name] = stage.kills.get(name, 0) + 1
        await act()


async def _cut(relay: Relay) -> None:
    relay.cut()


async def _close_for(relay: Relay, seconds: float) -> None:
    relay.closed = True
    relay.cut()
    await asyncio.sleep(seconds)
    relay.closed = False


async def _kill_server(stage: Stage) -> None:
    await stage.there.kill()
    stage.there.start()
    await stage.there.ready()
    stage.front.target = stage.there.facts["https"]


async def _restart(redis: RedisServer, seconds: float) -> None:
    await asyncio.to_thread(redis.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(redis.start)


async def _write(device: Seat, room: str, who: str, count: int, source: random.Random) -> None:
    """At a pace that lets everything happen at least once meanwhile."""
    for number in range(count):
        await device.post(room, f"{who} {number}")
        await asyncio.sleep(source.uniform(0, max(0.04, 25 / count)))


async def converge(
    stage: Stage,
    folder: Path,
    seed: int,
    count: int,
    pause: float,
    typescript: Collection[int] = (),
) -> dict[str, Any]:
    """One run of `count` messages; `typescript` are the places of WRITERS where the TypeScript
    client sits, Python elsewhere. Raises AssertionError with what is wrong."""
    source = random.Random(seed)
    print(f"seed {seed}")
    await stage.front.start()
    stage.there.start()
    try:
        await stage.there.ready()
        stage.front.target = stage.there.facts["https"]
        async with client() as http:
            room = await _begin(stage, Api(stage.there, http))
            devices: list[Seat] = []
            try:
                for place, name in enumerate(WRITERS):
                    kept = folder / f"{place}.db"
                    device = await _device(stage, http, name, kept, place in typescript)
                    devices.append(device)
                await _run(stage, devices, room, source, count, pause)
                found = await _check(stage, devices, room, Api(stage.there, http), count)
            finally:
                for device in devices:
                    await device.stop()
        print(f"seed {seed}: {found} kills {stage.kills}")
        return found
    finally:
        await stage.there.stop()
        await stage.front.stop()


async def _device(stage: Stage, http: Any, name: str, place: Path, typescript: bool) -> Seat:
    url, token = f"https://localhost:{stage.front.port}", stage.tokens[name]
    if typescript:
        authority = stage.there.tls.authority
        return await NodeSeat.open(url, token, stage.accounts[name], authority)
    return python_seat(url, token, place, http, random.Random(name).random)


async def _run(
    stage: Stage,
    devices: list[Seat],
    room: str,
    source: random.Random,
    count: int,
    pause: float,
) -> None:
    done = asyncio.Event()
    nemesis = asyncio.create_task(_nemesis(stage, source, done, pause))
    for device in devices:
        await device.start(room)
    await asyncio.gather(
        *(
            _write(device, room, f"{name}{place}", count // 4, random.Random(source.random()))
            for place, (device, name) in enumerate(zip(devices, WRITERS, strict=True))
        )
    )
    done.set()
    await nemesis
    for device in devices:
        await device.synced(room, 120)
    for device in devices:  # what others wrote after one had everything
        await device.synced(room, 120)


async def _check(
    stage: Stage, devices: list[Seat], room: str, api: Api, count: int
) -> dict[str, Any]:
    history = await _history(api, room, stage.tokens["ben"])
    assert history == await _history(api, room, stage.tokens["cy"]), "two readers differ"
    said = [text for _, text in history]
    assert len(set(said)) == len(said), "a message is there twice"
    for place, name in enumerate(WRITERS):
        mine = [int(text.split()[1]) for text in said if text.split()[0] == f"{name}{place}"]
        assert mine == list(range(count // 4)), f"{name}{place}: lost or out of order"
    seen = [await device.seen(room) for device in devices]
    for found in seen:
        assert found.seqs == list(range(1, len(found.seqs) + 1)), "a gap in a device's log"
        assert found.view == seen[0].view, "two devices differ"
        assert not found.pending
    connections = sum(found.connections for found in seen)
    return {"messages": len(said), "connections": connections}


async def _history(api: Api, room: str, token: str) -> list[tuple[int, str]]:
    """By the public API, oldest first."""
    found: list[tuple[int, str]] = []
    path = f"/rooms/{room}/messages?limit=100"
    cursor = ""
    while True:
        page = await api.must("GET", path + (f"&cursor={cursor}" if cursor else ""), None, token)
        found += [(m["seq"], m["body"]["text"]) for m in page["items"] if m.get("body")]
        cursor = page.get("next") or page.get("next_cursor") or ""
        if not cursor:
            return found[::-1]
