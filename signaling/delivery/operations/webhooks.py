"""Outgoing webhooks over HTTP: administrators say which events go where. Secrets are shown once."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from signaling.chat.bodies import RoomId
from signaling.delivery import signing
from signaling.delivery.events import EventFilter
from signaling.delivery.operations.common import (
    DAY,
    Count,
    Deps,
    Label,
    LetterAnswer,
    Shared,
    TestAnswer,
    Url,
    floored,
)
from signaling.delivery.subscriptions import Https, Subscription
from signaling.errors import Code
from signaling.http.api.operation import Body, Call, Operation, Page, administered

TAG = "Webhooks"


class NewWebhook(Body, frozen=True, kw_only=True):
    """Events of `room`, or of every room. Those of transient rooms only with `transient`."""

    url: Url
    name: Label = ""
    room: RoomId | None = None
    filter: EventFilter = EventFilter()
    transient: bool = False


class ChangedWebhook(Body, frozen=True, kw_only=True):
    """What is named changes. `enabled` again: what waited and what was missed is sent."""

    url: Url | UnsetType = UNSET
    name: Label | UnsetType = UNSET
    filter: EventFilter | UnsetType = UNSET
    transient: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class SecretRotation(Body, frozen=True, kw_only=True):
    """For how long requests are signed with the secret before as well."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=7 * DAY)] = DAY


class WebhookAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is shown once: when it was made or rotated. `reason` says why it is not enabled;
    `failing_since` that nothing arrives since then.
    """

    id: str
    name: str
    url: str
    room: str | None
    filter: EventFilter
    transient: bool
    enabled: bool
    reason: str
    failing_since: float | None
    created_at: float
    secret: str | None = None


class Handlers(Shared):
    """One method for each operation that routes do not have."""

    def __init__(self, deps: Deps) -> None:
        super().__init__(deps, "webhook")

    async def create(self, call: Call[NewWebhook]) -> WebhookAnswer:
        wish, app, deps = call.body, call.principal.app, self._deps
        await self.check_url(wish.url)
        await self.check_room(app, wish.room, wish.transient)
        now, text = deps.clock.unix(), self._secret()
        made = Subscription(
            id=deps.ids.new(), kind="webhook", name=wish.name, room=wish.room, filter=wish.filter,
            to=Https(url=wish.url, keys=(signing.Key(text=text, created=now),)),
            transient=wish.transient, created=now, since=floored(now),
        )  # fmt: skip
        await deps.subscriptions.create(app, made)
        call.note.target = f"webhook:{made.id}"
        if made.room is not None:
            call.note.details["room"] = made.room
        return answer(made, text)

    def _secret(self) -> str:
        return signing.secret(self._deps.entropy.token(signing.SECRET_BYTES))

    async def list(self, call: Call[None]) -> Page:
        found, more = await self.page(call)
        return Page([answer(one) for one in found], next=more)

    async def get(self, call: Call[None]) -> WebhookAnswer:
        return answer(await self.one(call))

    async def change(self, call: Call[ChangedWebhook]) -> WebhookAnswer:
        one, wish, app = await self.one(call), call.body, call.principal.app
        if wish.url is not UNSET:
            await self.check_url(wish.url)
        await self.check_room(
            app, one.room, one.transient if wish.transient is UNSET else wish.transient
        )

        def edited(old: Subscription) -> Subscription:
            to = https_of(old) if wish.url is UNSET else replace(https_of(old), url=wish.url)
            return replace(
                old, to=to,
                name=old.name if wish.name is UNSET else wish.name,
                filter=old.filter if wish.filter is UNSET else wish.filter,
                transient=old.transient if wish.transient is UNSET else wish.transient,
            )  # fmt: skip

        found = await self.changed(call, edited)
        if wish.enabled is not UNSET and wish.enabled is found.disabled:
            found = await self.switch(call, wish.enabled)
        return answer(found)

    async def rotate(self, call: Call[SecretRotation]) -> WebhookAnswer:
        await self.one(call)
        text, now = self._secret(), self._deps.clock.unix()
        overlap = float(call.body.overlap_seconds)

        def rotated(old: Subscription) -> Subscription:
            to = https_of(old)
            keys = signing.rotated(to.keys, text, now, overlap)
            return replace(old, to=replace(to, keys=keys))

        return answer(await self.changed(call, rotated), text)


def https_of(one: Subscription) -> Https:
    assert isinstance(one.to, Https)
    return one.to


def answer(one: Subscription, secret: str | None = None) -> WebhookAnswer:
    return WebhookAnswer(
        id=one.id, name=one.name, url=https_of(one).url, room=one.room, filter=one.filter,
        transient=one.transient, enabled=not one.disabled, reason=one.reason,
        failing_since=one.failing or None, created_at=one.created, secret=secret,
    )  # fmt: skip


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)

    op = administered(TAG)

    one = "/webhooks/{webhook_id}"
    return [
        op("GET", "/webhooks", "listWebhooks", "Where events go", do.list, answer=WebhookAnswer,
           paged=True),
        op("POST", "/webhooks", "createWebhook", "Send events to an https address", do.create,
           body=NewWebhook, answer=WebhookAnswer, status=201, idempotent=False,
           errors=(Code.ROOM_NOT_FOUND,),
           description="CloudEvents 1.0 in JSON, signed as Standard Webhooks says."),
        op("GET", one, "getWebhook", "One webhook", do.get, answer=WebhookAnswer),
        op("PATCH", one, "changeWebhook", "Change, disable or enable a webhook", do.change,
           body=ChangedWebhook, answer=WebhookAnswer, errors=(Code.ROOM_NOT_FOUND, Code.CONFLICT)),
        op("DELETE", one, "deleteWebhook", "Remove a webhook and what waits for it", do.remove,
           status=204),
        op("POST", one + "/rotation", "rotateWebhookSecret",
           "A new secret beside the one before; shown once", do.rotate, body=SecretRotation,
           answer=WebhookAnswer, status=201, idempotent=False, errors=(Code.CONFLICT,)),
        op("POST", one + "/test", "testWebhook", "Send a test event now", do.test,
           answer=TestAnswer, rate="sensitive"),
        op("GET", one + "/dead-letters", "listWebhookDeadLetters", "What was given up", do.letters,
           answer=LetterAnswer, paged=True),
        op("POST", one + "/replay", "replayWebhook", "Send what was given up once more", do.replay,
           answer=Count),
    ]  # fmt: skip
