"""Routes to a real Kafka: what lies in the topic, in which order, how often; who may be called."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner

from signaling.delivery.feed import Place
from signaling.delivery.port import Item
from signaling.delivery.sinks.kafka import MOST_BATCH, Record, portions
from tests.peers.kafka.broker import PARTITIONS, PASSWORD, USER, Broker
from tests.signaling.access.rig import APP, Ground
from tests.signaling.delivery.house import DAY, Post, delivering
from tests.signaling.delivery.served import house_at, kill, living, must, room, say

POSTED = {"events": ["message.posted"]}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker(tmp_path_factory.mktemp("kafka") / "broker")
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
async def near(embedded: Ground, broker: Broker) -> AsyncIterator[Post]:
    """Everything of the broker may be called but the address that it names `astray`."""
    ports = {broker.port: "", broker.astray: "", broker.secure: str(broker.pki.authority)}
    async with delivering(embedded, ports=ports) as made:
        yield made


def to(port: int, topic: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "kafka", "servers": [f"127.0.0.1:{port}"], "topic": topic, "tls": False, **more
    }  # fmt: skip


async def route(post: Post, where: dict[str, Any], **more: Any) -> str:
    answer = await post.ask("POST", "/routes", {"to": where, "filter": POSTED, **more})
    assert answer.status == 201, answer.body
    return str(answer.body["id"])


async def come(post: Post, broker: Broker, topic: str, count: int) -> list[Any]:
    """As soon as there are so many; a slow broker is asked again."""
    async with asyncio.timeout(240):
        while len(records := await broker.take(topic)) < count:
            await post.waited(2)
    return records


def texts(records: list[Any]) -> list[str]:
    found = [msgspec.json.decode(record.value) for record in records if record.value is not None]
    return [event["data"]["op"]["body"]["text"] for event in found]


def named(count: int) -> list[str]:
    return [f"m{n}" for n in range(count)]


# What lies there


async def test_b15_records_are_keyed_by_room_and_lie_in_its_order(
    near: Post, broker: Broker
) -> None:
    await broker.declare("chat")
    await route(near, to(broker.port, "chat"), batch=7)
    rooms = [await near.served.room("bob") for _ in range(5)]
    for text in named(10):
        for where in rooms:
            await near.served.ann.post(where, text)
    await near.settle()
    records = await come(near, broker, "chat", 50)
    assert len(records) == 50
    for where in rooms:
        mine = [record for record in records if record.key == where.encode()]
        assert texts(mine) == named(10)
        # Where Kafka's own clients put that key.
        parts = list(range(PARTITIONS))
        chosen = DefaultPartitioner()(where.encode(), parts, parts)
        assert {record.partition for record in mine} == {chosen}
        for record in mine:
            event, headers = msgspec.json.decode(record.value), dict(record.headers)
            assert headers["content-type"] == b"application/cloudevents+json; charset=utf-8"
            for name in ("id", "type", "source", "specversion", "subject", "time"):
                assert headers[f"ce_{name}"] == event[name].encode()
    assert len({dict(record.headers)["ce_id"] for record in records}) == 50
    assert len({record.partition for record in records}) > 1


async def test_b15_accounts_of_one_batch_have_their_own_key_and_order(
    near: Post, broker: Broker
) -> None:
    """More of them than there are partitions, mixed, in one batch."""
    await broker.declare("accounts")
    made = await route(near, to(broker.port, "accounts"), batch=100)
    people = [f"account{n}" for n in range(2 * PARTITIONS)]
    said = [account_item(made, who, n) for n in range(5) for who in people]
    await near.house.outbox.put(said)
    await near.settle()
    records = await come(near, broker, "accounts", len(said))
    assert len(records) == len(said)
    for who in people:
        mine = [record for record in records if record.key == who.encode()]
        ids = [msgspec.json.decode(record.value)["id"] for record in mine]
        assert ids == [f"{who}:{n}" for n in range(5)]
        parts = list(range(PARTITIONS))
        chosen = DefaultPartitioner()(who.encode(), parts, parts)
        assert {record.partition for record in mine} == {chosen}


def account_item(made: str, who: str, number: int) -> Item:
    event = {
        "specversion": "1.0", "id": f"{who}:{number}", "source": "/accounts", "subject": who,
        "type": "sotto.account.changed", "time": "2026-01-01T00:00:00Z", "data": {"account": who},
    }  # fmt: skip
    return Item(
        app=APP, lane=f"route:{made}:@accounts", kind="route", target=made, id=str(event["id"]),
        body=msgspec.json.encode(Place("", event=event)),
    )  # fmt: skip


async def test_an_erased_message_is_told_and_an_erased_room_is_a_tombstone(
    near: Post, broker: Broker
) -> None:
    await broker.declare("erased")
    await route(near, to(broker.port, "erased"), filter={"events": ["message.*"]})
    where = await near.served.room("bob")
    message = await near.served.ann.post(where, "a secret")
    await near.settle()
    held = await near.house.chat.rooms.find(APP, where)
    assert held is not None
    known = await near.house.chat.rooms.known(held, message["id"])
    assert known is not None
    await near.house.chat.erase(held, [(message["id"], known.seq)], "erasure")
    await near.settle()
    await near.house.ground.sealer.shred(APP, f"room:{where}")
    await near.house.outbox.drop(APP, room=where)
    await near.settle()
    records = await come(near, broker, "erased", 4)
    types = [dict(record.headers)["ce_type"].decode() for record in records]
    assert types == [
        "sotto.message.posted", "sotto.message.erased", "sotto.room.erased", "sotto.room.erased"
    ]  # fmt: skip
    assert {record.key for record in records} == {where.encode()}
    assert msgspec.json.decode(records[1].value)["data"]["op"]["ids"] == [message["id"]]
    assert msgspec.json.decode(records[2].value)["data"] == {"room": where}
    assert records[3].value is None
    assert dict(records[3].headers)["ce_id"] == dict(records[2].headers)["ce_id"]


async def test_what_is_larger_than_the_topic_takes_is_a_dead_letter_alone(
    near: Post, broker: Broker
) -> None:
    await broker.declare("small", **{"max.message.bytes": "4000"})
    made = await route(near, to(broker.port, "small"), batch=50)
    where = await near.served.room("bob")
    for text in ("m0", "m1", "x" * 6000, "m2", "m3"):
        await near.served.ann.post(where, text)
    await near.settle()
    assert texts(await come(near, broker, "small", 4)) == named(4)
    [letter] = (await near.ask("GET", f"/routes/{made}/dead-letters")).body["items"]
    assert letter["reason"] == "it is larger than the topic takes"


def test_portions_are_as_large_as_a_topic_takes_and_none_is_empty() -> None:
    half = Record(b"r", bytes(MOST_BATCH // 2), [])
    large, small = Record(b"r", bytes(2 * MOST_BATCH), []), Record(b"r", b"{}", [("ce_id", b"r:1")])
    assert [len(p) for p in portions([half, half, half])] == [1, 1, 1]
    assert [len(p) for p in portions([small, large, small, small])] == [1, 1, 2]
    assert [len(p) for p in portions([small] * 500)] == [500]
    assert list(portions([])) == []


# What fails


async def test_a_topic_that_is_not_there_is_waited_for(near: Post, broker: Broker) -> None:
    made = await route(near, to(broker.port, "later"))
    where = await near.served.room("bob")
    await near.served.ann.post(where, "m0")
    await near.settle()
    shown = (await near.ask("GET", f"/routes/{made}")).body
    assert shown["failing_since"] is not None
    said = (await near.ask("POST", f"/routes/{made}/test")).body
    assert said == {"delivered": False, "reason": "the broker says: UnknownTopicOrPartition (3)"}
    await broker.declare("later")
    await near.waited(5)
    assert texts(await come(near, broker, "later", 1)) == ["m0"]
    assert (await near.ask("GET", f"/routes/{made}")).body["failing_since"] is None


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
async def test_signs_in_over_tls(near: Post, broker: Broker, mechanism: str) -> None:
    topic = mechanism.lower()
    await broker.declare(topic)
    signed = {"tls": True, "user": USER, "password": PASSWORD, "mechanism": mechanism}
    made = await route(near, to(broker.secure, topic, **signed))
    where = await near.served.room("bob")
    await near.served.ann.post(where, "m0")
    await near.settle()
    assert texts(await come(near, broker, topic, 1)) == ["m0"]
    wrong = {"to": to(broker.secure, topic, **{**signed, "password": "another"})}
    assert (await near.ask("PATCH", f"/routes/{made}", wrong)).status == 200
    said = (await near.ask("POST", f"/routes/{made}/test")).body
    assert said["reason"] == "the broker says: SaslAuthenticationFailed (58)"


async def test_b5_a_broker_that_another_authority_signed_is_not_spoken_to(
    embedded: Ground, broker: Broker
) -> None:
    signed = {"tls": True, "user": USER, "password": PASSWORD}
    async with delivering(embedded, ports={broker.secure: ""}) as post:
        made = await route(post, to(broker.secure, "chat", **signed))
        said = (await post.ask("POST", f"/routes/{made}/test")).body
        assert said == {
            "delivered": False, "reason": "the broker was not reached: SSLCertVerificationError"
        }  # fmt: skip


@dataclass
class Trap:
    asked: int = 0

    async def answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        writer.close()


async def test_b15_an_address_that_a_broker_names_is_guarded_like_any_other(
    near: Post, broker: Broker
) -> None:
    await broker.declare("astray")
    trap = Trap()
    async with await asyncio.start_server(trap.answer, "127.0.0.1", broker.named):
        made = await route(near, to(broker.astray, "astray"))
        where = await near.served.room("bob")
        await near.served.ann.post(where, "m0")
        await near.settle()
        for _ in range(3):
            await near.waited(10)
        words = "without TLS only where egress.allow says so"
        wanted = f"refused: a broker that the cluster names: {words}"
        said = (await near.ask("POST", f"/routes/{made}/test")).body
        assert said == {"delivered": False, "reason": wanted}
        assert (await near.ask("GET", f"/routes/{made}")).body["failing_since"] is not None
        assert near.house.outbox.counters["retried"] >= 4
        await near.waited(3 * DAY + 60)
        shown = (await near.ask("GET", f"/routes/{made}")).body
        assert (shown["enabled"], shown["reason"]) == (False, wanted)
        [letter] = (await near.ask("GET", f"/routes/{made}/dead-letters")).body["items"]
        assert letter["reason"] == f"disabled: {wanted}"
    assert trap.asked == 0
    assert await broker.take("astray") == []


# A broker behind somebody who looks at every request


Look = Callable[[bytes], str]


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "big"))


@contextlib.asynccontextmanager
async def between(broker: Broker, look: Look) -> AsyncIterator[None]:
    """Stands where the broker says that it is. `look` at a request says "": pass both ways, or
    "cut": the broker does it, and its answer is lost.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", broker.astray)
        with contextlib.suppress(OSError, EOFError):
            while True:
                request = await _frame(reader)
                back.write(request)
                answer = await _frame(there)
                if look(request) == "cut":
                    break
                writer.write(answer)
        back.transport.abort()
        writer.transport.abort()

    async with await asyncio.start_server(handle, "127.0.0.1", broker.named):
        yield


