"""Routes over HTTP: events of a room, or of all, to the operator's own systems.

What opens a receiver (keys, passwords) is written and never shown again.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from signaling.chat.bodies import RoomId
from signaling.delivery import signing
from signaling.delivery.events import EventFilter
from signaling.delivery.operations.common import (
    Count,
    Deps,
    Label,
    LetterAnswer,
    Shared,
    TestAnswer,
    floored,
)
from signaling.delivery.subscriptions import (
    MOST_BATCH,
    S3,
    SECRETS,
    Amqp,
    Https,
    Kafka,
    Sqs,
    Subscription,
    Syslog,
    To,
    bounded,
)
from signaling.egress import EgressFailed, EgressRefused
from signaling.errors import ClientError, Code, FieldError
from signaling.http.api.operation import Body, Call, Operation, Page, administered

TAG = "Routes"
Batch = Annotated[int, Meta(ge=1, le=MOST_BATCH)]
Window = Annotated[float, Meta(ge=0, le=300)]


class ToHttps(Body, frozen=True, kw_only=True, tag_field="type", tag="https"):
    """POST in batches, signed; the secret is the answer's."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]


Where = ToHttps | S3 | Sqs | Syslog | Amqp | Kafka


class NewRoute(Body, frozen=True, kw_only=True):
    """Events of `room`, or of every room; up to `batch` of them at once, in order. Fewer wait
    `batch_seconds` for more.
    """

    to: Where
    name: Label = ""
    room: RoomId | None = None
    filter: EventFilter = EventFilter()
    transient: bool = False
    batch: Batch = 100
    batch_seconds: Window = 0.0


