"""Two devices of one account and two other people, while everything goes wrong (`nemesis`).

`converge` runs one seed and checks what reliability.md 2.3 asks: what was acknowledged is there,
nothing twice, each sender's order kept, seq without a gap, and two readers see the same. Stronger
than that, since everybody goes on until nothing is pending: all that was written is there.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tests.proofs.server import Api, client
from tests.sync.losses import Losses
from tests.sync.nemesis import Site, Stage, torment
from tests.sync.seats import NodeSeat, Seat, python_seat
from tests.sync.stages import Patient
from tests.sync.watched import CLIENT, SERVER, UNREAD

WRITERS = ("ana", "ana", "ben", "cy")
SYNC_SECONDS = 300.0
"""Generous: on a machine that others share."""


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
    source, began = random.Random(seed), time.monotonic()
    print(f"seed {seed}")
    first, *others = stage.sites
    await first.start()
    async with client() as http:
        room = await _begin(stage, Patient(first.there, http))
        # Not before: each makes the owner's link anew, until there is an owner.
        for site in others:
            await site.start()
        devices: list[Seat] = []
        try:
            for place, name in enumerate(WRITERS):
                kept = folder / f"{place}.db"
                site = stage.sites[place % len(stage.sites)]
                devices.append(await _device(stage, site, http, name, kept, place in typescript))
            await _run(stage, devices, room, source, count, pause)
            lost = _lost(stage.sites)
            readers = [Api(stage.sites[at].there, http) for at in (0, -1)]
            found = await _check(stage, devices, room, readers, count)
            frames = [await asyncio.to_thread(_documented, site) for site in stage.sites]
            found |= {"hints lost": lost, "frames": frames}
        finally:
            for device in devices:
                await device.stop()
    seconds = round(time.monotonic() - began)
    print(f"seed {seed}: {found} kills {stage.kills} in {seconds} s")
    return found


async def _device(
    stage: Stage, site: Site, http: Any, name: str, place: Path, typescript: bool
) -> Seat:
    url, token = f"https://localhost:{site.front.port}", stage.tokens[name]
    if typescript:
        authority = site.there.tls.authority
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
    nemesis = asyncio.create_task(torment(stage, source, done, pause))
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
        await device.synced(room, SYNC_SECONDS)
    for device in devices:  # what others wrote after one had everything
        await device.synced(room, SYNC_SECONDS)


def _lost(sites: Sequence[Site]) -> list[int]:
    """Hints that the bus of each dropped. Each process that a site had must have had that bus; a
    site that was down for most of a short run may have lost none.
    """
    found = [Losses.of(site.counts) for site in sites]
    for site, losses in zip(sites, found, strict=True):
        assert losses.processes == site.starts, "a server ran without the LossyBus"
    assert any(losses.dropped for losses in found), found
    assert any(losses.repeated for losses in found), found
    return [losses.dropped for losses in found]


def _documented(site: Site) -> int:
    """How many frames it had, all of them as its document says."""
    trust = ssl.create_default_context(cafile=str(site.there.tls.authority))
    counts = site.watched.check_served(site.there.url, trust)
    assert counts[CLIENT] and counts[SERVER], counts
    assert not counts[UNREAD], "a client sent what cannot be read"
    return counts.total()


async def _check(
    stage: Stage, devices: list[Seat], room: str, readers: list[Api], count: int
) -> dict[str, Any]:
    history = await _history(readers[0], room, stage.tokens["ben"])
    assert history == await _history(readers[1], room, stage.tokens["cy"]), "two readers differ"
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
        # A server that forgot what it had acknowledged, and was told it again, shows here alone.
        assert not found.resets, "a device had to begin anew"
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
