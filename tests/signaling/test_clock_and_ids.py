"""Time and ids as arguments: UUIDv7 and the fakes."""

from __future__ import annotations

import os
import uuid

from hypothesis import given
from hypothesis import strategies as st

from signaling.clock import FakeClock, SystemClock
from signaling.ids import (
    POOLED,
    Noise,
    SeededEntropy,
    SeededIds,
    SystemEntropy,
    SystemIds,
    is_id,
    uuid7,
)


@given(st.floats(0, 2**48 / 1000 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7(unix: float, random: bytes) -> None:
    """RFC 9562 section 5.7: 48 bits of milliseconds, version 7, variant 10."""
    found = uuid.UUID(uuid7(unix, lambda size: random[:size]))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == int(unix * 1000)


def test_ids_rise_with_time_and_are_not_guessed() -> None:
    clock = FakeClock()
    ids = SystemIds(clock)
    made = []
    for _ in range(100):
        made.append(ids.new())
        clock.advance(0.002)
    assert made == sorted(made)
    assert len({one[-12:] for one in made}) == 100
    assert all(map(is_id, made))
    assert not any(
        map(is_id, (made[0] + "\n", made[0].upper(), "kitchen", "", str(uuid.UUID(int=7))))
    )


def test_seeded_ids_repeat_and_system_ones_do_not() -> None:
    first, second = SeededIds(FakeClock(), 7), SeededIds(FakeClock(), 7)
    assert [first.new() for _ in range(3)] == [second.new() for _ in range(3)]
    assert SeededEntropy(1).token(16) == SeededEntropy(1).token(16) != SeededEntropy(2).token(16)
    assert len({SystemEntropy().token(16) for _ in range(10)}) == 10


def test_noise_never_repeats_over_several_fetches() -> None:
    noise = Noise(SystemEntropy(), 12)
    made = [noise.take() for _ in range(3 * POOLED + 1)]
    assert {len(one) for one in made} == {12}
    assert len(set(made)) == len(made)


def test_a_forked_child_has_noise_and_ids_of_its_own() -> None:
    """A nonce that two processes use with one key would break AES-GCM."""
    noise, ids = Noise(SystemEntropy(), 12), SystemIds(FakeClock())
    noise.take()
    ids.new()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, noise.take() + ids.new().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 100)
    os.close(reading)
    os.close(writing)
    assert theirs[:12] != noise.take()
    assert theirs[12:].decode() != ids.new()


def test_a_fake_clock_moves_when_told() -> None:
    clock = FakeClock(100.0)
    monotonic = clock.monotonic()
    clock.advance(5)
    clock.step(-50)
    assert (clock.unix(), clock.monotonic()) == (55.0, monotonic + 5)
    system = SystemClock()
    assert system.unix() > 1e9
    assert system.monotonic() <= system.monotonic()
