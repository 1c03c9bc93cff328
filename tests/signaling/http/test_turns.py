"""Work that takes turns: at once when alone, in order and a few for each step when many come, and
no more than leaves the steps of the loop short. In virtual time: a step takes what is done in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from signaling.http import turns as module
from signaling.http.turns import AT_ONCE, PATIENT_SECONDS, SHORT_SECONDS, Turns

HANDSHAKE = 0.001
# What one who had a turn asks for afterwards: a request, a socket, what was missed.
LATER = [0.0009] * 5
CROWD = 2000
# Steps of the loop between somebody's message and the others' screens.
HOPS = 10


class Loop:
    """Steps as an event loop has them: what is called for within a step belongs to the next."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.failed: list[Exception] = []
        self._ready: deque[Callable[[], None]] = deque()

    def soon(self, callback: Callable[[], None]) -> None:
        self._ready.append(callback)

    def time(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds

    def step(self) -> bool:
        """False when there was nothing to do."""
        ready, self._ready = self._ready, deque()
        for callback in ready:
            try:
                callback()
            except ValueError as error:
                self.failed.append(error)
        self.now += 0.00005
        return bool(ready)

    def turns(self) -> Turns:
        return Turns(self.soon, self.time)


def test_who_comes_alone_does_not_wait() -> None:
    loop, done = Loop(), []
    turns = loop.turns()
    for number in range(3):
        turns.take(lambda number=number: done.append(number))  # type: ignore[misc]
        assert done[-1] == number
        while loop.step():
            pass
        loop.work(3600)


def test_a_crowd_goes_in_its_order_a_few_for_each_step_of_the_loop() -> None:
    loop, done = Loop(), []
    turns, steps = loop.turns(), list[int]()

    def work(number: int) -> Callable[[], None]:
        return lambda: done.append(number)

    for number in range(5 * AT_ONCE):
        turns.take(work(number))
    assert (done, len(turns)) == (list(range(AT_ONCE)), 4 * AT_ONCE)
    while turns:
        before = len(done)
        loop.step()
        steps.append(len(done) - before)
    assert done == list(range(5 * AT_ONCE))
    assert max(steps) == AT_ONCE


def test_work_that_brings_more_work_keeps_the_order() -> None:
    loop, done = Loop(), []
    turns = loop.turns()

    def again() -> None:
        done.append("first")
        turns.take(lambda: done.append("later"))

    turns.take(again)
    turns.take(lambda: done.append("second"))
    for _ in range(6):
        loop.step()
    assert sorted(done) == ["first", "later", "second"]
    assert not len(turns)


def test_one_that_fails_keeps_nobody_from_its_turn() -> None:
    loop, done = Loop(), []
    turns = loop.turns()

    def fail() -> None:
        raise ValueError("broken")

    for _ in range(AT_ONCE):
        turns.take(lambda: None)
    turns.take(fail)
    turns.take(lambda: done.append(1))
    for _ in range(6):
        loop.step()
    assert done == [1]
    assert len(loop.failed) == 1


def test_after_a_long_step_nobody_new_has_a_turn() -> None:
    loop, done = Loop(), []
    turns = loop.turns()
    for number in range(3 * AT_ONCE):
        turns.take(lambda number=number: done.append(number))  # type: ignore[misc]
    loop.work(SHORT_SECONDS * 1.1)
    loop.step()
    assert len(done) == AT_ONCE
    loop.step()
    assert len(done) == 2 * AT_ONCE


def test_where_every_step_is_long_one_has_its_turn_in_time() -> None:
    """2,000 are through within 20 s, however busy the loop is with others."""
    loop, done = Loop(), []
    turns = loop.turns()

    def others() -> None:
        loop.work(1.5 * SHORT_SECONDS)
        if turns:
            loop.soon(others)

    loop.soon(others)
    for number in range(CROWD):
        turns.take(lambda number=number: done.append(number))  # type: ignore[misc]
    began, steps = loop.now, list[int]()
    while turns:
        before = len(done)
        loop.step()
        steps.append(len(done) - before)
    assert done == list(range(CROWD))
    assert max(steps) == 1
    assert loop.now - began < CROWD * (PATIENT_SECONDS + 1.5 * SHORT_SECONDS)


def storm(loop: Loop) -> tuple[float, list[float]]:
    """A crowd at once while somebody talks: when all are through, and what each message took."""
    turns, waits = loop.turns(), list[float]()

    def ask(left: list[float]) -> None:
        if left:
            loop.work(left[0])
            loop.soon(lambda: ask(left[1:]))

    def shake() -> None:
        loop.work(HANDSHAKE)
        # They ask as soon as they may, and all of them together when a step was long.
        loop.soon(lambda: ask(LATER))

    def talk(hop: int, since: float) -> None:
        if hop == HOPS:
            waits.append(loop.now - since)
            hop, since = 0, loop.now
        if turns:
            loop.soon(lambda: talk(hop + 1, since))

    loop.soon(lambda: talk(0, loop.now))
    began = loop.now
    for _ in range(CROWD):
        turns.take(shake)
    while loop.step():
        pass
    return loop.now - began, waits


def test_others_messages_pass_quickly_while_a_crowd_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    took, waits = storm(Loop())
    assert took < 20
    assert max(waits) < 0.1
    # Without a look at the time the same crowd is not much faster, and messages are.
    monkeypatch.setattr(module, "SHORT_SECONDS", 1e9)
    hurried, late = storm(Loop())
    assert hurried > took * 0.9
    assert max(late) > 1.05 * max(waits)
