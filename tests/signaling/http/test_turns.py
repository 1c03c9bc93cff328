"""Work that takes turns: at once when alone, in order and a few for each step when many come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from signaling.http.turns import AT_ONCE, Turns


async def test_who_comes_alone_does_not_wait() -> None:
    turns, done = Turns(), []
    for number in range(3):
        turns.take(lambda number=number: done.append(number))  # type: ignore[misc]
        assert done[-1] == number
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_a_crowd_goes_in_its_order_a_few_for_each_step_of_the_loop() -> None:
    turns, done = Turns(), []
    steps: list[int] = []

    def work(number: int) -> Callable[[], None]:
        return lambda: done.append(number)

    for number in range(5 * AT_ONCE):
        turns.take(work(number))
    assert (done, len(turns)) == (list(range(AT_ONCE)), 4 * AT_ONCE)
    while turns:
        before = len(done)
        await asyncio.sleep(0)
        steps.append(len(done) - before)
    assert done == list(range(5 * AT_ONCE))
    assert max(steps) == AT_ONCE


async def test_work_that_brings_more_work_keeps_the_order() -> None:
    turns, done = Turns(), []

    def again() -> None:
        done.append("first")
        turns.take(lambda: done.append("later"))

    turns.take(again)
    turns.take(lambda: done.append("second"))
    for _ in range(6):
        await asyncio.sleep(0)
    assert sorted(done) == ["first", "later", "second"]
    assert not len(turns)


async def test_one_that_fails_keeps_nobody_from_its_turn() -> None:
    turns, done = Turns(), []
    loop = asyncio.get_running_loop()
    failed: list[object] = []
    loop.set_exception_handler(lambda _, context: failed.append(context.get("exception")))

    def fail() -> None:
        raise ValueError("broken")

    for _ in range(AT_ONCE):
        turns.take(lambda: None)
    turns.take(fail)
    turns.take(lambda: done.append(1))
    for _ in range(6):
        await asyncio.sleep(0)
    assert done == [1]
    assert [type(error) for error in failed] == [ValueError]
