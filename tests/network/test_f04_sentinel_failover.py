"""F4: the leader of Redis is killed under two processes: what is said at one is heard at the other
again in time, and nothing is lost, since the history is the source.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from sotto_client import Client
from sotto_client.replica import Frame
from tests.network.faults import RUNS, repeated
from tests.network.pair import two_processes
from tests.peers.redis_trio import Trio
from tests.rows.rightful import Person, people
from tests.sync.test_transient_processes import device, texts

PROMISED_SECONDS = 5.0
EVERY_SECONDS = 0.1
BEFORE_SECONDS, AFTER_SECONDS = 3.0, 12.0


class Listener:
    """To somebody at the other process, by the bus alone: that one writes is in no store, thus
    found by no poll."""

    def __init__(self, client: Client, other: Person) -> None:
        self.times: list[float] = []
        hear = client._hear

        async def heard(frame: Frame) -> None:
            if frame["type"] == "typing" and frame["account"] == other.id:
                self.times.append(time.monotonic())
            await hear(frame)

        client._hear = heard  # type: ignore[method-assign]

    def gap(self, since: float) -> float:
        """The longest silence from then on."""
        times = [since, *(at for at in self.times if at > since)]
        return max(b - a for a, b in zip(times, [*times[1:], time.monotonic()], strict=True))


async def talk(who: Person, room: str, said: list[str], name: str, over: asyncio.Event) -> None:
    """A message and a hint, again and again."""
    while not over.is_set():
        began = time.monotonic()
        text = f"{name} {len(said)}"
        await who.post(room, text)
        said.append(text)
        await who.must("POST", f"/rooms/{room}/typing", {"seconds": 5})
        await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))


async def one_failover(folder: Path, seed: int) -> float:
    """The longest that either side heard nothing live, in seconds."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    with Trio.running(folder) as trio:
        async with two_processes(folder, trio.settings()) as (here, elsewhere):
            ann, bob = await people(here, 2)
            bob.there = elsewhere
            room = await ann.room(bob)
            hers, his = device(here, ann), device(elsewhere, bob)
            async with hers, his:
                for client in (hers, his):
                    await client.room(room).synced(60)
                listeners = [Listener(hers, bob), Listener(his, ann)]
                await trio.acquainted()
                said: tuple[list[str], list[str]] = ([], [])
                over = asyncio.Event()
                talking = [
                    asyncio.create_task(talk(who, room, texts_of, name, over))
                    for who, texts_of, name in ((ann, said[0], "ann"), (bob, said[1], "bob"))
                ]
                await asyncio.sleep(BEFORE_SECONDS)
                assert all(listener.gap(time.monotonic() - 1) < 1 for listener in listeners)
                leader, killed = trio.leader(), time.monotonic()
                await asyncio.to_thread(trio.kill, leader)
                await asyncio.sleep(AFTER_SECONDS)
                assert trio.leader() != leader, "the sentinels chose no other"
                over.set()
                await asyncio.gather(*talking)
                gaps = [listener.gap(killed) for listener in listeners]
                assert min(gaps) > 0.5, "nobody noticed that it was killed"
                for client in (hers, his, hers, his):
                    await client.room(room).synced(60)
                for client in (hers, his):
                    for name, wanted in zip(("ann", "bob"), said, strict=True):
                        found = [t for t in texts(client, room) if t.startswith(name)]
                        assert found == wanted, "lost, doubled or out of order"
                    assert client.connections == 1, client.log.read()
                assert hers.room(room).view() == his.room(room).view()
    print(f"F4: silent for {gaps[0]:.2f} s and {gaps[1]:.2f} s, {len(said[0]) + len(said[1])} said")
    return max(gaps)


@RUNS
async def test_f04_live_delivery_survives_the_leader_of_redis(tmp_path: Path, runs: int) -> None:
    await repeated("F4 live delivery, s", runs, tmp_path, PROMISED_SECONDS, one_failover)
