"""Joining and leaving many times leaves nothing behind: tasks, descriptors, objects, engine ids."""

import asyncio
import gc
import json
from pathlib import Path

from mediaserver.api import Mode, SubscribeSettings, Target
from tests.mediaserver.clients import media_server
from tests.mediaserver.fakes import Heard, HeardCall
from tests.mediaserver.test_participants import OFFERS, specs

ROUNDS = 40


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_joins_and_leaves_leave_nothing_behind() -> None:
    async with media_server() as server:

        async def round_trip(number: int) -> None:
            call = server.call(f"RM_{number % 3}", HeardCall())
            mode = Mode.SINGLE if number % 2 else Mode.DUAL
            participant = call.add_participant(f"PA_{number}", mode, Heard())
            for spec in specs(OFFERS["dual_publish"]):
                participant.declare_track(spec)
            participant.subscribe("TR_none", SubscribeSettings())
            await participant.offer(Target.PUBLISHER, OFFERS["dual_publish"])
            participant.negotiate()
            await asyncio.sleep(0)
            await participant.close()
            await call.close()

        async def settled() -> tuple[int, int, int]:
            await asyncio.sleep(0.05)
            gc.collect()
            return len(asyncio.all_tasks()), descriptors(), len(gc.get_objects())

        for number in range(ROUNDS):
            await round_trip(number)
        tasks, files, objects = await settled()
        for number in range(ROUNDS):
            await round_trip(number)
        for _ in range(100):  # what ends on a thread of its own may be late
            after = await settled()
            if after[0] <= tasks and after[1] <= files:
                break
        assert after[0] <= tasks and after[1] <= files
        assert after[2] - objects < ROUNDS, "objects grow with each join"
        stats = server.stats()
        assert (stats.calls, stats.participants, stats.transports) == (0, 0, 0)
        await asyncio.sleep(1.1)  # a snapshot is at most a second old, on a calm machine
        context = server._context
        async with asyncio.timeout(30):
            while json.loads(context.engine.snapshot())["transports"]:
                await asyncio.sleep(0.1)
        assert not (context.publications or context.subscriptions or context.owners)
