"""Retention over HTTP: the app's rule for its administrators, a room's for its owner.

Everybody who may see a room may see how long it keeps things, and whether a legal hold stops that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.access.permissions import Operation as Act
from signaling.accounts.principal import Role
from signaling.chat import rights
from signaling.chat.operations.common import ROOM_ERRORS, Deps, Uuid, actor_of
from signaling.chat.ops import YEAR
from signaling.chat.room import Room
from signaling.compliance.holds.holds import Holds
from signaling.compliance.retention.policy import Policies, Policy
from signaling.compliance.retention.sweep import Due, Sweep
from signaling.http.api.operation import Auth, Body, Call, Operation, Recording

TAG = "Compliance"
Seconds = Annotated[int, Meta(ge=1, le=100 * YEAR)]
SHOWN_ROOMS = 100


class RetentionWish(Body, frozen=True, kw_only=True):
    """Seconds by class; null sets no limit of its own. What is shorter elsewhere wins."""

    messages: Seconds | None
    files: Seconds | None = None


class RetentionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`messages` and `files` are what holds in the end, null for good; `own` what was set here."""

    messages: int | None
    files: int | None
    own: Policy
    held: bool = False


class RetentionTried(msgspec.Struct, frozen=True, kw_only=True):
    """What would go now under such a rule. `held`: messages of rooms that a legal hold keeps, which
    are in no other sum. `items` are the first hundred rooms.
    """

    rooms: int
    messages: int
    files: int
    held: int
    items: Sequence[Due]


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, deps: Deps, policies: Policies, holds: Holds, sweep: Sweep) -> None:
        self._deps, self._policies, self._holds, self._sweep = deps, policies, holds, sweep

    async def get(self, call: Call[None]) -> RetentionAnswer:
        return await self._app(call.principal.app)

    async def set(self, call: Call[RetentionWish]) -> RetentionAnswer:
        app = call.principal.app
        await self._policies.set_app(app, _policy(call.body))
        call.note.target = "retention"
        return await self._app(app)

    async def dry_run(self, call: Call[RetentionWish]) -> RetentionTried:
        call.note.target = "retention"
        found = await self._sweep.dry_run(call.principal.app, _policy(call.body))
        going = [due for due in found if not due.held]
        return RetentionTried(
            rooms=len(going), messages=sum(due.messages for due in going),
            files=sum(due.files for due in going),
            held=sum(due.messages for due in found if due.held), items=found[:SHOWN_ROOMS],
        )  # fmt: skip

    async def _app(self, app: str) -> RetentionAnswer:
        own = await self._policies.of_app(app)
        whole = await self._policies.effective(app, "", None)
        return RetentionAnswer(messages=whole.messages, files=whole.files, own=own)

    async def room(self, call: Call[None]) -> RetentionAnswer:
        actor = await actor_of(self._deps, call)
        room = await self._deps.chat.room_for(actor, call.path["room_id"], Act.GET_CHANNEL)
        return await self._room(room)

    async def set_room(self, call: Call[RetentionWish]) -> RetentionAnswer:
        actor = await actor_of(self._deps, call)
        room = await self._deps.chat.room_for(actor, call.path["room_id"], Act.GET_CHANNEL)
        rights.require(actor, room.id, Act.SET_CHANNEL, call.now)
        await self._policies.set_room(actor.app, room.id, _policy(call.body))
        call.note.target = f"room:{room.id}"
        return await self._room(room)

    async def _room(self, room: Room) -> RetentionAnswer:
        own = room.state.settings.retention
        found = await self._policies.effective(room.app, room.id, own)
        return RetentionAnswer(
            messages=found.messages, files=found.files,
            own=await self._policies.of_room(room.app, room.id),
            held=bool(await self._holds.of_room(room.app, room.id)),
        )  # fmt: skip


def _policy(wish: RetentionWish) -> Policy:
    return Policy(messages=wish.messages, files=wish.files)


def operations(deps: Deps, policies: Policies, holds: Holds, sweep: Sweep) -> list[Operation]:
    do = Handlers(deps, policies, holds, sweep)
    staff: dict[str, Any] = {
        "auth": Auth.ROLE, "roles": (Role.OWNER, Role.ADMINISTRATOR, Role.COMPLIANCE),
        "scope": "admin", "tag": TAG,
    }  # fmt: skip
    either: dict[str, Any] = {
        "auth": Auth.EITHER, "query": Uuid, "tag": TAG, "answer": RetentionAnswer,
        "errors": ROOM_ERRORS,
    }  # fmt: skip
    change: dict[str, Any] = {"body": RetentionWish, "recording": Recording.DURABLE}
    one = "/rooms/{room_id}/retention"
    return [
        Operation(
            "GET", "/retention", "getRetention", "How long this installation keeps things",
            do.get, answer=RetentionAnswer, **staff,
        ),
        Operation(
            "PUT", "/retention", "setRetention", "Keep things for less than is configured", do.set,
            reauth=True, rate="sensitive", answer=RetentionAnswer, **change, **staff,
        ),
        Operation(
            "POST", "/retention/dry-run", "tryRetention",
            "Count what would go now if this were the rule", do.dry_run, body=RetentionWish,
            answer=RetentionTried, rate="export", **staff,
        ),
        Operation(
            "GET", one, "getRoomRetention", "How long a room keeps things, and whether it is held",
            do.room, **either,
        ),
        Operation(
            "PUT", one, "setRoomRetention", "Keep things in a room for so long", do.set_room,
            rate="write", **change, **either,
        ),
    ]  # fmt: skip
