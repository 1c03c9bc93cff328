"""Events to a topic of Kafka: records keyed by room, each batch written at once and by number.
What is of no room is keyed by account, and a batch of it is a write for each partition.

A producer number and a sequence tell the broker what it has already (KIP-98): a batch whose answer
was lost is not written twice. A batch is acknowledged by all replicas in sync before the next goes,
so a key's order holds in its partition. Every broker is guarded where it is connected to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import msgspec
from aiokafka.partitioner import murmur2
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from signaling.clock import Clock
from signaling.delivery.events import PREFIX, EventType
from signaling.delivery.port import Dead, Delivered, Item, Outcome, Retry
from signaling.delivery.sender import group_of
from signaling.delivery.sinks.kafka_line import BrokerError, Line, check
from signaling.delivery.subscriptions import Kafka, Subscription
from signaling.delivery.telling import Event
from signaling.egress import Egress, EgressFailed, EgressRefused

# Below the outbox's own patience; a broker waits less for its replicas.
SECONDS = 12.0
ACKNOWLEDGE_MS = 8000
TRIES, PAUSE = 4, 0.3
# Below what topics take unless they say otherwise (`max.message.bytes`, 1 MiB).
MOST_BATCH = 900_000
ALL_IN_SYNC = -1
# Error codes of Kafka's protocol.
TOO_LARGE, LIST_TOO_LARGE, DUPLICATE = 10, 18, 46
JSON = b"application/cloudevents+json; charset=utf-8"
ERASED = PREFIX + EventType.ROOM_ERASED.value

Place = tuple[str, int]
T = TypeVar("T")


class Record(msgspec.Struct, frozen=True):
    """`value` None: compaction forgets everything under its key."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @property
    def size(self) -> int:
        """At most so many bytes, with what surrounds them."""
        headers = sum(len(name) + len(value) + 10 for name, value in self.headers)
        return len(self.key) + len(self.value or b"") + headers + 32


class _Producer:
    """A route's part in its topic. After what it raises it is closed, and another one is made."""

    def __init__(self, egress: Egress, to: Kafka, clock: Clock) -> None:
        self.to = to
        self._egress, self._clock = egress, clock
        self._servers = [_place(server) for server in to.servers]
        self._lines: dict[Place, Line] = {}
        # Read once: a topic that is given more partitions keeps a room's place till a loss.
        self._leaders: list[Place | None] = []
        self._number: tuple[int, int] | None = None
        self._next: dict[int, int] = {}

    async def put(self, records: Sequence[Record]) -> None:
        """Raises BrokerError, EgressRefused, EgressFailed, OSError, EOFError."""
        now = int(self._clock.unix() * 1000)
        parted = await self._insist(lambda: self._parted(records))
        for part, theirs in parted.items():
            for portion in portions(theirs):
                await self._insist(partial(self._write, part, portion, now))

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        for _ in range(TRIES - 1):
            try:
                return await work()
            except (BrokerError, OSError, EOFError) as error:
                if isinstance(error, BrokerError) and not error.again:
                    raise
            # By the same number, so that what was written without an answer is known.
            self._hang_up()
            await asyncio.sleep(PAUSE)
        return await work()

    def close(self) -> None:
        self._hang_up()
        self._number, self._next = None, {}

    def _hang_up(self) -> None:
        for line in self._lines.values():
            line.close()
        self._lines.clear()
        self._leaders.clear()

    async def _parted(self, records: Sequence[Record]) -> dict[int, list[Record]]:
        """As Kafka's own clients choose it, so that others who write by room meet in one partition.
        In each the order is kept.
        """
        if not self._leaders:
            await self._look()
        found: dict[int, list[Record]] = {}
        for record in records:
            part = (murmur2(record.key) & 0x7FFFFFFF) % len(self._leaders)
            found.setdefault(part, []).append(record)
        return found

    async def _write(self, part: int, records: Sequence[Record], now: int) -> None:
        if not self._leaders:
            await self._look()
        leader = self._leaders[part] if part < len(self._leaders) else None
        if leader is None:
            raise BrokerError("LeaderNotAvailable", again=True)
        line = await self._line(leader, advertised=True)
        if self._number is None:
            answer = await line.ask(InitProducerIdRequest(None, 2**31 - 1))
            check(answer.error_code)
            self._number = (answer.producer_id, answer.producer_epoch)
        first = self._next.get(part, 0)
        data = _batch(records, now, *self._number, first)
        answer = await line.ask(
            ProduceRequest(None, ALL_IN_SYNC, ACKNOWLEDGE_MS, [(self.to.topic, [(part, data)])])
        )
        code = _code_of(answer)
        if code != DUPLICATE:
            check(code)
        self._next[part] = (first + len(records)) % 2**31

    async def _look(self) -> None:
        """Who leads which partition, from the first server that says so."""
        for left in reversed(range(len(self._servers))):
            try:
                line = await self._line(self._servers[0])
                answer = await line.ask(MetadataRequest([self.to.topic], False))
            except (EgressRefused, EgressFailed, BrokerError, OSError, EOFError):
                if not left:
                    raise
                self._servers.append(self._servers.pop(0))
                continue
            self._leaders = _leaders(answer)
            return

    async def _line(self, place: Place, *, advertised: bool = False) -> Line:
        """Raises what `Line.open` does."""
        line = self._lines.get(place)
        if line is None:
            try:
                line = await Line.open(self._egress, self.to, *place)
            except EgressRefused as error:
                if advertised:
                    raise EgressRefused(f"a broker that the cluster names: {error}") from error
                raise
            self._lines[place] = line
        return line


