"""How often is looked when hints may be lost; who fails keeps no other from its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from signaling.bus.local import LocalBus
from signaling.bus.polling import AT_ONCE, EAGER_POLL, EAGER_SECONDS, POLL, Polling
from signaling.bus.port import BusState, Reach
from signaling.clock import FakeClock


class Moody(LocalBus):
    """Says what a test wants of how far it reaches."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.reach = Reach.SHARED
        self.told: list[Callable[[BusState], None]] = []

    def state(self) -> BusState:
        return BusState(self.reach)

    def on_state(self, callback: Callable[[BusState], None]) -> None:
        self.told.append(callback)

    def become(self, reach: Reach) -> None:
        self.reach = reach
        for callback in self.told:
            callback(BusState(reach))


class Counted:
    def __init__(self, error: Exception | None = None) -> None:
        self.polls, self.error = 0, error

    async def poll(self) -> None:
        self.polls += 1
        if self.error is not None:
            raise self.error


def test_polls_are_slow_eager_and_steady() -> None:
    clock = FakeClock()
    bus = Moody(clock)
    polling = Polling(bus, clock, lambda: ())
    assert polling.interval() == POLL[Reach.SHARED] == 3.0
    bus.become(Reach.LOST)
    assert polling.interval() == 2.0
    bus.become(Reach.SHARED)
    assert polling.interval() == EAGER_POLL == 0.25
    clock.advance(EAGER_SECONDS)
    assert polling.interval() == 3.0
    bus.reach = Reach.LOCAL
    assert polling.interval() == 5.0


async def test_a_bus_that_goes_or_comes_is_a_reason_to_look_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for reach in (Reach.SHARED, Reach.LOST):
        monkeypatch.setitem(POLL, reach, 3600.0)
    clock, followed = FakeClock(), Counted()
    bus = Moody(clock)
    polling = Polling(bus, clock, lambda: [followed])
    running = asyncio.create_task(polling.run())
    await asyncio.sleep(0.01)
    assert followed.polls == 0
    for number, reach in enumerate((Reach.LOST, Reach.SHARED), start=1):
        bus.become(reach)
        async with asyncio.timeout(30):
            while followed.polls < number:
                await asyncio.sleep(0)
    async with asyncio.timeout(30):  # and then eagerly, by itself
        while followed.polls < 4:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_one_that_fails_keeps_no_other_from_its_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    broken = Counted(RuntimeError("our bug"))
    others = [Counted() for _ in range(2 * AT_ONCE)]
    polling = Polling(LocalBus(clock), clock, lambda: [broken, *others])
    await polling.poll()
    assert [one.polls for one in (broken, *others)] == [1] * (2 * AT_ONCE + 1)
    assert "could not be polled" in caplog.text


async def test_only_so_many_are_polled_at_once() -> None:
    clock, now, most = FakeClock(), 0, 0

    class Slow:
        async def poll(self) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    polling = Polling(LocalBus(clock), clock, lambda: [Slow() for _ in range(3 * AT_ONCE)])
    await polling.poll()
    assert most == AT_ONCE
