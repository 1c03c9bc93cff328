"""What operations on subscriptions share: finding one, checking an address and a room, letters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from signaling.accounts.principal import Role
from signaling.chat.ops import Mode
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.delivery.configured import is_configured
from signaling.delivery.events import PREFIX, CloudEvent
from signaling.delivery.outbox import DurableOutbox
from signaling.delivery.port import Delivered, Gone, Item
from signaling.delivery.sender import Sink
from signaling.delivery.subscriptions import Subscription, Subscriptions
from signaling.egress import Egress, EgressRefused
from signaling.errors import ClientError, Code, FieldError
from signaling.http.api.operation import Call, Page, Reply
from signaling.ids import Entropy, Ids
from signaling.keys.port import KeyDestroyed
from signaling.storage.port import Conflict

STAFF = (Role.OWNER, Role.ADMINISTRATOR)
DAY = 86400
TEST = PREFIX + "test"

Label = Annotated[str, Meta(max_length=64)]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]


class LetterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was not delivered; `id` is what the receiver would have got it under."""

    id: str
    room: str
    reason: str
    at: float


class Count(msgspec.Struct, frozen=True):
    """How many it were."""

    count: int


class TestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` of what did not arrive."""

    delivered: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Deps:
    """`resume` looks for what was missed; `base` is where the API is, for the source of events."""

    subscriptions: Subscriptions
    outbox: DurableOutbox
    sinks: dict[type, Sink]
    chat: Chat
    egress: Egress
    clock: Clock
    ids: Ids
    entropy: Entropy
    resume: Callable[[str], Awaitable[None]]
    base: str = ""


class Shared:
    """The verbs that webhooks and routes have in common."""

    def __init__(self, deps: Deps, kind: Literal["webhook", "route"]) -> None:
        self._deps, self._kind = deps, kind

    async def one(self, call: Call[Any]) -> Subscription:
        """Raises ClientError (404)."""
        ident = call.path[f"{self._kind}_id"]
        row = await self._deps.subscriptions.get(call.principal.app, ident)
        if row is None or row.value.kind != self._kind:
            raise ClientError(Code.NOT_FOUND, 404, f"There is no such {self._kind}.")
        call.note.target = f"{self._kind}:{ident}"
        return row.value

    def not_configured(self, one: Subscription) -> None:
        """Raises ClientError (409): the configuration alone changes what it names."""
        if is_configured(one.id):
            raise ClientError(Code.CONFLICT, 409, "It stands in the configuration.")

    async def changed(
        self, call: Call[Any], change: Callable[[Subscription], Subscription]
    ) -> Subscription:
        """Raises ClientError: 404, or 409 while others change it again and again."""
        ident = call.path[f"{self._kind}_id"]
        try:
            found = await self._deps.subscriptions.change(call.principal.app, ident, change)
        except Conflict:
            raise ClientError(Code.CONFLICT, 409, "It changes at this moment.") from None
        if found is None:
            raise ClientError(Code.NOT_FOUND, 404, f"There is no such {self._kind}.")
        return found

    async def page(self, call: Call[Any]) -> tuple[list[Subscription], str | None]:
        ask, app = call.page, call.principal.app
        found = await self._deps.subscriptions.page(app, self._kind, ask.after or "", ask.limit + 1)
        more = found[ask.limit - 1].key if len(found) > ask.limit else None
        return [row.value for row in found[: ask.limit]], more

    async def remove(self, call: Call[None]) -> Reply:
        one = await self.one(call)
        self.not_configured(one)
        await self._deps.subscriptions.delete(call.principal.app, one.id)
        await self._deps.outbox.drop(call.principal.app, target=one.id)
        return Reply(status=204)

    async def letters(self, call: Call[None]) -> Page:
        one, ask = await self.one(call), call.page
        found = await self._deps.outbox.dead(
            call.principal.app, one.id, ask.after or "", ask.limit + 1
        )
        shown = [
            LetterAnswer(
                id=row.value.item.id, room=row.value.item.room, reason=row.value.reason,
                at=row.value.at,
            )
            for row in found[: ask.limit]
        ]  # fmt: skip
        return Page(shown, next=found[ask.limit - 1].key if len(found) > ask.limit else None)

    async def replay(self, call: Call[None]) -> Count:
        one = await self.one(call)
        count = await self._deps.outbox.replay(call.principal.app, one.id)
        call.note.details["count"] = str(count)
        return Count(count)

    async def test(self, call: Call[None]) -> TestAnswer:
        """Past the outbox: the answer says what the receiver said."""
        one, now = await self.one(call), self._deps.clock.unix()
        ident = self._deps.ids.new()
        event = CloudEvent(
            id=ident, source=self._deps.base or "/api/v1", type=TEST, subject=one.id,
            time=datetime.fromtimestamp(now, UTC), data={self._kind: one.id},
        )  # fmt: skip
        item = Item(
            app=call.principal.app, lane="", kind=self._kind, target=one.id, body=b"{}", id=ident,
            room="test",
        )  # fmt: skip
        outcome = await self._deps.sinks[type(one.to)].send(one, [item], [event])
        call.note.details["state"] = type(outcome).__name__.lower()
        if isinstance(outcome, Delivered):
            return TestAnswer(delivered=True)
        return TestAnswer(
            delivered=False, reason="it is gone" if isinstance(outcome, Gone) else outcome.reason
        )

    async def check_url(self, url: str, pointer: str = "/url") -> None:
        """Raises ClientError (422). What a name means is looked at again on connecting."""
        try:
            await self._deps.egress.check(url)
        except EgressRefused as error:
            message = "The address cannot be called: https to a public address is."
            errors = [FieldError(pointer, "refused", str(error))]
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors) from None

    async def check_room(self, app: str, name: str | None, transient: bool) -> None:
        """Raises ClientError: 404, or 422 for a transient room that was not asked for by name."""
        if name is None:
            return
        try:
            room = await self._deps.chat.rooms.find(app, name)
        except KeyDestroyed:
            room = None
        if room is None:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "There is no such room.")
        if room.state.mode is Mode.TRANSIENT and not transient:
            message = "Nothing leaves a transient room unless `transient` says so."
            errors = [FieldError("/transient", "required", message)]
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)

    async def switch(self, call: Call[Any], enabled: bool) -> Subscription:
        """On again: what waited goes now, and what was missed follows from the log."""

        def turned(old: Subscription) -> Subscription:
            reason = "" if enabled else "by an administrator"
            return replace(old, disabled=not enabled, reason=reason, failing=0.0)

        one, app = await self.changed(call, turned), call.principal.app
        if enabled:
            await self._deps.outbox.hurry(app, one.id)
            await self._deps.resume(app)
        return one


def floored(unix: float) -> float:
    """To the millisecond, as entries have it: what is said in the same one belongs to it."""
    return int(unix * 1000) / 1000
