"""Routes to real systems: each gets everything in order, through an outage and a killed server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from signaling.delivery.subscriptions import SECRETS
from tests.peers.kafka.broker import Broker
from tests.rows.house import House, Visit, visiting
from tests.signaling.chat.test_messages import sealed
from tests.signaling.compliance.receivers import Rsyslog
from tests.signaling.delivery.house import Post, Receiver, receiving
from tests.signaling.delivery.served import house_at, kill, living, must, room, say
from tests.signaling.delivery.systems import (
    Rabbit,
    Relay,
    Sqs,
    objects,
    rabbitmq,
    relayed,
    sqs,
)
from tests.signaling.files.s3_server import ACCESS, BUCKET, SECRET, s3

WANTED = {"events": ["message.posted"]}
OUTAGE = float(os.environ.get("SOTTO_OUTAGE_SECONDS", "30"))


def texts(events: list[dict[str, Any]]) -> list[str]:
    """Of posts, each the first time that it came."""
    found = {e["id"]: e for e in reversed(events) if e["type"] == "sotto.message.posted"}
    return [event["data"]["op"]["body"]["text"] for event in reversed(found.values())]


@dataclass
class Systems:
    """All six at once, and what came to each."""

    https: Receiver
    rsyslog: Rsyslog
    rabbit: Rabbit
    queue: Sqs
    kafka: Broker
    bucket: Path
    relays: dict[str, Relay]
    queued: list[dict[str, Any]] = field(default_factory=list)

    def routes(self) -> list[dict[str, Any]]:
        relays = self.relays
        aws = {"access_key": ACCESS, "secret_key": SECRET}
        queue = self.queue.url.replace(str(self.queue.port), str(relays["sqs"].port))
        return [
            {"type": "https", "url": self.https.url},
            {"type": "syslog", "host": "127.0.0.1", "port": self.rsyslog.port,
             "overlap_seconds": 600.0},
            {"type": "amqp", "host": "127.0.0.1", "port": relays["amqp"].port, "tls": False,
             "user": "guest", "password": "guest", "routing_key": "events"},
            {"type": "sqs", "queue_url": queue, **aws},
            {"type": "s3", "endpoint": f"http://127.0.0.1:{relays['s3'].port}", "bucket": BUCKET,
             "prefix": "chat/", **aws},
            {"type": "kafka", "servers": [f"127.0.0.1:{self.kafka.port}"], "topic": "events",
             "tls": False},
        ]  # fmt: skip

    def allowed(self) -> dict[int, str]:
        ports = {self.https.port: "", self.kafka.port: ""}
        ports[self.rsyslog.port] = str(self.rsyslog.files.authority)
        return ports | {relay.port: "" for relay in self.relays.values()}

    async def raw(self) -> dict[str, list[dict[str, Any]]]:
        with contextlib.suppress(Exception):  # away for a moment
            await asyncio.to_thread(self.queue.take, self.queued)
            await self.kafka.take("events")
        records = self.kafka.taken.get("events", [])
        return {
            "https": self.https.events,
            "syslog": [e for e in self.rsyslog.received() if "specversion" in e],
            "amqp": await self.rabbit.events(),
            "sqs": list(self.queued),
            "s3": objects(self.bucket),
            "kafka": [json.loads(record.value) for record in records],
        }

    async def came(self) -> dict[str, list[str]]:
        return {name: texts(events) for name, events in (await self.raw()).items()}

    async def twice(self) -> dict[str, int]:
        """How many came more often than once."""
        found = {name: [e["id"] for e in events] for name, events in (await self.raw()).items()}
        return {name: len(ids) - len(set(ids)) for name, ids in found.items()}

    async def all_have(self, wanted: list[str], seconds: float) -> None:
        came: dict[str, list[str]] = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    came = await self.came()
                    if all(set(wanted) <= set(found) for found in came.values()):
                        break
                    await asyncio.sleep(0.5)
        except TimeoutError:
            missing = {name: sorted(set(wanted) - set(found)) for name, found in came.items()}
            raise AssertionError(f"missing: {missing}") from None
        for name, found in came.items():
            assert found == wanted, name

    async def down(self) -> None:
        self.https.status = 503
        self.rsyslog.kill()
        self.kafka.kill()
        for relay in self.relays.values():
            await relay.down()

    async def up(self) -> None:
        """But for Kafka."""
        await self.rsyslog.start()
        for relay in self.relays.values():
            await relay.up()
        self.https.status = 200


@contextlib.asynccontextmanager
async def systems(folder: Path) -> Any:
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        endpoint = await enter(s3(folder / "s3"))
        queue, rabbit = await enter(sqs()), await enter(rabbitmq(folder / "rabbit"))
        rsyslog = Rsyslog(folder / "rsyslog")
        await rsyslog.start()
        stack.callback(rsyslog.stop)
        kafka = Broker(folder / "kafka")
        stack.callback(kafka.kill)
        await asyncio.to_thread(kafka.start)
        await kafka.declare("events")
        relays = {
            "s3": await enter(relayed(int(endpoint.rpartition(":")[2]))),
            "sqs": await enter(relayed(queue.port)),
            "amqp": await enter(relayed(rabbit.port)),
        }
        https = await enter(receiving())
        bucket = folder / "s3" / "data" / BUCKET
        yield Systems(https, rsyslog, rabbit, queue, kafka, bucket, relays)


def kill_at(receiver: Receiver, house: House, number: int) -> Callable[[], None]:
    """The server dies while the receiver holds that request from now on."""
    handle, last = receiver.handle, receiver.asked + number

    async def killing(request: web.Request) -> web.StreamResponse:
        if receiver.asked + 1 == last:
            receiver.asked += 1
            await asyncio.to_thread(kill, house)
            return web.Response(status=500)
        return await handle(request)

    receiver.handle = killing  # type: ignore[method-assign]
    return lambda: setattr(receiver, "handle", handle)


async def outage(folder: Path, seconds: float) -> None:
    async with systems(folder) as there:
        house = house_at(folder, there.allowed())
        async with living(house) as visit:
            where = await room(visit)
            for to in there.routes():
                wish = {"to": to, "room": where, "filter": WANTED, "batch": 10}
                await must(visit, "POST", "/routes", wish)
            await post(visit, where, 0, 20)
            await there.all_have(named(20), 180)
            await there.down()
            await post(visit, where, 20, 120)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(there.kafka.start)  # takes seconds: before the rest
            began = time.monotonic()
            undo = kill_at(there.https, house, 4)
            await there.up()
            assert house.process is not None
            await asyncio.wait_for(asyncio.to_thread(house.process.wait), 180)
            undo()
            await asyncio.to_thread(house.start)
            async with visiting(house) as again:
                await post(again, where, 120, 140)
                await there.all_have(named(140), 240)
                took = time.monotonic() - began
            twice = await there.twice()
            print(f"away {seconds:.0f} s: all 140 were there {took:.1f} s later; twice: {twice}")


def named(count: int) -> list[str]:
    return [f"m{n}" for n in range(count)]


async def post(visit: Visit, where: str, first: int, last: int) -> None:
    for n in range(first, last):
        await say(visit, where, f"m{n}")


async def test_b15_every_system_gets_everything_in_order_through_an_outage_and_a_kill(
    tmp_path: Path,
) -> None:
    await outage(tmp_path, OUTAGE)


@pytest.mark.long
async def test_b15_every_system_through_an_outage_of_ten_minutes(tmp_path: Path) -> None:
    await outage(tmp_path, 600.0)


# One process, moved by hand


async def route(post: Post, **more: Any) -> dict[str, Any]:
    wish = {"to": {"type": "https", "url": post.receiver.url}, **more}
    answer = await post.ask("POST", "/routes", wish)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.body
    return made


async def test_a_route_sends_batches_in_order(post: Post) -> None:
    await route(post, batch=4, filter=WANTED)
    where = await post.served.room("bob")
    post.receiver.status = 503
    for n in range(10):
        await post.served.ann.post(where, f"m{n}")
    await post.settle()
    post.receiver.status = 200
    await post.waited(10)
    assert post.receiver.texts == named(10)
    headers = [headers for headers, _ in post.receiver.requests]
    assert len(headers) == 3
    kind = "application/cloudevents-batch+json; charset=utf-8"
    assert {fields["content-type"] for fields in headers} == {kind}


async def test_a_route_gathers_events_until_they_fill_a_batch_or_for_a_while(post: Post) -> None:
    made = await route(post, batch=5, batch_seconds=30, filter=WANTED)
    at = f"/routes/{made['id']}"
    assert (await post.ask("GET", at)).body["batch_seconds"] == 30
    where = await post.served.room("bob")

    async def said(first: int, last: int) -> list[str]:
        for n in range(first, last):
            await post.served.ann.post(where, f"m{n}")
        await post.settle()
        return post.receiver.texts

    assert await said(0, 3) == []
    await post.waited(31)
    assert post.receiver.texts == named(3) and len(post.receiver.requests) == 1
    assert await said(3, 9) == named(8), "the ninth begins the next batch"
    assert (await post.ask("PATCH", at, {"batch_seconds": 0})).body["batch_seconds"] == 0
    await post.settle()
    assert post.receiver.texts == named(9), "at once"
    assert await said(9, 10) == named(10)
    assert (await post.ask("PATCH", at, {"batch_seconds": 301})).status == 422


async def test_b10_a_route_of_an_encrypted_room_carries_ciphertext(post: Post) -> None:
    await route(post, filter={"custom": {"urgent": True}})
    where = await post.served.room("bob", mode="e2ee")
    for urgent in (True, False):
        body = {"body": sealed(), "custom": {"urgent": urgent}}
        answer = await post.served.bob.ask("POST", f"/rooms/{where}/messages", body)
        assert answer.status == 201
    await post.settle()
    [event] = post.receiver.events
    assert event["data"]["op"]["body"]["ct"] == sealed()["ct"]


async def test_b20_a_route_of_a_transient_room_is_refused_unless_allowed(post: Post) -> None:
    where = await post.served.room("bob", mode="transient")
    to = {"type": "https", "url": post.receiver.url}
    refused = await post.ask("POST", "/routes", {"to": to, "room": where})
    assert refused.status == 422 and refused.body["errors"][0]["pointer"] == "/transient"
    await route(post, room=where, transient=True, filter=WANTED)
    await post.served.ann.post(where, "passing")
    await post.settle()
    assert post.receiver.texts == ["passing"]


async def test_secrets_of_routes_are_never_shown(post: Post) -> None:
    made = await route(post)
    assert made["secret"].startswith("whsec_")
    port, secret = post.receiver.port, "a-secret-of-somebody"
    wishes: list[dict[str, Any]] = [
        {"type": "s3", "endpoint": f"http://127.0.0.1:{port}", "bucket": "files",
         "access_key": "a", "secret_key": secret},
        {"type": "sqs", "queue_url": f"http://127.0.0.1:{port}/1/q", "access_key": "a",
         "secret_key": secret},
        {"type": "amqp", "host": "127.0.0.1", "port": port, "tls": False, "user": "u",
         "password": secret},
        {"type": "syslog", "host": "127.0.0.1", "port": port},
        {"type": "kafka", "servers": [f"127.0.0.1:{port}"], "topic": "t", "tls": False,
         "user": "u", "password": secret},
    ]  # fmt: skip
    for to in wishes:
        answer = await post.ask("POST", "/routes", {"to": to, "batch": 50})
        assert answer.status == 201, answer.body
        assert answer.body["batch"] == (10 if to["type"] == "sqs" else 50)
        shown = await post.ask("GET", f"/routes/{answer.body['id']}")
        wanted = {name: value for name, value in to.items() if name not in SECRETS}
        assert wanted.items() <= shown.body["to"].items()
    listed = await post.ask("GET", "/routes")
    assert len(listed.body["items"]) == 6
    assert secret not in str(listed.body) and "whsec_" not in str(listed.body)


@pytest.mark.parametrize(
    ("to", "pointer"),
    [
        ({"type": "https", "url": "https://10.0.0.1/"}, "/to/url"),
        ({"type": "s3", "endpoint": "https://169.254.169.254", "bucket": "abc", "access_key": "a",
          "secret_key": "b"}, "/to/endpoint"),
        ({"type": "sqs", "queue_url": "http://sqs.example/1/q", "access_key": "a",
          "secret_key": "b"}, "/to/queue_url"),
        ({"type": "syslog", "host": "192.168.0.1"}, "/to/host"),
        ({"type": "amqp", "host": "::1", "user": "u", "password": "p"}, "/to/host"),
        ({"type": "amqp", "host": "1.1.1.1", "tls": False, "user": "u", "password": "p"},
         "/to/host"),
        ({"type": "kafka", "servers": ["1.1.1.1:9093", "10.1.2.3:9093"], "topic": "t"},
         "/to/servers/1"),
        ({"type": "kafka", "servers": ["1.1.1.1:9092"], "topic": "t", "tls": False},
         "/to/servers/0"),
    ],
)  # fmt: skip
async def test_b15_routes_lead_nowhere_private(post: Post, to: Any, pointer: str) -> None:
    answer = await post.ask("POST", "/routes", {"to": to})
    assert answer.status == 422, answer.body
    assert answer.body["errors"][0]["pointer"] == pointer


async def test_routes_are_for_administrators_and_can_be_changed(post: Post) -> None:
    made = await route(post, name="first", filter=WANTED)
    at = f"/routes/{made['id']}"
    for method, path in (("GET", "/routes"), ("GET", at), ("PATCH", at), ("DELETE", at),
                         ("POST", at + "/test"), ("POST", at + "/replay"),
                         ("GET", at + "/dead-letters")):  # fmt: skip
        body: Any = {} if method == "PATCH" else None
        assert (await post.ask(method, path, body, who="ann")).status == 403, path
    assert (await post.ask("GET", f"/webhooks/{made['id']}")).status == 404
    assert (await post.ask("POST", at + "/test")).body["delivered"]
    changed = await post.ask("PATCH", at, {"name": "second", "batch": 7, "enabled": False})
    assert (changed.body["name"], changed.body["batch"], changed.body["enabled"]) == (
        "second", 7, False
    )  # fmt: skip
    where = await post.served.room("bob")
    await post.served.ann.post(where, "missed")
    await post.settle()
    assert (await post.ask("PATCH", at, {"enabled": True})).body["reason"] == ""
    post.house.feed.nudge("default", where)
    await post.settle()
    assert post.receiver.texts == ["missed"]
    assert (await post.ask("DELETE", at)).status == 204
    assert (await post.ask("GET", at)).status == 404
