"""Webhooks of a real server: a receiver that is down, the server killed in the middle of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.rows.house import visiting
from tests.signaling.delivery.house import receiving
from tests.signaling.delivery.served import house_at, kill, living, must, room, say, until


async def outage(folder: Path, seconds: float) -> None:
    """Messages before, during and after; one kill while the receiver holds a request."""
    async with receiving() as receiver:
        house = house_at(folder, {receiver.port: ""})
        held = asyncio.Event()
        handle = receiver.handle

        async def handle_or_hold(request: web.Request) -> web.StreamResponse:
            if len(receiver.requests) == 5 and not held.is_set():
                held.set()
                await asyncio.sleep(3600)
            return await handle(request)

        receiver.handle = handle_or_hold  # type: ignore[method-assign]
        async with living(house) as there:
            where = await room(there)
            wish = {"url": receiver.url, "room": where, "filter": {"events": ["message.posted"]}}
            await must(there, "POST", "/webhooks", wish)
            for n in range(10):
                await say(there, where, f"m{n}")
            await asyncio.wait_for(held.wait(), 120)
            await asyncio.to_thread(kill, house)
            receiver.status = 503
            await asyncio.to_thread(house.start)
            async with visiting(house) as again:
                for n in range(10, 40):
                    await say(again, where, f"m{n}")
                await asyncio.sleep(seconds)
                began = time.monotonic()
                receiver.status = 200
                for n in range(40, 50):
                    await say(again, where, f"m{n}")
                wanted = [f"m{n}" for n in range(50)]
                await until(lambda: len(set(receiver.texts)) == 50, 240)
                took = time.monotonic() - began
                assert list(dict.fromkeys(receiver.texts)) == wanted
                ids = [event["id"] for event in receiver.events]
                assert len(set(ids)) == 50
                said = f"all 50 were there {took:.1f} s later; twice: {len(ids) - 50}"
                print(f"away {seconds:.0f} s: {said}")


async def test_b15_an_outage_and_a_kill_lose_nothing_and_keep_the_order(tmp_path: Path) -> None:
    await outage(tmp_path, float(os.environ.get("SOTTO_OUTAGE_SECONDS", "30")))


@pytest.mark.parametrize("store", ["embedded", "mongo"])
async def test_b15_a_kill_right_after_an_act_leaves_nobody_untold(
    tmp_path: Path, store: str, stand_in: Callable[[], int]
) -> None:
    """Accounts, each acknowledged; the server dies at once, five times, and is started again."""
    settings: dict[str, str] = {}
    if store == "mongo":
        settings = {
            "store.url": f"mongodb://127.0.0.1:{stand_in()}/?directConnection=true",
            "store.database": f"untold_{os.getpid()}", "store.insecure_without_auth": "true",
        }  # fmt: skip
    async with receiving() as receiver:
        house = house_at(tmp_path, {receiver.port: ""}, settings)
        async with living(house) as there:
            wish = {"url": receiver.url, "filter": {"events": ["account.created"]}}
            await must(there, "POST", "/webhooks", wish)
            made: list[str] = []
            for turn in range(5):
                async with visiting(house) as again:
                    for n in range(3):
                        bot = await must(again, "POST", "/bots", {"name": f"b{turn}{n}"})
                        made.append(bot["id"])
                    kill(house)
                await asyncio.to_thread(house.start)
            await until(lambda: {e["subject"] for e in receiver.events} >= set(made), 120)
            ids = {event["id"] for event in receiver.events}
            assert len(ids) == len({event["subject"] for event in receiver.events}) == len(made)


@pytest.mark.long
async def test_b15_through_an_outage_of_ten_minutes(tmp_path: Path) -> None:
    await outage(tmp_path, 600.0)
