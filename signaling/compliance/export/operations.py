"""Exports over HTTP: one's own at any time, others' by two people of compliance, and told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.access.permissions import Operation as Act
from signaling.accounts.principal import Kind as PrincipalKind
from signaling.accounts.principal import Role
from signaling.chat.bodies import AccountId, RoomId
from signaling.chat.operations.common import ROOM_ERRORS, Deps, actor_of
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.compliance.export.collect import Collector
from signaling.compliance.export.requests import Request, Requests
from signaling.errors import ClientError, Code, FieldError, Refused
from signaling.http.api.operation import Auth, Body, Call, Operation, Page, Recording, Reply
from signaling.http.api.trace import actor_of as auditor_of

TAG = "Compliance"


class NewExport(Body, frozen=True, kw_only=True):
    """Of a room or of an account. `reason` is shown to those whom it is about."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    room: RoomId | None = None
    account: AccountId | None = None


class ExportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """It can be fetched once, by one of the two, until `until`."""

    id: str
    reason: str
    room: str | None
    account: str | None
    asked_by: str
    asked_at: datetime
    approved_by: str | None
    until: datetime | None
    fetched_at: datetime | None


class ExportsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    items: Sequence[ExportAnswer]


def export_answer(request: Request) -> ExportAnswer:
    return ExportAnswer(
        id=request.id, reason=request.reason, room=request.room or None,
        account=request.account or None, asked_by=request.by, asked_at=_time(request.asked),
        approved_by=request.approver or None,
        until=_time(request.until) if request.until else None,
        fetched_at=None if request.fetched is None else _time(request.fetched),
    )  # fmt: skip


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, deps: Deps, requests: Requests, collector: Collector, audit: Audit) -> None:
        self._deps, self._requests = deps, requests
        self._collector, self._audit = collector, audit

    async def own(self, call: Call[None]) -> Reply:
        who = call.principal
        if who.kind is not PrincipalKind.ACCOUNT or who.account is None:
            raise Refused(Code.NOT_PERMITTED, 403, "Only an account that signs in has this.")
        await self._record(call, f"account:{who.account}")
        return _archive(self._collector.person(who.app, who.account))

    async def ask(self, call: Call[NewExport]) -> Reply:
        wish, app = call.body, call.principal.app
        if (wish.room is None) == (wish.account is None):
            errors = [FieldError("/room", "invalid", "Name a room or an account.")]
            message = "An export is of a room or of an account."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
        if wish.account is not None:
            await self._collector.registry.require(app, wish.account)
        elif await self._deps.chat.rooms.find_there(app, wish.room or "") is None:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "There is no such room.")
        by, of = call.principal.account or "", (wish.room or "", wish.account or "")
        found, new = await self._requests.ask(app, by, wish.reason, *of)
        return Reply(self._said(call, found), status=201 if new else 200)

    async def agree(self, call: Call[None]) -> ExportAnswer:
        app, by = call.principal.app, call.principal.account or ""
        return self._said(call, await self._requests.agree(app, call.path["export_id"], by))

    async def page(self, call: Call[None]) -> Page:
        ask = call.page
        found = await self._requests.page(call.principal.app, ask.after or "", ask.limit + 1)
        more = found[ask.limit - 1].id if len(found) > ask.limit else None
        return Page([export_answer(one) for one in found[: ask.limit]], next=more)

    async def fetch(self, call: Call[None]) -> Reply:
        app, by = call.principal.app, call.principal.account or ""
        found = await self._requests.fetch(app, call.path["export_id"], by)
        await self._record(call, _target(found))
        if found.account:
            return _archive(self._collector.person(app, found.account))
        room = await self._deps.chat.rooms.find_there(app, found.room)
        if room is None:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "There is no such room.")
        return _archive(self._collector.room(app, room))

    async def about_me(self, call: Call[None]) -> ExportsAnswer:
        account = call.principal.account
        if account is None:
            raise Refused(Code.NOT_PERMITTED, 403, "Only an account has this.")
        found = await self._requests.about(call.principal.app, account=account)
        return ExportsAnswer(items=[export_answer(one) for one in found])

    async def about_room(self, call: Call[None]) -> ExportsAnswer:
        actor = await actor_of(self._deps, call)
        room = await self._deps.chat.room_for(actor, call.path["room_id"], Act.HISTORY)
        found = await self._requests.about(actor.app, room=room.id)
        return ExportsAnswer(items=[export_answer(one) for one in found])

    def _said(self, call: Call[Any], request: Request) -> ExportAnswer:
        call.note.target = _target(request)
        return export_answer(request)

    async def _record(self, call: Call[None], target: str) -> None:
        """Before the first byte: an export that was cut short was one all the same."""
        who = call.principal
        await self._audit.record(
            AuditEvent(
                at=call.now,
                app=who.app,
                actor=auditor_of(who),
                action="exportData",
                target=target,
                request_id=call.request_id,
                token_id=who.token or "",
                address=call.client_address,
            )
        )


def _target(request: Request) -> str:
    return f"room:{request.room}" if request.room else f"account:{request.account}"


def _archive(parts: Any) -> Reply:
    headers = [("Content-Disposition", 'attachment; filename="sotto-export.zip"')]
    return Reply(parts, headers=headers, content_type="application/zip")


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


def operations(
    deps: Deps, requests: Requests, collector: Collector, audit: Audit
) -> list[Operation]:
    do = Handlers(deps, requests, collector, audit)
    staff: dict[str, Any] = {
        "auth": Auth.ROLE, "roles": (Role.COMPLIANCE,), "scope": "admin", "tag": TAG,
    }  # fmt: skip
    again: dict[str, Any] = {"reauth": True, "rate": "sensitive"}
    archive: dict[str, Any] = {
        "reauth": True, "rate": "export", "recording": Recording.OWN,
        "answer_type": "application/zip",
    }  # fmt: skip
    durable = Recording.DURABLE
    return [
        Operation(
            "GET", "/account/export", "exportAccount", "Everything that is mine, as one archive",
            do.own, scope="account:read", tag=TAG, **archive,
        ),
        Operation(
            "GET", "/account/exports", "listExportsAboutMe", "Who exported what is mine",
            do.about_me, answer=ExportsAnswer, scope="account:read", tag=TAG,
        ),
        Operation(
            "GET", "/rooms/{room_id}/exports", "listRoomExports", "Who exported a room",
            do.about_room, answer=ExportsAnswer, errors=ROOM_ERRORS, tag=TAG,
        ),
        Operation(
            "POST", "/exports", "requestExport",
            "Ask for the export of a room or account, as the first of two people", do.ask,
            body=NewExport, answer=ExportAnswer, status=201, again=200, recording=durable,
            errors=(Code.NOT_FOUND, Code.ROOM_NOT_FOUND), **again, **staff,
        ),
        Operation(
            "GET", "/exports", "listExports", "All that were asked for", do.page,
            answer=ExportAnswer, paged=True, recording=durable, **staff,
        ),
        Operation(
            "POST", "/exports/{export_id}/approval", "approveExport",
            "Agree to it, as the second person", do.agree, answer=ExportAnswer, recording=durable,
            errors=(Code.NOT_FOUND, Code.CONFLICT, Code.SECOND_APPROVER_NEEDED), **again, **staff,
        ),
        Operation(
            "GET", "/exports/{export_id}/archive", "fetchExport", "The archive, once", do.fetch,
            errors=(
                Code.NOT_FOUND, Code.ROOM_NOT_FOUND, Code.LINK_INVALID, Code.SECOND_APPROVER_NEEDED,
            ),
            **archive, **staff,
        ),
    ]  # fmt: skip
