"""What waits to be sent to the database while something else is under way: the next in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from signaling.storage.port import MAX_BATCH

# One insert command: below the driver's 48 MB, so that it stays one command.
INSERT_BYTES = 8 * 1024 * 1024


class Waiting(Protocol):
    """`count` of ops, or of whatever a command has a bound for, with `size` bytes together."""

    @property
    def count(self) -> int: ...
    @property
    def size(self) -> int: ...


T = TypeVar("T", bound=Waiting)


class Queue(Generic[T]):
    """States: idle -> busy -> idle. `work` is given as many as fit one command, at least one, in
    the order in which they came, and settles them itself. Used from the event loop only.
    """

    __slots__ = ("_task", "_waiting", "_work")

    def __init__(self, work: Callable[[list[T]], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: list[T] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return self._task is None

    def put(self, one: T) -> None:
        self._waiting.append(one)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def put_back(self, untried: Sequence[T]) -> None:
        """Before all that wait. For `work`, of what it was given."""
        self._waiting[:0] = untried

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._work(self._take())
        finally:
            self._task = None

    def _take(self) -> list[T]:
        taken, count, size = 0, 0, 0
        for one in self._waiting:
            count, size = count + one.count, size + one.size
            if taken and (count > MAX_BATCH or size > INSERT_BYTES):
                break
            taken += 1
        first, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return first


def fail(futures: Sequence[asyncio.Future[Any]], error: Exception) -> None:
    """All that still wait."""
    for future in futures:
        if not future.done():
            future.set_exception(error)