class ChangedRoute(Body, frozen=True, kw_only=True):
    """What is named changes. `enabled` again: what waited and what was missed is sent."""

    to: Where | UnsetType = UNSET
    name: Label | UnsetType = UNSET
    filter: EventFilter | UnsetType = UNSET
    batch: Batch | UnsetType = UNSET
    batch_seconds: Window | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class RouteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`to` without what is secret. `secret` (of an https route) is shown once."""

    id: str
    name: str
    to: dict[str, str | int | float | bool | list[str]]
    room: str | None
    filter: EventFilter
    transient: bool
    batch: int
    batch_seconds: float
    enabled: bool
    reason: str
    failing_since: float | None
    created_at: float
    secret: str | None = None


class Handlers(Shared):
    """One method for each operation that webhooks do not have."""

    def __init__(self, deps: Deps) -> None:
        super().__init__(deps, "route")

    async def create(self, call: Call[NewRoute]) -> RouteAnswer:
        wish, app, deps = call.body, call.principal.app, self._deps
        await self._check(wish.to)
        await self.check_room(app, wish.room, wish.transient)
        now = deps.clock.unix()
        to, secret = self._made(wish.to)
        made = Subscription(
            id=deps.ids.new(), kind="route", name=wish.name, room=wish.room, filter=wish.filter,
            to=to, transient=wish.transient, batch=bounded(to, wish.batch),
            batch_seconds=wish.batch_seconds, created=now, since=floored(now),
        )  # fmt: skip
        await deps.subscriptions.create(app, made)
        call.note.target = f"route:{made.id}"
        call.note.details["kind"] = type(to).__name__.lower()
        if made.room is not None:
            call.note.details["room"] = made.room
        return answer(made, secret)

    def _made(self, where: Where) -> tuple[To, str | None]:
        if not isinstance(where, ToHttps):
            return where, None
        text = signing.secret(self._deps.entropy.token(signing.SECRET_BYTES))
        key = signing.Key(text=text, created=self._deps.clock.unix())
        return Https(url=where.url, keys=(key,)), text

    async def _check(self, where: Where) -> None:
        """Raises ClientError (422) for what may not be called."""
        if isinstance(where, ToHttps):
            await self.check_url(where.url, "/to/url")
        elif isinstance(where, S3):
            await self.check_url(where.endpoint, "/to/endpoint")
        elif isinstance(where, Sqs):
            await self.check_url(where.queue_url, "/to/queue_url")
        elif isinstance(where, Kafka):
            for number, server in enumerate(where.servers):
                host, _, port = server.rpartition(":")
                await self._check_place(
                    host, int(port), f"/to/servers/{number}", plain=not where.tls
                )
        else:
            plain = isinstance(where, Amqp) and not where.tls
            await self._check_place(where.host, where.port, "/to/host", plain=plain)

    async def _check_place(self, host: str, port: int, pointer: str, *, plain: bool) -> None:
        try:
            await self._deps.egress.place(host, port, plain=plain)
        except EgressRefused as error:
            errors = [FieldError(pointer, "refused", str(error))]
            message = "The address cannot be called."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors) from None
        except EgressFailed:
            return  # the name may mean something later; it is looked at then

    async def list(self, call: Call[None]) -> Page:
        found, more = await self.page(call)
        return Page([answer(one) for one in found], next=more)

    async def get(self, call: Call[None]) -> RouteAnswer:
        return answer(await self.one(call))

    async def change(self, call: Call[ChangedRoute]) -> RouteAnswer:
        one, wish = await self.one(call), call.body
        to, secret = one.to, None
        parts = (wish.to, wish.name, wish.filter, wish.batch, wish.batch_seconds)
        if any(part is not UNSET for part in parts):
            self.not_configured(one)
        if wish.to is not UNSET:
            await self._check(wish.to)
            to, secret = self._made(wish.to)

        def edited(old: Subscription) -> Subscription:
            kept = old.to if wish.to is UNSET else to
            batch = old.batch if wish.batch is UNSET else wish.batch
            return replace(
                old, to=kept, batch=bounded(kept, batch),
                name=old.name if wish.name is UNSET else wish.name,
                filter=old.filter if wish.filter is UNSET else wish.filter,
                batch_seconds=(
                    old.batch_seconds if wish.batch_seconds is UNSET else wish.batch_seconds
                ),
            )  # fmt: skip

        found = await self.changed(call, edited)
        if wish.batch_seconds is not UNSET:
            await self._deps.outbox.hurry(call.principal.app, found.id)
        if wish.enabled is not UNSET and wish.enabled is found.disabled:
            found = await self.switch(call, wish.enabled)
        return answer(found, secret)


def answer(one: Subscription, secret: str | None = None) -> RouteAnswer:
    shown = msgspec.to_builtins(one.to)
    return RouteAnswer(
        id=one.id, name=one.name, room=one.room, filter=one.filter, batch=one.batch,
        batch_seconds=one.batch_seconds,
        to={name: value for name, value in shown.items() if name not in SECRETS},
        transient=one.transient, enabled=not one.disabled, reason=one.reason,
        failing_since=one.failing or None, created_at=one.created, secret=secret,
    )  # fmt: skip


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)

    op = administered(TAG)

    one = "/routes/{route_id}"
    return [
        op("GET", "/routes", "listRoutes", "Where events are routed", do.list, answer=RouteAnswer,
           paged=True),
        op("POST", "/routes", "createRoute", "Route events to a system of yours", do.create,
           body=NewRoute, answer=RouteAnswer, status=201, idempotent=False,
           errors=(Code.ROOM_NOT_FOUND,)),
        op("GET", one, "getRoute", "One route", do.get, answer=RouteAnswer),
        op("PATCH", one, "changeRoute", "Change, disable or enable a route", do.change,
           body=ChangedRoute, answer=RouteAnswer, errors=(Code.CONFLICT,)),
        op("DELETE", one, "deleteRoute", "Remove a route and what waits for it", do.remove,
           status=204, errors=(Code.CONFLICT,)),
        op("POST", one + "/test", "testRoute", "Send a test event now", do.test,
           answer=TestAnswer, rate="sensitive"),
        op("GET", one + "/dead-letters", "listRouteDeadLetters", "What was given up", do.letters,
           answer=LetterAnswer, paged=True),
        op("POST", one + "/replay", "replayRoute", "Send what was given up once more", do.replay,
           answer=Count),
    ]  # fmt: skip
