"""Routes of the operator's configuration: kept like the others, so that all processes agree since
when each stands; changed by the configuration alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from signaling.config.delivery import DeliveryRoute
from signaling.delivery import signing
from signaling.delivery.events import EventFilter
from signaling.delivery.outbox import DurableOutbox
from signaling.delivery.subscriptions import Subscription, Subscriptions, To, bounded
from signaling.errors import ConfigError
from signaling.storage.port import Conflict

PREFIX = "config-"
PAGE = 200
# What each kind takes of a table, and what it calls it.
_FIELDS: dict[str, dict[str, str]] = {
    "https": {"url": "url"},
    "s3": {"url": "endpoint", "bucket": "bucket", "region": "region", "user": "access_key",
           "secret": "secret_key", "prefix": "prefix"},
    "sqs": {"url": "queue_url", "region": "region", "user": "access_key", "secret": "secret_key"},
    "syslog": {"host": "host", "port": "port", "facility": "facility",
               "overlap_seconds": "overlap_seconds"},
    "amqp": {"host": "host", "port": "port", "tls": "tls", "vhost": "vhost", "user": "user",
             "secret": "password", "exchange": "exchange", "routing_key": "routing_key"},
    "kafka": {"servers": "servers", "topic": "topic", "tls": "tls", "user": "user",
              "secret": "password", "mechanism": "mechanism"},
}  # fmt: skip


def is_configured(ident: str) -> bool:
    return ident.startswith(PREFIX)


def routes_of(tables: Sequence[DeliveryRoute], now: float) -> dict[str, Subscription]:
    """By id. Raises ConfigError."""
    found: dict[str, Subscription] = {}
    for table in tables:
        path = f"delivery.routes.{table.id}"
        ident = PREFIX + table.id
        if ident in found:
            raise ConfigError(path, "is there twice")
        try:
            wanted = msgspec.convert(
                {"events": table.events, "jsonpath": table.jsonpath}, EventFilter
            )
            to = _to(table, now)
        except (msgspec.ValidationError, ValueError) as error:
            raise ConfigError(path, str(error)) from None
        found[ident] = Subscription(
            id=ident, kind="route", name=table.id, to=to, created=now,
            since=int(now * 1000) / 1000, room=table.room or None, filter=wanted,
            transient=table.transient, phi=table.phi,
            batch=bounded(to, table.batch),
            batch_seconds=table.batch_seconds,
        )  # fmt: skip
    return found


def _to(table: DeliveryRoute, now: float) -> To:
    given: dict[str, Any] = {"type": table.type}
    for name, called in _FIELDS[table.type].items():
        value = getattr(table, name)
        if name == "secret" and value is not None:
            value = value.reveal()
        if value not in ("", None, 0) or name in ("exchange", "tls", "facility"):
            given[called] = value
    if table.type == "https":
        if table.secret is None or not table.secret.reveal().startswith(signing.PREFIX):
            raise ValueError("secret: `whsec_` and base64 of at least 24 bytes")
        given["keys"] = [{"text": table.secret.reveal(), "created": now}]
    found: To = msgspec.convert(given, To)
    return found


async def keep(
    subscriptions: Subscriptions, outbox: DurableOutbox, app: str, wanted: dict[str, Subscription]
) -> None:
    """What is kept follows the configuration; since when, and what failed, stays."""
    for ident, one in wanted.items():
        row = await subscriptions.get(app, ident)
        if row is None:
            try:
                await subscriptions.create(app, one)
            except Conflict:
                continue  # another process began it
            continue

        def follow(old: Subscription, one: Subscription = one) -> Subscription:
            return replace(
                one, created=old.created, since=old.since, failing=old.failing,
                disabled=old.disabled, reason=old.reason,
            )  # fmt: skip

        await subscriptions.change(app, ident, follow)
    for row in await subscriptions.page(app, "route", PREFIX, PAGE):
        if is_configured(row.key) and row.key not in wanted:
            await subscriptions.delete(app, row.key)
            await outbox.drop(app, target=row.key)
