"""A call in a laboratory: server and clients in namespaces, measured at the receiver."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop import clients, scenario
from tests.interop.peer import Peer, Stats, track
from tests.interop.servers import Place, Server, serving
from tests.network.netns import SERVER_ADDRESS, Lab, Site, lab

ROOM = "laboratory"


@dataclass
class Call:
    """One running call; `peers` are by the label of their site."""

    lab: Lab
    server: Server
    peers: dict[str, Peer]

    def __getitem__(self, label: str) -> Peer:
        return self.peers[label]

    def site(self, label: str) -> Site:
        return self.lab[label]

    async def join(self, label: str, **args: Any) -> Any:
        return await scenario.join(self.server, ROOM, self.peers[label], **args)

    async def publish(self, label: str, video: bool = True, **options: Any) -> None:
        await self.peers[label].do("publish", kind="audio")
        if video:
            await self.peers[label].do("publish", kind="video", **options)


@contextlib.asynccontextmanager
async def calling(
    folder: Path,
    direct: tuple[str, ...] = (),
    impaired: tuple[str, ...] = (),
    seed: int = 1,
    turn: bool = False,
    software: dict[str, str] | None = None,
    join: bool = True,
    **options: Any,
) -> AsyncIterator[Call]:
    """Start everything; every client is `libwebrtc` unless `software` says otherwise."""
    chosen = software or {}
    with lab(direct, impaired, seed) as rig:
        place = Place(SERVER_ADDRESS, rig.server.name, turn=turn)
        with serving(folder / "server", place) as server:
            labels = (*direct, *impaired)
            starting = [
                clients.start(chosen.get(label, "libwebrtc"), folder, rig[label].name, name=label)
                for label in labels
            ]
            peers = dict(zip(labels, await asyncio.gather(*starting), strict=True))
            call = Call(rig, server, peers)
            try:
                if join:
                    await asyncio.gather(*(call.join(label, **options) for label in labels))
                yield call
            finally:
                for peer in peers.values():
                    peer.kill()
                await asyncio.gather(*(peer.close() for peer in peers.values()))


async def flowing(peer: Peer, within: float = 20, video: bool = True) -> Stats:
    """Media arrives: more packets than when we began to look."""
    before = await peer.stats()

    def grows(stats: Stats) -> bool:
        audio = track(stats, "audio")["packets"] > track(before, "audio")["packets"] + 20
        frames = track(stats, "video")["frames"] > track(before, "video")["frames"] + 5
        return audio and (frames or not video)

    return await peer.until(grows, within, "media flowing")


async def hold(peer: Peer, seconds: float, check: Callable[[Stats], bool], what: str) -> None:
    """`check` stays true for that long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stats = await peer.stats()
        assert check(stats), f"{what}: {stats}"
        await asyncio.sleep(0.25)


def worst_gap(stats: Stats) -> int:
    return max(int(t["gap_ms"]) for t in stats["tracks"])


def difference(before: Stats, after: Stats, kind: str) -> dict[str, float]:
    """What one track's counters grew by."""
    old, new = track(before, kind), track(after, kind)
    return {k: v - old.get(k, 0) for k, v in new.items() if isinstance(v, int | float)}


def happened(event: str) -> Callable[[Stats], bool]:
    return lambda stats: any(e.startswith(event) for e in stats["events"])
