"""Every kind of receiver that this server speaks to, made once for each process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from signaling.clock import Clock
from signaling.delivery.port import Item, Outcome
from signaling.delivery.sender import Sink
from signaling.delivery.sinks.aws import S3Sink, SqsSink
from signaling.delivery.sinks.https import HttpsSink
from signaling.delivery.sinks.syslog import SyslogSink
from signaling.delivery.subscriptions import S3, Amqp, Https, Kafka, Sqs, Subscription, Syslog
from signaling.delivery.telling import Event
from signaling.egress import Egress


class Later:
    """A sink that is made when something is to be sent: its library loads slowly, and most servers
    never ask for it. Its epoch is always 0.
    """

    def __init__(self, make: Callable[[], Sink]) -> None:
        self._make = make
        self._made: Sink | None = None

    async def send(
        self, one: Subscription, items: Sequence[Item], events: Sequence[Event]
    ) -> Outcome:
        if self._made is None:
            self._made = self._make()
        return await self._made.send(one, items, events)

    def epoch(self, ident: str) -> int:
        return 0

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()


def open_sinks(egress: Egress, clock: Clock) -> dict[type, Sink]:
    """By the type of a subscription's `to`. Each is to be closed."""

    def amqp() -> Sink:
        from signaling.delivery.sinks.amqp import AmqpSink

        return AmqpSink(egress)

    def kafka() -> Sink:
        from signaling.delivery.sinks.kafka import KafkaSink

        return KafkaSink(egress, clock)

    return {
        Https: HttpsSink(egress, clock),
        S3: S3Sink(egress, clock),
        Sqs: SqsSink(egress, clock),
        Syslog: SyslogSink(egress),
        Amqp: Later(amqp),
        Kafka: Later(kafka),
    }
