"""Every kind of receiver that this server speaks to, made once for each process."""

from __future__ import annotations

from signaling.clock import Clock
from signaling.delivery.sender import Sink
from signaling.delivery.sinks.amqp import AmqpSink
from signaling.delivery.sinks.aws import S3Sink, SqsSink
from signaling.delivery.sinks.https import HttpsSink
from signaling.delivery.sinks.kafka import KafkaSink
from signaling.delivery.sinks.syslog import SyslogSink
from signaling.delivery.subscriptions import S3, Amqp, Https, Kafka, Sqs, Syslog
from signaling.egress import Egress


def open_sinks(egress: Egress, clock: Clock) -> dict[type, Sink]:
    """By the type of a subscription's `to`. Each is to be closed."""
    return {
        Https: HttpsSink(egress, clock),
        S3: S3Sink(egress, clock),
        Sqs: SqsSink(egress, clock),
        Syslog: SyslogSink(egress),
        Amqp: AmqpSink(egress),
        Kafka: KafkaSink(egress, clock),
    }
