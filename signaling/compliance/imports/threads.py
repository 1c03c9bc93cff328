"""Iterators that read an archive, walked in a thread while the event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


async def walked(iterator: Iterator[T], most: int) -> AsyncIterator[list[T]]:
    """All of it, up to `most` at a time."""
    while found := await asyncio.to_thread(lambda: list(islice(iterator, most))):
        yield found


async def called(function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)


async def one_by_one(iterator: Iterator[T]) -> AsyncIterator[T]:
    async for found in walked(iterator, 16):
        for one in found:
            yield one
