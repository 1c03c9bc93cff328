"""Each sink: after an outage the server is killed while a batch of it is open there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.peers.kafka.broker import Broker
from tests.rows.house import Visit, visiting
from tests.signaling.compliance.receivers import Rsyslog
from tests.signaling.delivery.holding import Holder, holding, is_more_than_a_handshake, says
from tests.signaling.delivery.house import receiving
from tests.signaling.delivery.served import house_at, kill, living, must, room, say
from tests.signaling.delivery.systems import objects, rabbitmq, sqs
from tests.signaling.files.s3_server import ACCESS, BUCKET, SECRET, s3

WANTED = {"events": ["message.posted"]}
AWS = {"access_key": ACCESS, "secret_key": SECRET}
BEFORE, AWAY, ALL = 10, 30, 35
# The first batch after the outage is m10 to m19; of syslog, what went before goes again first.
MIDDLE = says("m15")


@dataclass
class Sink:
    """Behind `relay`; `came` is every event that it has, in its order, doubles too."""

    relay: Holder
    to: dict[str, Any]
    came: Callable[[], Awaitable[list[dict[str, Any]]]]
    authority: str = ""

    async def texts(self) -> list[str]:
        return [event["data"]["op"]["body"]["text"] for event in await self.came()]

    async def until(self, wanted: set[str]) -> list[str]:
        found: list[str] = []
        try:
            async with asyncio.timeout(120):
                while not wanted <= set(found := await self.texts()):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"missing: {sorted(wanted - set(found))}") from None
        return found


@contextlib.asynccontextmanager
async def https(_: Path) -> AsyncIterator[Sink]:
    async with receiving() as receiver, holding(receiver.port, MIDDLE) as relay:

        async def came() -> list[dict[str, Any]]:
            return receiver.events

        yield Sink(relay, {"type": "https", "url": f"http://127.0.0.1:{relay.port}/in"}, came)


@contextlib.asynccontextmanager
async def bucket(folder: Path) -> AsyncIterator[Sink]:
    async with (
        s3(folder / "s3") as endpoint,
        holding(int(endpoint.rpartition(":")[2]), MIDDLE) as relay,
    ):

        async def came() -> list[dict[str, Any]]:
            return objects(folder / "s3" / "data" / BUCKET)

        at = f"http://127.0.0.1:{relay.port}"
        yield Sink(relay, {"type": "s3", "endpoint": at, "bucket": BUCKET, **AWS}, came)


@contextlib.asynccontextmanager
async def queue(_: Path) -> AsyncIterator[Sink]:
    async with sqs() as made, holding(made.port, MIDDLE) as relay:
        taken: list[dict[str, Any]] = []

        async def came() -> list[dict[str, Any]]:
            await asyncio.to_thread(made.take, taken)
            return taken

        url = made.url.replace(str(made.port), str(relay.port))
        yield Sink(relay, {"type": "sqs", "queue_url": url, **AWS}, came)


@contextlib.asynccontextmanager
async def rabbit(folder: Path) -> AsyncIterator[Sink]:
    async with rabbitmq(folder / "rabbit") as made, holding(made.port, MIDDLE) as relay:
        to = {"type": "amqp", "host": "127.0.0.1", "port": relay.port, "tls": False,
              "user": "guest", "password": "guest", "routing_key": "events"}  # fmt: skip
        yield Sink(relay, to, made.events)


@contextlib.asynccontextmanager
async def syslog(folder: Path) -> AsyncIterator[Sink]:
    rsyslog = Rsyslog(folder / "rsyslog")
    await rsyslog.start()
    try:
        async with holding(rsyslog.port, is_more_than_a_handshake, half=True) as relay:

            async def came() -> list[dict[str, Any]]:
                return [event for event in rsyslog.received() if "specversion" in event]

            to = {"type": "syslog", "host": "127.0.0.1", "port": relay.port,
                  "overlap_seconds": 600.0}  # fmt: skip
            yield Sink(relay, to, came, str(rsyslog.files.authority))
    finally:
        rsyslog.stop()


@contextlib.asynccontextmanager
async def kafka(folder: Path) -> AsyncIterator[Sink]:
    """The relay stands where the broker says that it is."""
    broker = Broker(folder / "kafka")
    try:
        await asyncio.to_thread(broker.start)
        await broker.declare("events")
        async with holding(broker.astray, MIDDLE, port=broker.named) as relay:

            async def came() -> list[dict[str, Any]]:
                return [json.loads(record.value) for record in await broker.take("events")]

            to = {"type": "kafka", "servers": [f"127.0.0.1:{relay.port}"], "topic": "events",
                  "tls": False}  # fmt: skip
            yield Sink(relay, to, came)
    finally:
        broker.kill()


def named(first: int, last: int) -> list[str]:
    return [f"m{n}" for n in range(first, last)]


async def post(visit: Visit, where: str, first: int, last: int) -> None:
    for text in named(first, last):
        await say(visit, where, text)


async def open_at(sink: Sink) -> None:
    """Until the middle of a batch has gone to the sink, and something of that request is kept."""
    relay = sink.relay
    await asyncio.wait_for(relay.stopped.wait(), 60)
    if not relay.half:
        await sink.until({"m15"})
    async with asyncio.timeout(60):
        while not relay.kept:
            await asyncio.sleep(0.02)
    found = await sink.texts()
    if relay.half:
        assert "m19" not in found, "the rest of the batch is still to come"
    if sink.to["type"] == "amqp":
        assert found == named(0, 16), "one after another: the batch ends with m19"
    assert "m20" not in found, "no later batch goes while this one is open"


@pytest.mark.parametrize("system", [https, bucket, queue, rabbit, syslog, kafka])
async def test_killed_while_a_batch_is_open_after_an_outage_nothing_is_lost(
    tmp_path: Path, system: Callable[[Path], contextlib.AbstractAsyncContextManager[Sink]]
) -> None:
    async with system(tmp_path) as sink:
        relay = sink.relay
        house = house_at(tmp_path, {relay.port: sink.authority})
        async with living(house) as visit:
            where = await room(visit)
            wish = {"to": sink.to, "room": where, "filter": WANTED, "batch": 10}
            await must(visit, "POST", "/routes", wish)
            await post(visit, where, 0, BEFORE)
            await sink.until(set(named(0, BEFORE)))
            await relay.down()
            await post(visit, where, BEFORE, AWAY)
            await asyncio.sleep(1.0)
            relay.arm()
            await relay.up()
            await open_at(sink)
            answered = relay.answered
            assert house.process is not None and house.process.poll() is None
            await asyncio.to_thread(kill, house)
            assert relay.stopped.is_set() and relay.answered == answered, "it had no answer"
            await relay.release()
            await asyncio.to_thread(house.start)
            async with visiting(house) as again:
                await post(again, where, AWAY, ALL)
                came = await sink.until(set(named(0, ALL)))
        assert list(dict.fromkeys(came)) == named(0, ALL)
        print(f"{sink.to['type']}: {len(came)} came of {ALL}")
