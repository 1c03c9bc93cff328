"""argon2id in a bounded pool of low-priority threads: a flood of sign-ins never stalls the loop.

argon2 releases the GIL while it works; the threads yield the processor to the event loop (nice),
and who finds the queue full is told to come back. Driven by the account services.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION
from msgspec import Struct

from signaling.errors import Unavailable
from signaling.ids import Entropy

T = TypeVar("T")
SALT_BYTES = 16  # RFC 9106 section 3.1 recommends 128 bits
HASH_BYTES = 32
NICE = 10  # of 19: behind the loop, before batch work


class Cost(Struct, frozen=True):
    """RFC 9106 section 4, second choice: 64 MiB, three passes; one lane, as threads are ours."""

    memory_kib: int = 65536
    passes: int = 3
    lanes: int = 1


class Verdict(Struct, frozen=True):
    """`rehash`: the password was right, but the hash was made at another cost."""

    right: bool
    rehash: bool = False


class HashPool:
    """Owned by the composition root; `close` when the server stops."""

    def __init__(self, cost: Cost, entropy: Entropy, workers: int, waiting: int) -> None:
        self._hasher = PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
            type=Type.ID,
        )
        self._entropy = entropy
        self._threads = ThreadPoolExecutor(workers, "argon2", initializer=_step_back)
        self._waiting = 0
        self._most = workers + waiting
        self._nobody = _made_up(cost, entropy)

    async def hash(self, password: str) -> str:
        """Raises Unavailable when too many wait."""
        salt = self._entropy.token(SALT_BYTES)
        return await self._run(functools.partial(self._hasher.hash, password, salt=salt))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Without a stored hash it takes as long and is wrong: nobody learns who exists."""
        verdict = await self._run(functools.partial(self._verify, stored or self._nobody, password))
        return verdict if stored else Verdict(False)

    def _verify(self, stored: str, password: str) -> Verdict:
        try:
            self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return Verdict(False)
        return Verdict(True, self._hasher.check_needs_rehash(stored))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._most:
            raise Unavailable("Too many people are signing in at this moment.", retry_after=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


def _made_up(cost: Cost, entropy: Entropy) -> str:
    """As a password's hash is written, of none: to make a true one, each start would work as hard
    as a sign-in.
    """
    salt, digest = (
        base64.b64encode(entropy.token(size)).decode().rstrip("=")
        for size in (SALT_BYTES, HASH_BYTES)
    )
    how = f"m={cost.memory_kib},t={cost.passes},p={cost.lanes}"
    return f"$argon2id$v={ARGON2_VERSION}${how}${salt}${digest}"


def workers_for(cores: int | None) -> int:
    """Half of the cores, so that calls keep the other half; 64 MiB each."""
    return max(1, min(8, (cores or 2) // 2))


def _step_back() -> None:
    """Linux gives every thread its own priority; elsewhere the pool runs as everybody does."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
