"""The limit's arithmetic: what it promises, and the same in Lua."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling.bus.gcra import gcra
from signaling.bus.local import Limits as LocalLimits
from signaling.bus.local import LocalBus, Topics
from signaling.bus.open import open_bus
from signaling.clock import FakeClock
from signaling.config.store import Bus as Settings


@given(
    st.floats(0.01, 1000),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 3)), max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(
    rate: float, burst: int, arrivals: list[tuple[float, int]]
) -> None:
    now, arrival, taken = 1000.0, 0.0, 0
    start = now
    for pause, cost in arrivals:
        now += pause
        arrival, answer = gcra(arrival, now, rate, burst, cost)
        if answer.allowed:
            taken += cost
            assert answer.retry_after == 0
        else:
            assert cost > burst or answer.retry_after > 0
        assert 0 <= answer.remaining <= burst
        assert taken <= burst + rate * (now - start) + 1e-3


@given(st.floats(0.1, 100), st.integers(1, 20))
def test_waiting_as_told_is_enough(rate: float, burst: int) -> None:
    now, arrival = 1000.0, 0.0
    for _ in range(burst):
        arrival, answer = gcra(arrival, now, rate, burst)
        assert answer.allowed
    arrival, answer = gcra(arrival, now, rate, burst)
    assert not answer.allowed
    arrival, early = gcra(arrival, now + answer.retry_after * 0.9, rate, burst)
    assert not early.allowed
    arrival, later = gcra(arrival, now + answer.retry_after, rate, burst)
    assert later.allowed


def test_strangers_cannot_fill_the_memory() -> None:
    clock = FakeClock()
    limits = LocalLimits(clock)
    for n in range(5000):
        limits.take(f"address-{n}", 1, 5, 1)
        clock.advance(0.01)
    assert len(limits._arrivals) < 200


async def test_without_a_url_the_bus_is_local() -> None:
    bus = await open_bus(Settings())
    assert isinstance(bus, LocalBus)
    assert bus.state().losses == 0
    await bus.close()


def test_topics_forget_who_left() -> None:
    topics = Topics()
    assert topics.add("t", print)
    assert not topics.add("t", print)
    assert not topics.remove("t", print)
    assert topics.remove("t", print)
    assert not topics.remove("t", print)
    assert topics.names() == []
