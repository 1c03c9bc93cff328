"""The `delivery` section: webhooks and routes, how patient they are."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from signaling.config.section import Section
from signaling.secret import Secret


class DeliveryRoute(Section, frozen=True):
    """One route to a system of the operator's."""

    id: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,32}\Z", description="Its name, for good.")]
    type: Literal["https", "s3", "sqs", "syslog", "amqp", "kafka"]
    url: Annotated[str, Meta(description="Of https; the endpoint of s3; the queue's of sqs.")] = ""
    host: Annotated[str, Meta(description="Of syslog and amqp.")] = ""
    port: Annotated[int, Meta(ge=0, le=65535, description="0: the usual one.")] = 0
    tls: Annotated[bool, Meta(description="Of amqp and kafka.")] = True
    user: Annotated[str, Meta(description="Of amqp and kafka; the access key of s3 and sqs.")] = ""
    secret: Annotated[
        Secret | None,
        Meta(description="Password, secret key, or the `whsec_` that signs https requests."),
    ] = None
    region: str = "us-east-1"
    bucket: str = ""
    prefix: str = ""
    vhost: str = "/"
    exchange: str = ""
    routing_key: str = ""
    servers: Annotated[tuple[str, ...], Meta(description="Of kafka, each `host:port`.")] = ()
    topic: str = ""
    mechanism: str = "SCRAM-SHA-512"
    facility: Annotated[int, Meta(ge=0, le=23)] = 16
    overlap_seconds: Annotated[float, Meta(ge=0, le=3600)] = 60.0
    room: Annotated[str, Meta(description="Empty: of every room.")] = ""
    events: Annotated[tuple[str, ...], Meta(description="Empty: all.")] = ()
    jsonpath: Annotated[str, Meta(description="Of what an event must have. Empty: all.")] = ""
    transient: bool = False
    phi: Annotated[
        bool, Meta(description="Also of rooms that hold health data. No API can say so.")
    ] = False
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 100
    batch_seconds: Annotated[
        float, Meta(ge=0, le=300, description="So long do fewer than `batch` wait for more.")
    ] = 0.0


class Delivery(Section, frozen=True):
    """Webhooks and routes: what leaves the server because something happened in a room."""

    disable_after_days: Annotated[
        float,
        Meta(
            gt=0,
            le=30,
            description="A receiver that failed for so long is disabled, and the audit says so.",
        ),
    ] = 3.0
    dead_letter_days: Annotated[
        float,
        Meta(gt=0, le=365, description="So long can what was not delivered be sent once more."),
    ] = 30.0
    retry_most_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="The longest wait between two tries.")
    ] = 900.0
    batch_bytes: Annotated[
        int,
        Meta(
            ge=64 * 1024,
            le=64 * 1024 * 1024,
            description=(
                "The most of one batch; what does not fit goes with the next one. Of up to 16 "
                "batches at once this much memory is used, a few times."
            ),
        ),
    ] = 4 * 1024 * 1024
    incoming_per_minute: Annotated[
        int, Meta(ge=1, le=6000, description="Messages that one incoming webhook takes.")
    ] = 60
    routes: Annotated[
        tuple[DeliveryRoute, ...],
        Meta(
            description=(
                "Routes to your own systems that no API changes, each a table: `id`, `type`, and "
                "what docs/operations/delivery.md says of it."
            )
        ),
    ] = ()
