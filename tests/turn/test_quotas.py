"""ASVS 17.1.2: neither one user nor all of them together can take a relay's every port."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

from tests.turn.probe import Probe
from tests.turn.relays import relay, running, server
from turn.check import Server, connect
from turn.coturn import Relay

GRANTED, QUOTA_REACHED = 0, 486
TOGETHER = 50


async def allocations(
    stack: contextlib.AsyncExitStack, made: Relay, ways: list[Server]
) -> list[tuple[int, Probe]]:
    """One from a socket of its own for each way; they last as long as the stack."""

    async def one(way: Server) -> tuple[int, Probe]:
        wire = await stack.enter_async_context(connect("127.0.0.1", made.port, "udp"))
        probe = Probe(wire, way)
        return await probe.allocate(), probe

    done = []
    for at in range(0, len(ways), TOGETHER):
        done += await asyncio.gather(*(one(way) for way in ways[at : at + TOGETHER]))
    return done


async def test_a_thousand_allocations_of_one_user(tmp_path: Path) -> None:
    """Whichever credential it uses: each call of a participant is handed another."""
    made = relay()
    first, later = server(made, name="greedy"), server(made, name="greedy", at=30)
    assert first.username != later.username
    async with running(tmp_path, made), contextlib.AsyncExitStack() as stack:
        taken = await allocations(stack, made, [first, later] * 500)
        codes = Counter(code for code, _ in taken)
        assert codes == {GRANTED: made.user_quota, QUOTA_REACHED: 1000 - made.user_quota}
        others = [server(made, name=f"other-{n}") for n in range(20)]
        assert [code for code, _ in await allocations(stack, made, others)] == [GRANTED] * 20


async def test_all_users_together(tmp_path: Path) -> None:
    made = relay(user_quota=5, total_quota=20)
    users = [server(made, name=f"user-{n}") for n in range(6) for _ in range(5)]
    async with running(tmp_path, made), contextlib.AsyncExitStack() as stack:
        taken = await allocations(stack, made, users)
        codes = Counter(code for code, _ in taken)
        assert codes == {GRANTED: 20, QUOTA_REACHED: 10}
        late = [server(made, name="late")]
        assert (await allocations(stack, made, late))[0][0] == QUOTA_REACHED
        released = next(probe for code, probe in taken if code == GRANTED)
        assert await released.release() == GRANTED
        async with asyncio.timeout(20):
            while (await allocations(stack, made, late))[0][0] != GRANTED:
                await asyncio.sleep(0.1)  # coturn gives back what was released in a while
