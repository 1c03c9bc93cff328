"""Webhooks: accepted by LiveKit's own receiver, in order, retried, never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp import web
from livekit import api
from livekit.protocol import models, webhook

from signaling.rtc import Webhooks, WebhookTarget
from tests.signaling.rtc.fakes import KEY, SECRET

KEYS = {KEY: SECRET}


def event(name: str, room: str = "r") -> webhook.WebhookEvent:
    return webhook.WebhookEvent(event=name, id="EV_x", room=models.Room(name=room))


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


async def test_livekits_receiver_accepts_them_over_http() -> None:
    received: list[webhook.WebhookEvent] = []
    receiver = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))

    async def handler(request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        received.append(receiver.receive(body, request.headers["Authorization"]))
        assert request.content_type == "application/webhook+json"
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    hooks = Webhooks([WebhookTarget(url)], KEYS)
    await hooks.start()
    hooks.notify(event("room_started"))
    hooks.notify(event("participant_joined"))
    await hooks.idle()
    assert [e.event for e in received] == ["room_started", "participant_joined"]
    await hooks.stop()
    await runner.cleanup()


class Receiver:
    """Answers with the statuses given, then 200."""

    def __init__(self, *statuses: int | Exception) -> None:
        self.statuses = list(statuses)
        self.bodies: list[webhook.WebhookEvent] = []
        self.gate: asyncio.Event | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        if self.gate is not None:
            await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if isinstance(status, Exception):
            raise status
        if status == 200:
            receiver = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
            self.bodies.append(receiver.receive(body.decode(), headers["Authorization"]))
        return status


def hooks_to(receiver: Receiver, target: WebhookTarget | None = None) -> Webhooks:
    targets = [target or WebhookTarget("http://receiver")]
    return Webhooks(targets, KEYS, post=receiver.post, sleep=no_sleep)


async def test_failures_are_retried_and_order_is_kept() -> None:
    receiver = Receiver(500, aiohttp.ClientConnectionError(), TimeoutError(), 429)
    hooks = hooks_to(receiver)
    for name in ("room_started", "participant_joined", "room_finished"):
        hooks.notify(event(name))
    await hooks.idle()
    assert [e.event for e in receiver.bodies] == [
        "room_started",
        "participant_joined",
        "room_finished",
    ]
    assert hooks.counters["retried"] == 4


async def test_an_event_that_cannot_be_delivered_is_counted_in_the_next() -> None:
    receiver = Receiver(*[503] * 6, 400)
    hooks = hooks_to(receiver)
    for name in ("one", "two", "three"):
        hooks.notify(event(name))
    await hooks.idle()
    assert [(e.event, e.num_dropped) for e in receiver.bodies] == [("three", 2)]
    assert hooks.counters["failed"] == 2


async def test_a_dead_receiver_of_one_room_does_not_delay_another_and_never_the_caller() -> None:
    receiver = Receiver()
    receiver.gate = asyncio.Event()
    hooks = hooks_to(receiver)
    for number in range(3000):  # more than the queue holds; notify only counts the rest
        hooks.notify(event(f"e{number}", room=f"r{number % 3}"))
    assert hooks.counters["overflow"] == 2000
    receiver.gate.set()
    await hooks.idle()
    for room in range(3):
        numbers = [int(e.event[1:]) for e in receiver.bodies if e.room.name == f"r{room}"]
        assert numbers == sorted(numbers)
    assert len(receiver.bodies) == 1000


async def test_as_many_events_wait_as_were_configured() -> None:
    receiver = Receiver()
    receiver.gate = asyncio.Event()
    target = WebhookTarget("http://receiver")
    hooks = Webhooks([target], KEYS, queue=3, post=receiver.post, sleep=no_sleep)
    for number in range(5):
        hooks.notify(event(f"e{number}"))
    receiver.gate.set()
    await hooks.idle()
    assert (len(receiver.bodies), hooks.counters["overflow"]) == (3, 2)


async def test_a_target_may_want_some_events_only() -> None:
    receiver = Receiver()
    target = WebhookTarget("http://receiver", key=KEY, events=frozenset({"room_finished"}))
    hooks = hooks_to(receiver, target)
    hooks.notify(event("room_started"))
    hooks.notify(event("room_finished"))
    await hooks.idle()
    assert [e.event for e in receiver.bodies] == ["room_finished"]