def _place(text: str) -> Place:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _leaders(answer: Any) -> list[Place | None]:
    """By partition. Raises BrokerError."""
    try:
        brokers = {row[0]: (str(row[1]), int(row[2])) for row in answer.brokers}
        [topic] = answer.topics
        parts = {row[1]: row[2] for row in topic[-1]}
        code = topic[0]
    except (ValueError, TypeError, LookupError) as error:
        raise BrokerError("it does not answer as Kafka does") from error
    check(code)
    if not parts or set(parts) != set(range(len(parts))):
        raise BrokerError("LeaderNotAvailable", again=True)
    return [brokers.get(parts[n]) for n in range(len(parts))]


def _code_of(answer: Any) -> int:
    """Of the one partition that was written to. Raises BrokerError."""
    try:
        [(_, [part])] = answer.topics
        return int(part[1])
    except (ValueError, TypeError, LookupError) as error:
        raise BrokerError("it does not answer as Kafka does") from error


def portions(records: Sequence[Record]) -> Iterator[list[Record]]:
    """In order, each below what a topic takes; what is larger alone goes alone."""
    found: list[Record] = []
    size = 0
    for record in records:
        if found and size + record.size > MOST_BATCH:
            yield found
            found, size = [], 0
        found.append(record)
        size += record.size
    if found:
        yield found


def _batch(records: Sequence[Record], now: int, number: int, epoch: int, first: int) -> bytes:
    """A record batch (message format 2), not compressed."""
    made = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=number, producer_epoch=epoch, base_sequence=first,
        batch_size=2**31 - 1,
    )  # fmt: skip
    for offset, record in enumerate(records):
        made.append(offset, now, key=record.key, value=record.value, headers=record.headers)
    return bytes(made.build())


def records_of(first: Item, events: Sequence[Event]) -> list[Record]:
    """CloudEvents' Kafka binding, structured (section 3.3), with the headers of the binary mode.
    `first` is that of their batch.

    After the end of a room a record without a value: a compacted topic forgets the room.
    """
    found = []
    for event in events:
        body, key = msgspec.json.encode(event), group_of(first, event).encode()
        shown = msgspec.json.decode(body)
        names = ("specversion", "id", "source", "type", "time", "subject")
        told = [(f"ce_{name}", str(shown[name]).encode()) for name in names]
        found.append(Record(key, body, [("content-type", JSON), *told]))
        if shown["type"] == ERASED:
            found.append(Record(key, None, told))
    return found


@dataclass(slots=True)
class _Held:
    producer: _Producer
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)


class KafkaSink:
    """Borrows `egress`. `close` it."""

    def __init__(self, egress: Egress, clock: Clock) -> None:
        self._egress, self._clock = egress, clock
        self._held: dict[str, _Held] = {}

    async def send(
        self, one: Subscription, items: Sequence[Item], events: Sequence[Event]
    ) -> Outcome:
        to = one.to
        assert isinstance(to, Kafka)
        held = self._held.get(one.id)
        if held is None:
            held = self._held[one.id] = _Held(_Producer(self._egress, to, self._clock))
        try:
            async with asyncio.timeout(SECONDS), held.gate:
                return await self._put(held, to, records_of(items[0], events))
        except TimeoutError:
            return Retry(0.0, "the broker did not answer in time")

    async def _put(self, held: _Held, to: Kafka, records: Sequence[Record]) -> Outcome:
        if held.producer.to != to:
            held.producer.close()
            held.producer = _Producer(self._egress, to, self._clock)
        done = False
        try:
            await held.producer.put(records)
            done = True
        except EgressRefused as error:
            return Retry(0.0, f"refused: {error}")
        except EgressFailed as error:
            return Retry(0.0, str(error))
        except BrokerError as error:
            if error.code in (TOO_LARGE, LIST_TOO_LARGE):
                return Dead("it is larger than the topic takes")
            return Retry(0.0, f"the broker says: {error}")
        except (OSError, EOFError) as error:
            return Retry(0.0, f"the broker was not reached: {type(error).__name__}")
        finally:
            if not done:
                # Also when it was cancelled: what comes next begins with a number of its own.
                held.producer.close()
        return Delivered()

    def epoch(self, ident: str) -> int:
        return 0

    async def close(self) -> None:
        for held in self._held.values():
            held.producer.close()
        self._held.clear()
