"""The measure of promise B24: load does not disturb it, a difference does. In virtual time."""

from __future__ import annotations

import random

from tests.signaling.access.quickest import Ask, apart

BOUND = 3.0


class Machine:
    """Answers take what they take, and mostly more: somebody else has the processor."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self._noise = random.Random(seed)

    def clock(self) -> float:
        return self.now

    def answering(self, milliseconds: float) -> Ask:
        async def ask() -> None:
            slices = 0
            while self._noise.random() < 0.9:
                slices += 1
            self.now += (milliseconds + 4 * slices) / 1000

        return ask


async def test_b24_a_machine_with_much_else_to_do_is_no_difference() -> None:
    for seed in range(20):
        machine = Machine(seed)
        asks = {str(kind): machine.answering(2 + kind / 10) for kind in range(9)}
        assert not await apart(asks, BOUND, machine.clock), seed


async def test_b24_an_answer_that_takes_longer_is_found() -> None:
    for seed in range(20):
        machine = Machine(seed)
        asks = {str(kind): machine.answering(2) for kind in range(8)}
        asks["slow"] = machine.answering(2 + BOUND + 0.1)
        found = await apart(asks, BOUND, machine.clock)
        assert max(found, key=found.__getitem__) == "slow", seed