def is_produce(request: bytes) -> bool:
    """`request_api_key` of its header."""
    return request[4:6] == b"\0\0"


async def test_a_batch_whose_answer_was_lost_is_written_once(
    embedded: Ground, broker: Broker
) -> None:
    await broker.declare("once")
    lost = 0

    def look(request: bytes) -> str:
        nonlocal lost
        if is_produce(request) and lost < 2:
            lost += 1
            return "cut"
        return ""

    async with (
        between(broker, look),
        delivering(embedded, ports={broker.astray: "", broker.named: ""}) as post,
    ):
        await route(post, to(broker.astray, "once"), batch=4)
        where = await post.served.room("bob")
        for text in named(12):
            await post.served.ann.post(where, text)
        await post.settle()
        assert post.house.outbox.counters["retried"] == 0 and lost == 2
    assert texts(await broker.take("once")) == named(12)


async def test_b15_killed_between_a_batch_and_its_answer_nothing_is_lost(
    tmp_path: Path, broker: Broker
) -> None:
    await broker.declare("killed")
    house = house_at(tmp_path, {broker.astray: "", broker.named: ""})
    written = 0

    def look(request: bytes) -> str:
        nonlocal written
        written += is_produce(request)
        if is_produce(request) and written == 3:
            kill(house)
            return "cut"
        return ""

    async with between(broker, look), living(house) as there:
        where = await room(there)
        wish = {"to": to(broker.astray, "killed"), "room": where, "filter": POSTED, "batch": 5}
        await must(there, "POST", "/routes", wish)
        posting = asyncio.create_task(_post(there, where, 40))
        assert house.process is not None
        await asyncio.wait_for(asyncio.to_thread(house.process.wait), 180)
        await asyncio.to_thread(house.start)
        await asyncio.wait_for(posting, 180)
        async with asyncio.timeout(180):
            while set(texts(await broker.take("killed"))) != set(named(40)):
                await asyncio.sleep(0.2)
    came = texts(await broker.take("killed"))
    assert list(dict.fromkeys(came)) == named(40)
    print(f"{len(came)} records of 40 messages")


async def _post(there: Any, where: str, count: int) -> None:
    for text in named(count):
        await say(there, where, text)
