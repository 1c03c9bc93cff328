"""Ids and randomness, given as arguments: UUIDv7 text (RFC 9562, section 5.7) and CSPRNG bytes.

Ids on the LiveKit wire are made elsewhere (`signaling.rtc.ids`). The seeded pair is for tests and
must never make a secret.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import weakref
from collections.abc import Callable
from typing import Protocol

from signaling.clock import Clock

# Ids are no secrets: those come from `Entropy`.
POOLED = 128
_DIGITS = 20  # hexadecimal, of one id
UUID7 = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
_UUID7 = re.compile(UUID7)
# RFC 9562, section 4.1: the two highest bits of the digit are 10.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def uuid7(unix: float, random: Callable[[int], bytes]) -> str:
    """48 bits of milliseconds, then 74 random bits: sorts by time, cannot be guessed."""
    return _begun(int(unix * 1000)) + _ended(random(_DIGITS // 2).hex())


def is_id(text: str) -> bool:
    """Whether `text` is as we make them; a room of LiveKit's protocol may have any name."""
    return _UUID7.fullmatch(text) is not None


def _begun(moment: int) -> str:
    """What all ids of one millisecond have in common."""
    time = f"{moment & 0xFFFF_FFFF_FFFF:012x}"
    return f"{time[:8]}-{time[8:]}-7"


def _ended(noise: str) -> str:
    return f"{noise[1:4]}-{_VARIANT[noise[4]]}{noise[5:8]}-{noise[8:]}"


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


class Noise:
    """Random bytes that are no secret (nonces), fetched for many at once: the system call costs
    more than what is done with them.
    """

    def __init__(self, source: Entropy, size: int) -> None:
        """Each is of `size` bytes."""
        self._source, self._size = source, size
        self._pool = b""
        self._used = 0
        _POOLS.add(self)

    def take(self) -> bytes:
        start = self._used
        if start == len(self._pool):
            self._pool, start = self._source.token(POOLED * self._size), 0
        self._used = end = start + self._size
        return self._pool[start:end]

    def forget(self) -> None:
        """A forked child must not go on in its parent's bytes."""
        self._pool, self._used = b"", 0


class SystemIds:
    """UUIDv7 of the clock's time. Every request and every audit record has one: their random ends
    are made for many at once, and their beginning once in a millisecond.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moment, self._begin = -1, ""
        self._ends: list[str] = []
        _POOLS.add(self)

    def new(self) -> str:
        moment = int(self._clock.unix() * 1000)
        if moment != self._moment:
            self._moment, self._begin = moment, _begun(moment)
        if not self._ends:
            noise = secrets.token_hex(POOLED * _DIGITS // 2)
            self._ends = [_ended(noise[at : at + _DIGITS]) for at in range(0, len(noise), _DIGITS)]
        return self._begin + self._ends.pop()

    def forget(self) -> None:
        """A forked child must not go on in its parent's bytes."""
        self._ends = []


_POOLS: weakref.WeakSet[SystemIds | Noise] = weakref.WeakSet()


def _forget_all() -> None:
    for pool in _POOLS:
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)


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
