"""Who wants events: webhooks and routes as they are kept, sealed; and a copy in each process.

A change is told to the other processes over the bus; a lost hint is made good by reading anew
(`feed` does so now and then). What a subscription leads to is a `To`; `sinks` know how to speak it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from signaling.bus.port import Bus
from signaling.bus.port import Subscription as Listening
from signaling.delivery.events import EventFilter
from signaling.delivery.signing import Key
from signaling.keys.port import Sealer
from signaling.storage.port import Store
from signaling.storage.table import Missing, Row, Table

KIND = "delivery.subscription"
PAGE = 200


Text = Annotated[str, Meta(min_length=1, max_length=256)]
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:\[\]_-]{1,255}$")]
Hidden = Annotated[str, Meta(min_length=1, max_length=512)]
Port = Annotated[int, Meta(ge=1, le=65535)]
# Host and port; an address of IPv6 in brackets.
Server = Annotated[
    str, Meta(pattern=r"^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255}):[0-9]{1,5}$")
]


class _To(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Where events go. What only its owner may know is in `SECRETS`."""


class Https(_To, frozen=True, kw_only=True, tag="https"):
    """POST, signed with `keys`."""

    url: str
    keys: tuple[Key, ...] = ()


class S3(_To, frozen=True, kw_only=True, tag="s3"):
    """An object for each batch, below `prefix`."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=2048)]
    bucket: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")] = "us-east-1"
    access_key: Text
    secret_key: Hidden
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_./-]{0,256}$")] = ""


class Sqs(_To, frozen=True, kw_only=True, tag="sqs"):
    """A queue; of a `.fifo` one each room, or account, is a group."""

    queue_url: Annotated[str, Meta(min_length=1, max_length=2048)]
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")] = "us-east-1"
    access_key: Text
    secret_key: Hidden


class Syslog(_To, frozen=True, kw_only=True, tag="syslog"):
    """RFC 5424 over TLS; what was sent within `overlap_seconds` of a loss is sent again."""

    host: Host
    port: Port = 6514
    facility: Annotated[int, Meta(ge=0, le=23)] = 16
    overlap_seconds: Annotated[float, Meta(ge=0, le=3600)] = 60.0


class Amqp(_To, frozen=True, kw_only=True, tag="amqp"):
    """AMQP 0-9-1 with publisher confirms; without TLS only where `egress.allow` says so."""

    host: Host
    port: Port = 5671
    tls: bool = True
    vhost: Text = "/"
    user: Text
    password: Hidden
    exchange: Annotated[str, Meta(max_length=255)] = ""
    routing_key: Annotated[str, Meta(max_length=255)] = ""


class Kafka(_To, frozen=True, kw_only=True, tag="kafka"):
    """Records of a topic, keyed by room or account. `servers` are asked for the others; without a
    `user` nobody signs in; without TLS only where `egress.allow` says so.
    """

    servers: Annotated[tuple[Server, ...], Meta(min_length=1, max_length=16)]
    topic: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    tls: bool = True
    user: Annotated[str, Meta(max_length=256)] = ""
    password: Annotated[str, Meta(max_length=512)] = ""
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"


To = Https | S3 | Sqs | Syslog | Amqp | Kafka
SECRETS = frozenset({"keys", "secret_key", "password"})

MOST_BATCH = 10_000
MOST_SQS = 10
# What is confirmed one by one, or kept until it settles, is best sent in smaller batches.
_MOST: dict[type, int] = {Sqs: MOST_SQS, Amqp: 1000, Syslog: 1000}


def bounded(to: To, batch: int) -> int:
    """As many of a batch as this kind takes at once."""
    return min(batch, _MOST.get(type(to), MOST_BATCH))


class Subscription(Struct, frozen=True, kw_only=True):
    """A webhook or a route. `room` None: of every room. `transient`: of transient rooms too, in
    memory. `phi`: of rooms with health data too, which the operator alone can say. Up to `batch` go
    at once; fewer wait `batch_seconds` for more. Events from `since` on. `failing` since when
    nothing arrives; `disabled` for `reason`.
    """

    id: str
    kind: Literal["webhook", "route"]
    name: str
    to: To
    created: float
    since: float
    room: str | None = None
    filter: EventFilter = EventFilter()
    transient: bool = False
    phi: bool = False
    batch: Annotated[int, Meta(ge=1, le=MOST_BATCH)] = 1
    batch_seconds: Annotated[float, Meta(ge=0, le=300)] = 0.0
    failing: float = 0.0
    disabled: bool = False
    reason: str = ""

    def covers(self, room: str) -> bool:
        return not self.disabled and self.room in (None, room)


class Subscriptions:
    """One for each process; `start` it, then `of` needs no waiting. `close` it."""

    def __init__(self, store: Store, sealer: Sealer, bus: Bus, apps: Sequence[str]) -> None:
        self._rows: Table[Subscription] = Table(
            store, KIND, Subscription, sealer, terms=lambda one: (one.kind,)
        )
        self._bus, self._apps = bus, apps
        self._held: dict[str, dict[str, Subscription]] = {}
        self._stale: set[str] = set()
        self._listening: list[Listening] = []
        self.changed: Callable[[], None] = lambda: None

    async def start(self) -> None:
        for app in self._apps:
            self._listening.append(self._bus.subscribe(_topic(app), self._hear(app)))
            await self.refresh(app)

    def close(self) -> None:
        for one in self._listening:
            one.close()

    def _hear(self, app: str) -> Callable[[bytes], None]:
        def heard(_: bytes) -> None:
            self._stale.add(app)
            self.changed()

        return heard

    # The copy

    def of(self, app: str) -> Sequence[Subscription]:
        return tuple(self._held.get(app, {}).values())

    async def refresh(self, app: str) -> None:
        self._stale.discard(app)
        found: dict[str, Subscription] = {}
        after = ""
        while True:
            page = await self._rows.scan(app, after=after, limit=PAGE)
            found.update((row.key, row.value) for row in page)
            if len(page) < PAGE:
                break
            after = page[-1].key
        self._held[app] = found

    async def fresh(self, app: str) -> Sequence[Subscription]:
        """Read anew if somebody changed one."""
        if app in self._stale or app not in self._held:
            await self.refresh(app)
        return self.of(app)

    async def find(self, app: str, ident: str) -> Subscription | None:
        await self.fresh(app)
        held = self._held.get(app, {}).get(ident)
        if held is not None:
            return held
        row = await self._rows.get(app, ident)
        return None if row is None else row.value

    # The rows

    async def get(self, app: str, ident: str) -> Row[Subscription] | None:
        return await self._rows.get(app, ident)

    async def page(self, app: str, kind: str, after: str, limit: int) -> list[Row[Subscription]]:
        return await self._rows.scan(app, term=kind, after=after, limit=limit)

    async def create(self, app: str, one: Subscription) -> None:
        await self._rows.create(app, one.id, one)
        await self._tell(app)

    async def change(
        self, app: str, ident: str, change: Callable[[Subscription], Subscription]
    ) -> Subscription | None:
        """None when it was removed meanwhile."""
        try:
            row = await self._rows.change(app, ident, change)
        except Missing:
            return None
        await self._tell(app)
        return row.value

    async def delete(self, app: str, ident: str) -> bool:
        done = await self._rows.delete(app, ident)
        await self._tell(app)
        return done

    async def _tell(self, app: str) -> None:
        await self.refresh(app)
        await self._bus.publish(_topic(app), b"")


def _topic(app: str) -> str:
    return f"{app}:delivery"
