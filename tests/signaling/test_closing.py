"""The end of a server whose store is away: bounded, in order, nothing skipped."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from signaling.closing import Closing, end


async def test_what_hangs_is_cut_and_named_and_the_rest_still_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[str] = []

    async def hangs() -> None:
        await asyncio.sleep(600)

    async def ends() -> None:
        await asyncio.sleep(0)
        ended.append("ends")

    closing = Closing(0.3, least=0.05)
    closing.callback(lambda: ended.append("first opened"))
    for close in (ends, hangs, hangs, ends, hangs):
        closing.push_async_callback(close)
    started = time.monotonic()
    with caplog.at_level(logging.ERROR):
        await closing.aclose()
    assert time.monotonic() - started < 60
    assert ended == ["ends", "ends", "first opened"]
    assert [record.message.rpartition(".")[2] for record in caplog.records] == ["hangs"] * 3


async def test_a_cancellation_that_is_lost_is_said_again() -> None:
    lost = 0

    async def loses() -> None:
        nonlocal lost
        while lost < 3:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                lost += 1
        await asyncio.sleep(600)

    task = asyncio.create_task(loses())
    await asyncio.sleep(0)
    await asyncio.wait_for(end([task]), 60)
    assert task.cancelled()
    lost = 0
    closing = Closing(0.1, least=0.05)
    closing.push_async_callback(loses)
    await asyncio.wait_for(closing.aclose(), 60)
    assert lost == 3


async def test_parts_share_the_time_or_are_closed_alone() -> None:
    ended: list[str] = []

    async def ends(name: str) -> None:
        await asyncio.sleep(0)
        ended.append(name)

    closing = Closing(5)
    failed, kept = closing.part(), closing.part()
    failed.push_async_callback(lambda: ends("failed"))
    await failed.aclose()
    assert ended == ["failed"]
    kept.push_async_callback(lambda: ends("kept"))
    closing.adopt(kept)
    closing.push_async_callback(lambda: ends("later"))
    await closing.aclose()
    assert ended == ["failed", "later", "kept"]


async def test_one_that_fails_does_not_keep_the_others_open() -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise OSError("closing failed")

    closing = Closing(5)
    closing.callback(lambda: ended.append("other"))
    closing.push_async_callback(fails)
    with pytest.raises(OSError, match="closing failed"):
        await closing.aclose()
    assert ended == ["other"]
