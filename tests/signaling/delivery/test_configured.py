"""Routes that stand in the configuration: kept like the others, changed by it alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from signaling.config.delivery import DeliveryRoute
from signaling.delivery import signing
from signaling.delivery.configured import keep, routes_of
from signaling.delivery.subscriptions import Kafka
from signaling.errors import ConfigError
from signaling.secret import Secret
from tests.signaling.delivery.house import Post


def table(**more: Any) -> DeliveryRoute:
    return msgspec.convert({"id": "ours", "type": "syslog", "host": "10.0.0.1", **more},
                           DeliveryRoute)  # fmt: skip


async def test_routes_of_the_configuration_are_kept_and_no_api_changes_them(post: Post) -> None:
    clock, app = post.house.clock, "default"

    async def start(*tables: DeliveryRoute) -> None:
        wanted = routes_of(tables, clock.unix())
        await keep(post.house.subscriptions, post.house.outbox, app, wanted)

    secret = Secret(signing.secret(bytes(32)))
    first = table(type="https", url=post.receiver.url, secret=secret, events=("message.posted",))
    await start(first)
    where = await post.served.room("bob")
    await post.served.ann.post(where, "one")
    await post.settle()
    assert post.receiver.texts == ["one"]
    at = "/routes/config-ours"
    assert (await post.ask("GET", at)).body["name"] == "ours"
    assert (await post.ask("DELETE", at)).status == 409
    assert (await post.ask("PATCH", at, {"batch": 1})).status == 409
    clock.advance(60)
    await post.served.ann.post(where, "two")
    await start(msgspec.structs.replace(first, batch=1))
    await post.settle()
    assert post.receiver.texts == ["one", "two"], "since when it stands is not forgotten"
    await start()
    assert (await post.ask("GET", at)).status == 404


@pytest.mark.parametrize(
    "more",
    [{"host": ""}, {"events": ("nothing",)}, {"type": "https", "url": "https://a.example/"},
     {"type": "s3", "url": "https://a.example/"}, {"type": "amqp", "user": "u"},
     {"type": "kafka", "topic": "t"}, {"type": "kafka", "servers": ("a.example",), "topic": "t"},
     {"type": "kafka", "servers": ("a.example:9093",), "topic": "t", "mechanism": "NONE"}],
)  # fmt: skip
def test_a_route_that_cannot_be_is_refused_at_the_start(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"delivery\.routes\.ours"):
        routes_of([table(**more)], 0.0)
    with pytest.raises(ConfigError, match="twice"):
        routes_of([table(), table()], 0.0)


def test_a_route_to_kafka_has_what_the_table_says() -> None:
    servers = ("a.example:9093", "[2001:db8::1]:9093")
    one = table(
        type="kafka", servers=servers, topic="chat", user="u", secret=Secret("p"), tls=False,
        mechanism="PLAIN", batch=7, batch_seconds=2.0,
    )  # fmt: skip
    made = routes_of([one], 0.0)["config-ours"]
    assert made.to == Kafka(
        servers=servers, topic="chat", user="u", password="p", tls=False, mechanism="PLAIN"
    )
    assert (made.batch, made.batch_seconds) == (7, 2.0)
