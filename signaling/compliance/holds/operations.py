"""Legal holds over HTTP: people with the compliance role place them; releasing one takes two.

Every act is in the audit before it is answered. Holds are never deleted: a released one stays as
the record of why something was kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.accounts.principal import Role
from signaling.chat.bodies import AccountId, RoomId
from signaling.compliance.holds.holds import MOST_NAMED, Hold, Holds
from signaling.errors import ClientError, Code, FieldError
from signaling.http.api.operation import Auth, Body, Call, Operation, Page, Recording

TAG = "Compliance"


class NewHold(Body, frozen=True, kw_only=True):
    """At least one room or account. `reason` is for those who may read holds."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    rooms: Annotated[tuple[RoomId, ...], Meta(max_length=MOST_NAMED)] = ()
    accounts: Annotated[tuple[AccountId, ...], Meta(max_length=MOST_NAMED)] = ()


class HoldAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """It stands until `released_at`."""

    id: str
    reason: str
    rooms: tuple[str, ...]
    accounts: tuple[str, ...]
    placed_by: str
    placed_at: datetime
    release_asked_by: str | None
    released_by: str | None
    released_at: datetime | None


def hold_answer(hold: Hold) -> HoldAnswer:
    released = None if hold.released is None else datetime.fromtimestamp(hold.released, UTC)
    return HoldAnswer(
        id=hold.id, reason=hold.reason, rooms=hold.rooms, accounts=hold.accounts,
        placed_by=hold.placed_by, placed_at=datetime.fromtimestamp(hold.placed, UTC),
        release_asked_by=hold.asked_by or None, released_by=hold.released_by or None,
        released_at=released,
    )  # fmt: skip


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds

    async def place(self, call: Call[NewHold]) -> HoldAnswer:
        wish = call.body
        if not wish.rooms and not wish.accounts:
            errors = [FieldError("/rooms", "missing", "Name a room or an account.")]
            message = "A hold names a room or an account."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
        by = call.principal.account or ""
        hold = await self._holds.place(
            call.principal.app, by, wish.reason, wish.rooms, wish.accounts
        )
        count = len(hold.rooms) + len(hold.accounts)
        call.note.details["count"] = str(count)
        return self._said(call, hold)

    async def get(self, call: Call[None]) -> HoldAnswer:
        return self._said(call, await self._holds.get(call.principal.app, call.path["hold_id"]))

    async def page(self, call: Call[None]) -> Page:
        ask = call.page
        found = await self._holds.page(call.principal.app, ask.after or "", ask.limit + 1)
        more = found[ask.limit - 1].id if len(found) > ask.limit else None
        return Page([hold_answer(hold) for hold in found[: ask.limit]], next=more)

    async def ask(self, call: Call[None]) -> HoldAnswer:
        app, by = call.principal.app, call.principal.account or ""
        return self._said(call, await self._holds.ask(app, call.path["hold_id"], by))

    async def cancel(self, call: Call[None]) -> HoldAnswer:
        app = call.principal.app
        return self._said(call, await self._holds.cancel(app, call.path["hold_id"]))

    async def agree(self, call: Call[None]) -> HoldAnswer:
        app, by = call.principal.app, call.principal.account or ""
        hold = await self._holds.agree(app, call.path["hold_id"], by)
        call.note.details["approver"] = by
        return self._said(call, hold)

    def _said(self, call: Call[Any], hold: Hold) -> HoldAnswer:
        call.note.target = f"hold:{hold.id}"
        return hold_answer(hold)


def operations(holds: Holds) -> list[Operation]:
    do = Handlers(holds)

    def op(method: str, path: str, name: str, summary: str, handler: Any, **more: Any) -> Operation:
        if method != "GET":
            more = {"reauth": True, "rate": "sensitive", **more}
        return Operation(
            method, path, name, summary, handler, auth=Auth.ROLE, roles=(Role.COMPLIANCE,),
            scope="admin", tag=TAG, recording=Recording.DURABLE, **{"answer": HoldAnswer, **more},
        )  # fmt: skip

    one = "/holds/{hold_id}"
    gone = {"errors": (Code.NOT_FOUND, Code.CONFLICT)}
    return [
        op("POST", "/holds", "placeHold", "Keep rooms and people's messages, whatever else applies",
           do.place, body=NewHold, status=201),
        op("GET", "/holds", "listHolds", "All holds, the oldest first", do.page, paged=True),
        op("GET", one, "getHold", "One hold", do.get, errors=(Code.NOT_FOUND,)),
        op("POST", one + "/release", "askHoldRelease",
           "Ask for its release, as the first of two people", do.ask, **gone),
        op("DELETE", one + "/release", "cancelHoldRelease", "Keep it after all", do.cancel, **gone),
        op("POST", one + "/release/approval", "approveHoldRelease",
           "Agree to its release, as the second person", do.agree,
           errors=(Code.NOT_FOUND, Code.CONFLICT, Code.SECOND_APPROVER_NEEDED)),
    ]  # fmt: skip
