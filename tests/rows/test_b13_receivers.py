"""Row B13: a served instance forwards its audit to a webhook and to an OTLP collector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rows.house import House, visiting
from tests.rows.receiver import Receiver, otlp, webhook
from tests.rows.test_b11_audit import all_of


@pytest.fixture(params=[webhook, otlp])
async def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Receiver]:
    made = Receiver(tmp_path / "receiver", request.param)
    await made.up()
    yield made
    await made.down()


async def test_b13_webhook_and_collector_get_everything_in_order_through_an_outage(
    receiver: Receiver, housed: Callable[..., House]
) -> None:
    """It is away for two seconds, then refuses, and once takes a batch without an answer."""
    house = housed(toml=receiver.toml)
    async with visiting(house) as there:
        auditor, _ = await there.joined("auditor")
        made: dict[str, Any] = {}

        async def ask(count: int) -> None:
            for _ in range(count):
                answer = await there.ask("GET", "/session")
                made[answer.headers["X-Request-Id"]] = True

        await ask(20)
        await delivered(receiver, made)
        await receiver.down()
        await ask(20)
        name = receiver.read.__name__
        async with asyncio.timeout(90):
            while f"the audit does not reach {name}" not in house.written():
                await asyncio.sleep(0.1)
        receiver.refuses, receiver.drops = 1, 1
        await asyncio.sleep(2)
        await receiver.up()
        await ask(20)
        await delivered(receiver, made)
        assert not (receiver.refuses or receiver.drops)
        await told(receiver, "audit.sink_down", "audit.sink_up")
        kept = await all_of(there, auditor, made)
    assert not receiver.faults
    order = [one["id"] for one in reversed(kept)]
    assert len(order) == 60 and receiver.first_of_each(made) == order
    # What it had taken without an answer came again under the same ids.
    assert len(receiver.taken) > len(dict.fromkeys(receiver.taken))


async def delivered(receiver: Receiver, made: dict[str, Any]) -> None:
    async with asyncio.timeout(90):
        while not made.keys() <= {one.request for one in receiver.taken}:
            await asyncio.sleep(0.1)


async def told(receiver: Receiver, *actions: str) -> None:
    async with asyncio.timeout(90):
        while not set(actions) <= {one.action for one in receiver.taken}:
            await asyncio.sleep(0.1)
