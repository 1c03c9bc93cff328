"""Rooms with delivery behind them, in one process: its feed, outbox and receivers, moved by hand.

`Receiver` is somebody's server on loopback, which `egress.allow` names. `settle` brings what was
said to whoever subscribed; nothing moves without it.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from signaling.bus.port import Bus
from signaling.delivery.feed import Feed
from signaling.delivery.lanes import Limits, Pace
from signaling.delivery.operations import routes, webhooks
from signaling.delivery.operations.common import Deps
from signaling.delivery.outbox import DurableOutbox
from signaling.delivery.sender import EventSender
from signaling.delivery.sinks.open import open_sinks
from signaling.delivery.subscriptions import Subscriptions
from signaling.delivery.telling import Telling
from signaling.egress import Allow, Egress
from signaling.http.api.operation import Operation
from signaling.ids import SystemEntropy, SystemIds
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, Answer, House, Served, serving

DAY = 86400.0
MEGABYTE = 1024 * 1024
HOLDERS = iter(range(1, 1_000_000))


@dataclass
class Receiver:
    """Keeps what it was sent; what is in `statuses` comes before `status`."""

    status: int = 200
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: int = 0
    url: str = ""
    port: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked += 1
        status = self.statuses.pop(0) if self.statuses else self.status
        if status == 200:
            self.requests.append(({k.lower(): v for k, v in request.headers.items()}, body))
        return web.Response(status=status, headers=self.headers)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of all requests, batches taken apart."""
        found: list[dict[str, Any]] = []
        for _, body in self.requests:
            shown = msgspec.json.decode(body)
            found += shown if isinstance(shown, list) else [shown]
        return found

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def texts(self) -> list[str]:
        """What was said in the posts."""
        posts = [e["data"]["op"] for e in self.events if e["type"] == "sotto.message.posted"]
        return [op["body"].get("text", "") for op in posts if "body" in op]


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()

    async def handle(request: web.Request) -> web.StreamResponse:
        return await made.handle(request)  # which a test may have replaced

    app.router.add_route("*", "/{any:.*}", handle)
    server = TestServer(app)
    await server.start_server(access_log=None)
    made.port = int(server.port or 0)
    made.url = f"http://127.0.0.1:{made.port}/in"
    try:
        yield made
    finally:
        await server.close()


class DeliveringHouse(House):
    """One process."""

    def __init__(
        self, ground: Ground, egress: Egress, bus: Bus | None = None, batch_bytes: int = MEGABYTE
    ) -> None:
        super().__init__(ground, bus)
        entropy, ids = SystemEntropy(), SystemIds(self.clock)
        self.subscriptions = Subscriptions(ground.store, ground.sealer, self.bus, [APP])
        self.outbox = DurableOutbox(
            ground.store, ground.sealer, self.clock, lambda: 1.0, f"p{next(HOLDERS)}", [APP],
            Pace(look_s=0.0),
        )  # fmt: skip
        base = "https://chat.example/api/v1"
        self.feed = Feed(
            self.outbox, self.subscriptions, self.chat, ground.store, self.clock, ids, [APP],
            lambda: base,
        )  # fmt: skip
        self.sinks = open_sinks(egress, self.clock)
        self.telling = Telling(self.chat, self.feed.event, self.clock, batch_bytes)
        self.sender = EventSender(
            self.subscriptions, self.telling.events, self.sinks, self.audit, self.clock, 3 * DAY
        )
        limits = Limits(give_up_s=7 * DAY, retry_most_s=900.0)
        self.outbox.register("webhook", self.sender, limits)
        self.outbox.register("route", self.sender, msgspec.structs.replace(
            limits, size=self.sender.size, window=self.sender.window
        ))  # fmt: skip
        self.outbox.room_dropped = self.feed.room_erased
        self.chat.committed.append(self.feed.committed)
        self.chatting.receipts.moved.append(self.feed.receipt)
        self.chatting.presences.told.append(self.feed.presence)
        self.chatting.presences.asked = self.feed.hears_of_presence
        self.deps = Deps(
            self.subscriptions, self.outbox, self.sinks, self.chat, egress, self.clock, ids,
            entropy, self.feed.resume, base,
        )  # fmt: skip

    def operations(self) -> list[Operation]:
        return [
            *super().operations(),
            *webhooks.operations(self.deps),
            *routes.operations(self.deps),
        ]

    async def settle(self) -> None:
        await self.feed.round()
        await self.outbox.settle()

    async def waited(self, seconds: float) -> None:
        """Later, with whatever is due then."""
        self.ground.clock.advance(seconds)
        await self.settle()


@dataclass
class Post:
    """What the tests hold."""

    served: Served
    house: DeliveringHouse
    receiver: Receiver

    async def ask(self, method: str, path: str, body: Any = None, who: str = "root") -> Answer:
        return await self.served.ask(who, method, path, body)

    async def webhook(self, **more: Any) -> dict[str, Any]:
        answer = await self.ask("POST", "/webhooks", {"url": self.receiver.url, **more})
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.body
        return found

    async def settle(self) -> None:
        await self.house.settle()

    async def waited(self, seconds: float) -> None:
        await self.house.waited(seconds)


@contextlib.asynccontextmanager
async def delivering(
    ground: Ground,
    bus: Bus | None = None,
    ports: Mapping[int, str] | None = None,
    batch_bytes: int = MEGABYTE,
) -> AsyncIterator[Post]:
    """`ports` of loopback that may be called as well, with the CA of each or ""."""
    async with receiving() as receiver:
        here = ipaddress.ip_network("127.0.0.1/32")
        allowed = {receiver.port: "", **(ports or {})}
        egress = Egress([Allow(here, port, ca) for port, ca in allowed.items()])
        house = DeliveringHouse(ground, egress, bus, batch_bytes)
        await house.subscriptions.start()
        try:
            async with serving(ground, house=house) as served:
                yield Post(served, house, receiver)
        finally:
            house.subscriptions.close()
            await house.sender.close()
            await egress.close()
