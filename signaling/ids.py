"""Ids and randomness, given as arguments: UUIDv7 text (RFC 9562, section 5.7) and CSPRNG bytes.

Ids on the LiveKit wire are made elsewhere (`signaling.rtc.ids`). The seeded pair is for tests and
must never make a secret.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from typing import Protocol

from signaling.clock import Clock


def uuid7(unix: float, random: Callable[[int], bytes]) -> str:
    """48 bits of milliseconds, then 74 random bits: sorts by time, cannot be guessed."""
    value = int(unix * 1000) << 80 | int.from_bytes(random(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    text = f"{value & (1 << 128) - 1:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Ids(Protocol):
    """Makes ids of things that are stored."""

    def new(self) -> str: ...


class Entropy(Protocol):
    """The source of every secret."""

    def token(self, size: int) -> bytes: ...


class SystemEntropy:
    """The kernel's generator."""

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)


class SystemIds:
    """UUIDv7 of the clock's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def new(self) -> str:
        return uuid7(self._clock.unix(), secrets.token_bytes)


class SeededEntropy:
    """The same bytes in every run. Tests only."""

    def __init__(self, seed: int = 1) -> None:
        self._source = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def token(self, size: int) -> bytes:
        return self._source.randbytes(size)


class SeededIds:
    """The same ids in every run, in rising order as the clock moves. Tests only."""

    def __init__(self, clock: Clock, seed: int = 1) -> None:
        self._clock = clock
        self._entropy = SeededEntropy(seed)

    def new(self) -> str:
        return uuid7(self._clock.unix(), self._entropy.token)
