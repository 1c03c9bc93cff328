"""Events to an exchange of AMQP 0-9-1 (RabbitMQ): persistent, confirmed, in the order of the lane.

What the broker can route nowhere counts as not taken. Each route has a connection of its own, to
an address that was looked up and may be called; its certificate proves the name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiormq
import msgspec
from aiormq.exceptions import AMQPError
from yarl import URL

from signaling.delivery.port import Delivered, Item, Outcome, Retry
from signaling.delivery.subscriptions import Amqp, Subscription
from signaling.delivery.telling import Event
from signaling.egress import Egress, EgressFailed, EgressRefused

# Below the outbox's own patience.
SECONDS = 12.0
HEARTBEAT = 10
PERSISTENT = 2
JSON = "application/cloudevents+json"


@dataclass(slots=True)
class _Held:
    """A route's connection; `to` is what it was made for."""

    to: Amqp
    connection: Any = None
    channel: Any = None
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)


class AmqpSink:
    """Borrows `egress`. `close` it."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._held: dict[str, _Held] = {}

    async def send(
        self, one: Subscription, items: Sequence[Item], events: Sequence[Event]
    ) -> Outcome:
        to = one.to
        assert isinstance(to, Amqp)
        held = self._held.setdefault(one.id, _Held(to))
        try:
            async with asyncio.timeout(SECONDS), held.gate:
                channel = await self._channel(held, to)
                for event in events:
                    await _publish(channel, to, event)
        except EgressRefused as error:
            return Retry(0.0, f"refused: {error}")
        except EgressFailed as error:
            return Retry(0.0, str(error))
        except (AMQPError, OSError, TimeoutError) as error:
            await _close(held)
            return Retry(0.0, f"the broker did not take it: {type(error).__name__}")
        return Delivered()

    def epoch(self, ident: str) -> int:
        return 0

    async def close(self) -> None:
        for held in self._held.values():
            await _close(held)
        self._held.clear()

    async def _channel(self, held: _Held, to: Amqp) -> Any:
        if held.channel is not None and held.to == to and not held.channel.is_closed:
            return held.channel
        await _close(held)
        held.to = to
        place = await self._egress.place(to.host, to.port, plain=not to.tls)
        url = _url(to, place.address)
        more: dict[str, Any] = {}
        if to.tls:
            more = {"context": place.context, "server_hostname": place.name}
        held.connection = await aiormq.connect(url, **more)
        held.channel = await held.connection.channel(publisher_confirms=True)
        return held.channel


def _url(to: Amqp, address: str) -> URL:
    """AMQP URI specification; an address of IPv6 in brackets."""
    host = f"[{address}]" if ":" in address else address
    user, password, vhost = (quote(text, safe="") for text in (to.user, to.password, to.vhost))
    scheme = "amqps" if to.tls else "amqp"
    text = f"{scheme}://{user}:{password}@{host}:{to.port}/{vhost}?heartbeat={HEARTBEAT}"
    return URL(text, encoded=True)


async def _publish(channel: Any, to: Amqp, event: Event) -> None:
    """Returns when the broker has it."""
    body = msgspec.json.encode(event)
    shown = msgspec.json.decode(body)
    await channel.basic_publish(
        body,
        exchange=to.exchange,
        routing_key=to.routing_key,
        properties=aiormq.spec.Basic.Properties(
            content_type=JSON, delivery_mode=PERSISTENT, message_id=shown["id"],
            message_type=shown["type"], app_id="sotto",
        ),
        mandatory=True,
    )  # fmt: skip


async def _close(held: _Held) -> None:
    connection, held.connection, held.channel = held.connection, None, None
    if connection is not None:
        with contextlib.suppress(AMQPError, OSError, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(2.0):
                await connection.close()
